import type { QueryResult } from 'pg';
import { expect, test } from 'vitest';
import { openTestNode, type TestNode, until } from './connections.ts';

test('writes of one tick share transactions, and each has its own result', async () => {
  await using node = await openTestNode();
  await create(node, 'a int PRIMARY KEY, x xid8 DEFAULT pg_current_xact_id()');
  const results = await Promise.all(Array.from({ length: 60 }, (_, a) => insert(node, a, 'RETURNING a')));
  expect(results.map(({ command, rowCount, rows }) => ({ command, rowCount, rows: rows as unknown }))).toEqual(
    Array.from({ length: 60 }, (_, a) => ({ command: 'INSERT', rowCount: 1, rows: [{ a }] })),
  );
  expect(await node.sees('(SELECT count(DISTINCT x) < 10 FROM t)')).toBe(true);
  expect(node.connections.counts.waiting).toBe(0);
});

test('one that fails fails alone', async () => {
  await using node = await openTestNode();
  await create(node, 'a int PRIMARY KEY');
  await insert(node, 7);
  const settled = await Promise.allSettled(Array.from({ length: 40 }, (_, a) => insert(node, a === 20 ? 'x' : a)));
  for (const [a, outcome] of settled.entries()) {
    if (a === 7) expect(outcome).toMatchObject({ reason: { code: '23505', constraint: 't_pkey' } });
    else if (a === 20) expect(outcome).toMatchObject({ reason: { code: '22P02' } });
    else expect(outcome).toMatchObject({ value: { rowCount: 1 } });
  }
  expect(await node.sees('(SELECT count(*) = 39 FROM t)')).toBe(true);
});

test('a constraint that fails at the commit fails its own statement only', async () => {
  await using node = await openTestNode();
  await create(node, 'a int UNIQUE DEFERRABLE INITIALLY DEFERRED');
  await insert(node, 3);
  const settled = await Promise.allSettled([1, 2, 3, 4].map((a) => insert(node, a)));
  expect(settled).toMatchObject([{ value: { rowCount: 1 } }, { value: { rowCount: 1 } }, { reason: { code: '23505' } }, { value: { rowCount: 1 } }]);
  expect(await node.sees('(SELECT array_agg(a ORDER BY a) = ARRAY[1, 2, 3, 4] FROM t)')).toBe(true);
});

test('one that waits for a lock does not hold up the others of its group', async () => {
  await using node = await openTestNode();
  await create(node, 'a int PRIMARY KEY');
  const blocker = await node.acquire();
  await blocker.query({ text: 'BEGIN; INSERT INTO t VALUES (2)', simple: true });
  let isWaiting = true;
  const blocked = insert(node, 2).finally(() => (isWaiting = false));
  const others = await Promise.all([insert(node, 1), insert(node, 3)]);
  expect([others.map(({ rowCount }) => rowCount), isWaiting]).toEqual([[1, 1], true]);
  await blocker.query({ text: 'ROLLBACK' });
  expect((await blocked).rowCount).toBe(1);
});

test('what a group has locked is free while one of its statements waits', async () => {
  await using node = await openTestNode();
  await create(node, 'a int PRIMARY KEY');
  const blocker = await node.acquire();
  await blocker.query({ text: 'BEGIN; INSERT INTO t VALUES (2)', simple: true });
  const group = Promise.allSettled([insert(node, 1), insert(node, 2)]);
  await until(() => node.sees('EXISTS (SELECT FROM t WHERE a = 1)'));
  // With the group's transaction still open this would be a deadlock.
  await expect(blocker.query({ text: 'INSERT INTO t VALUES (1)' })).rejects.toMatchObject({ code: '23505' });
  await blocker.query({ text: 'ROLLBACK' });
  expect(await group).toMatchObject([{ value: { rowCount: 1 } }, { value: { rowCount: 1 } }]);
});

test('writes that wait, one after the other, leave links for those that come later', async () => {
  await using node = await openTestNode();
  await create(node, 'a int PRIMARY KEY');
  const blocker = await node.acquire();
  await blocker.query({ text: 'BEGIN; INSERT INTO t SELECT generate_series(1, 5)', simple: true });
  const blocked: Promise<QueryResult>[] = [];
  for (let a = 1; a <= 5; a += 1) {
    blocked.push(insert(node, a));
    await until(() => node.sees(`(SELECT count(*) = ${a} FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())`));
  }
  expect((await insert(node, 6)).rowCount).toBe(1);
  await blocker.query({ text: 'ROLLBACK' });
  expect((await Promise.all(blocked)).map(({ rowCount }) => rowCount)).toEqual([1, 1, 1, 1, 1]);
});

test('a group whose connection is lost is not run again', async () => {
  await using node = await openTestNode();
  await create(node, 'a int');
  const settled = Promise.allSettled([insert(node, 1), insert(node, 2), node.connections.queryParsed({ text: 'INSERT INTO t SELECT $1::int FROM pg_sleep(1000)', values: [3], groups: true })]);
  const sleeping = "FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
  await until(() => node.sees(`EXISTS (SELECT ${sleeping})`));
  expect(await node.sees(`(SELECT pg_terminate_backend(pid, 5000) ${sleeping})`)).toBe(true);
  for (const outcome of await settled) expect(outcome).toMatchObject({ status: 'rejected' });
  await insert(node, 4);
  expect(await node.sees('(SELECT array_agg(a) = ARRAY[4] FROM t)')).toBe(true);
});

test('the lock timeout of a group ends with it', async () => {
  await using node = await openTestNode({ exclusiveMax: 1 });
  await create(node, 'a int');
  await Promise.all([insert(node, 1), insert(node, 2)]);
  const connection = await node.acquire();
  expect((await connection.query({ text: "SELECT current_setting('lock_timeout')" })).rows).toEqual([['0']]);
});

test('without a connection all that wait are told', async () => {
  await using node = await openTestNode({ exclusiveMax: 1, acquireTimeoutMs: 30 });
  await create(node, 'a int');
  await node.acquire();
  const first = insert(node, 1);
  await new Promise((resolve) => setImmediate(resolve));
  const settled = await Promise.allSettled([first, insert(node, 2)]);
  expect(settled).toMatchObject([{ reason: { id: 'poolTimeout' } }, { reason: { id: 'poolTimeout' } }]);
});

test('behind one that waits for a lock, with no other connection, the rest is told', async () => {
  await using node = await openTestNode({ exclusiveMax: 2, acquireTimeoutMs: 50 });
  await create(node, 'a int PRIMARY KEY');
  const blocker = await node.acquire();
  await blocker.query({ text: 'BEGIN; INSERT INTO t VALUES (1)', simple: true });
  const blocked = insert(node, 1);
  await until(() => node.sees("EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())"));
  await expect(insert(node, 2)).rejects.toMatchObject({ id: 'poolTimeout' });
  await blocker.query({ text: 'ROLLBACK' });
  expect((await blocked).rowCount).toBe(1);
});

async function create(node: TestNode, columns: string): Promise<void> {
  await node.connections.query({ text: `CREATE TABLE t (${columns})`, simple: true });
}

function insert(node: TestNode, value: unknown, returning = ''): Promise<QueryResult> {
  return node.connections.queryParsed({ text: `INSERT INTO t (a) VALUES ($1) ${returning}`, values: [value], name: `insert${returning.length}`, groups: true });
}
