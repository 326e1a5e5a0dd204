import { expect, test } from 'vitest';
import { openTestNode, until } from './connections.ts';
import type { RawRow } from '../../src/cluster/node-connection.ts';

const endless = "SELECT generate_series(1, 1000000000), repeat('x', 200)";

test.each([1, 7, 256, 100_000])('all rows in order, in batches of at most %i', async (batchRows) => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  const stream = connection.stream({ text: 'SELECT i FROM generate_series(1, $1::int) i', values: [20_000] }, { batchRows });
  expect(await stream.fields).toMatchObject([{ name: 'i', dataTypeID: 23 }]);
  let expected = 0;
  for await (const batch of stream) {
    expect(batch.length).toBeLessThanOrEqual(batchRows);
    for (const [value] of batch) if (value !== String((expected += 1))) throw new Error(`${value} instead of ${expected}`);
  }
  expect(expected).toBe(20_000);
  expect((await connection.query({ text: 'SELECT 1' })).rows).toEqual([['1']]);
});

test('nobody pulls: the server has to wait', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  const iterator = connection.stream({ text: endless })[Symbol.asyncIterator]();
  await iterator.next();
  await until(() => node.sees(`EXISTS (SELECT FROM pg_stat_activity WHERE pid = ${connection.processId} AND wait_event = 'ClientWrite')`));
  const { value: second } = await iterator.next();
  expect(second?.length).toBeGreaterThan(0);
  await iterator.return?.();
  expect((await connection.query({ text: 'SELECT 1' })).rows).toEqual([['1']]);
});

test('memory stays flat while many rows wait for a slow consumer', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  let rows = 0;
  let peakBytes = 0;
  const beforeBytes = process.memoryUsage().rss;
  for await (const batch of connection.stream({ text: "SELECT i, repeat('x', 1000) FROM generate_series(1, 200000) AS i" })) {
    rows += batch.length;
    await node.sees('true');
    peakBytes = Math.max(peakBytes, process.memoryUsage().rss);
  }
  expect(rows).toBe(200_000);
  // 200 MB went through.
  expect(peakBytes - beforeBytes).toBeLessThan(120e6);
});

test('leaving early cancels, and the connection is clean', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  for await (const batch of connection.stream({ text: endless })) if (batch.length > 0) break;
  expect(connection.transactionStatus).toBe('idle');
  expect((await connection.query({ text: 'SELECT 1' })).rows).toEqual([['1']]);
  connection.release();
  expect(node.connections.counts).toMatchObject({ idle: 1 });
});

test('leaving before the first row is pulled', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  await connection.stream({ text: endless })[Symbol.asyncIterator]().return?.();
  expect((await connection.query({ text: 'SELECT 1' })).rows).toEqual([['1']]);
});

test('leaving early inside a transaction block does not abort it', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  void connection.query({ text: 'BEGIN', simple: true });
  for await (const batch of connection.stream({ text: 'SELECT generate_series(1, 100000)' })) if (batch.length > 0) break;
  expect(connection.transactionStatus).toBe('open');
  await connection.query({ text: 'CREATE TABLE t ()' });
  await connection.query({ text: 'COMMIT' });
  expect(await node.sees("to_regclass('t') IS NOT NULL")).toBe(true);
});

test('return interrupts a pending next', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  const iterator = connection.stream({ text: 'SELECT pg_sleep(1000)' })[Symbol.asyncIterator]();
  const pending = expect(iterator.next()).rejects.toMatchObject({ code: '57014' });
  await iterator.return?.();
  await pending;
  expect((await connection.query({ text: 'SELECT 1' })).rows).toEqual([['1']]);
});

test('an error comes after the rows before it', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  const rows: RawRow[] = [];
  const stream = connection.stream({ text: 'SELECT 1 / (5000 - i) FROM generate_series(1, 10000) i' });
  const reading = (async () => {
    for await (const batch of stream) rows.push(...batch);
  })();
  await expect(reading).rejects.toMatchObject({ code: '22012' });
  expect(rows).toHaveLength(4_999);
  expect((await connection.query({ text: 'SELECT 1' })).rows).toEqual([['1']]);
});

test('an error before any row rejects the fields too', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  const stream = connection.stream({ text: 'SELECT nothing' });
  await expect(stream.fields).rejects.toMatchObject({ code: '42703' });
  await expect(stream[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: '42703' });
});

test('aborting ends a stream', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  const controller = new AbortController();
  const reading = (async () => {
    for await (const batch of connection.stream({ text: endless }, { signal: controller.signal })) if (batch.length > 0) controller.abort();
  })();
  await expect(reading).rejects.toMatchObject({ id: 'canceled' });
  expect((await connection.query({ text: 'SELECT 1' })).rows).toEqual([['1']]);
});

test('a statement issued behind a stream runs when the stream has ended', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  const stream = connection.stream({ text: 'SELECT generate_series(1, 50000)' });
  const behind = connection.query({ text: 'SELECT 2' });
  let rows = 0;
  for await (const batch of stream) rows += batch.length;
  expect([rows, (await behind).rows]).toEqual([50_000, [['2']]]);
});
