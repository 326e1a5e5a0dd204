import { expect, test } from 'vitest';
import { openTestNode, until } from './connections.ts';
import { ClusterError } from '../../src/base/errors.ts';

/** Other test files sleep on the same server. */
const sleeps = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep%' AND state = 'active'";

test('aborting cancels on the server', async () => {
  await using node = await openTestNode();
  const controller = new AbortController();
  const sleeping = node.connections.query({ text: 'SELECT pg_sleep(1000)' }, { signal: controller.signal });
  await until(() => node.sees(`EXISTS (${sleeps})`));
  controller.abort();
  const error: unknown = await sleeping.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ClusterError);
  expect(error).toMatchObject({ id: 'canceled', code: '57014', cause: { code: '57014', where: expect.stringContaining(node.name) } });
  expect(await node.sees(`NOT EXISTS (${sleeps})`)).toBe(true);
});

test('aborted before the start: nothing runs', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  await expect(connection.query({ text: 'CREATE TABLE t ()' }, { signal: AbortSignal.abort() })).rejects.toMatchObject({ id: 'canceled' });
  await expect(node.connections.query({ text: 'CREATE TABLE t ()' }, { signal: AbortSignal.abort() })).rejects.toMatchObject({ id: 'canceled' });
  expect(await node.sees("to_regclass('t') IS NULL")).toBe(true);
});

test('aborted as soon as it is sent: cancelled, though the server may not have begun', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  for (let round = 0; round < 20; round += 1) {
    const controller = new AbortController();
    const sleeping = connection.query({ text: 'SELECT pg_sleep(1000)' }, { signal: controller.signal });
    controller.abort();
    await expect(sleeping).rejects.toMatchObject({ id: 'canceled' });
  }
});

test('an abort waits for its turn: the statements before and behind are not hit', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  const blocker = await node.acquire();
  await blocker.query({ text: 'SELECT pg_advisory_lock(1)' });
  const controller = new AbortController();
  const before = connection.query({ text: 'SELECT pg_advisory_lock_shared(1)' });
  const aborted = connection.query({ text: 'SELECT pg_sleep(1000)' }, { signal: controller.signal });
  const behind = connection.query({ text: 'SELECT 3' });
  await until(() => node.sees("EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database())"));
  controller.abort();
  // While others are cancelled on the same server, this one would have been too, had it been asked for.
  for (let round = 0; round < 5; round += 1) {
    const decoy = new AbortController();
    const sleeping = node.connections.query({ text: 'SELECT pg_sleep(1000)' }, { signal: decoy.signal });
    const settled = expect(sleeping).rejects.toMatchObject({ id: 'canceled' });
    await until(() => node.sees("EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database())"));
    decoy.abort();
    await settled;
  }
  await blocker.query({ text: 'SELECT pg_advisory_unlock(1)' });
  expect(await Promise.allSettled([before, aborted, behind])).toMatchObject([
    { status: 'fulfilled' },
    { status: 'rejected', reason: { id: 'canceled' } },
    { status: 'fulfilled', value: { rows: [['3']] } },
  ]);
});

test('a statement not sent yet is dropped at once', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  const [first, second] = [new AbortController(), new AbortController()];
  const running = connection.query({ text: 'SELECT pg_sleep(1000)' }, { signal: first.signal });
  const held = connection.query({ text: 'CREATE TABLE t ()' }, { signal: second.signal });
  second.abort();
  await expect(held).rejects.toMatchObject({ id: 'canceled' });
  first.abort();
  await expect(running).rejects.toMatchObject({ id: 'canceled' });
  expect(await node.sees("to_regclass('t') IS NULL")).toBe(true);
});

test('a cancel never hits a later statement', async () => {
  await using node = await openTestNode({ exclusiveMax: 4 });
  let canceled = 0;
  const victim = async (round: number): Promise<void> => {
    const connection = await node.connections.acquire();
    const controller = new AbortController();
    const microseconds = (round * 37) % 1500;
    const statement = connection.query({ text: `SELECT pg_sleep(${microseconds} / 1e6)` }, { signal: controller.signal });
    const abort = new Promise<void>((resolve) => {
      const spin = performance.now() + microseconds / 1000;
      const check = (): void => {
        if (performance.now() < spin) setImmediate(check);
        else resolve(controller.abort());
      };
      check();
    });
    const bystander = connection.query({ text: 'SELECT count(*) FROM generate_series(1, 2000)' });
    await statement.catch((error: unknown) => {
      expect(error).toMatchObject({ id: 'canceled' });
      canceled += 1;
    });
    expect((await bystander).rows).toEqual([['2000']]);
    expect((await connection.query({ text: 'SELECT count(*) FROM generate_series(1, 2000)' })).rows).toEqual([['2000']]);
    await abort;
    connection.release();
  };
  for (let round = 0; round < 200; round += 4) await Promise.all([0, 1, 2, 3].map((offset) => victim(round + offset)));
  // Otherwise the test has shown nothing.
  expect(canceled).toBeGreaterThan(0);
});

test('the reason of the abort is what the caller gets, if it is ours', async () => {
  await using node = await openTestNode();
  const controller = new AbortController();
  const sleeping = node.connections.query({ text: 'SELECT pg_sleep(1000)' }, { signal: controller.signal });
  const reason = new ClusterError('connectionLost', 'elsewhere');
  controller.abort(reason);
  await expect(sleeping).rejects.toBe(reason);
});

test('a statement that ends by itself in spite of the abort has ended well', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  const controller = new AbortController();
  const done = connection.query(
    { text: "DO $$ BEGIN PERFORM pg_sleep(1000); EXCEPTION WHEN query_canceled THEN RAISE NOTICE 'no'; END $$" },
    { signal: controller.signal },
  );
  await until(() => node.sees("EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database())"));
  controller.abort();
  expect((await done).command).toBe('DO');
});
