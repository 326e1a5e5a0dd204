import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, startCluster } from './start-cluster.ts';

let pair: ClusterAndPlain;
let cluster: Cluster;
beforeAll(async () => {
  pair = await startCluster();
  cluster = pair.cluster;
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

const infoOf = async (name: string) => (await cluster.tables()).find((table) => table.name === name);
const rowsOf = async (table: string, from: Pick<Cluster, 'query'> = cluster): Promise<unknown[]> =>
  (await from.query({ text: `SELECT t::text AS row FROM (SELECT * FROM ${table}) t ORDER BY 1`, rowMode: 'array' })).rows;

/** Nothing of old shards is left, and new ones are as the table is. */
const clean = async (): Promise<void> => expect((await cluster.checkSchema()).text).toMatch(/no differences/);

/** `change` is refused, and nothing is changed. */
async function refused(change: Promise<unknown>, fields: object, ...tables: readonly string[]): Promise<void> {
  await expect(change).rejects.toMatchObject(fields);
  for (const table of tables) await expect(rowsOf(table)).resolves.not.toEqual([]);
  await clean();
}

test('another column', async () => {
  await cluster.query(`CREATE TABLE wide (a bigint, b text COLLATE "C", c jsonb, d text, PRIMARY KEY (a, b));
    INSERT INTO wide SELECT i, E'k\\t\\\\' || i, jsonb_build_object('n', i), nullif(repeat('x', i % 400), '') FROM generate_series(1, 3000) i`);
  await cluster.createDistributedTable('wide', 'a', { shardCount: 8 });
  const before = await rowsOf('wide');
  const [other, session] = [pair.another(), await cluster.connect()];
  await expect(rowsOf('wide', other)).resolves.toEqual(before);
  await cluster.query(`SELECT alter_distributed_table('wide', distribution_column => 'b')`);
  expect(await infoOf('wide')).toMatchObject({ distributionColumn: 'b', shardCount: 8 });
  await expect(rowsOf('wide')).resolves.toEqual(before);
  await expect(rowsOf('wide', other)).resolves.toEqual(before);
  session.release();
  const explained = await cluster.explain(`SELECT a FROM wide WHERE b = 'x'`);
  expect(explained.text).toMatch(/^Router/);
  await clean();
});

test('a shard count, of all that is co-located, with foreign keys, in one or back', async () => {
  const [orders, items] = [await rowsOf('orders'), await rowsOf('items')];
  await refused(cluster.alterDistributedTable('orders', { shardCount: 3 }), { id: 'unsupportedTable', message: expect.stringContaining('of table "items" refers to it') as string }, 'orders', 'items');
  await refused(cluster.alterDistributedTable('items', { shardCount: 3 }), { id: 'unsupportedTable', message: expect.stringContaining('not co-located') as string }, 'orders', 'items');
  for (const shardCount of [3, 8]) {
    await cluster.alterDistributedTable('items', { shardCount, cascadeToColocated: true });
    expect(await infoOf('orders')).toMatchObject({ shardCount });
    expect((await infoOf('items'))?.colocationId).toBe((await infoOf('orders'))?.colocationId);
    await expect(rowsOf('orders')).resolves.toEqual(orders);
    await expect(rowsOf('items')).resolves.toEqual(items);
    await clean();
    await expect(cluster.query(`INSERT INTO items VALUES (1, 99, 1, 'x')`)).rejects.toMatchObject({ code: '23503' });
  }
  expect((await cluster.query('SELECT count(*)::int AS n FROM shardwright.colocation_group g WHERE NOT EXISTS (SELECT FROM shardwright.distributed_table t WHERE t.colocation_id = g.colocation_id)')).rows).toEqual([{ n: 0 }]);
});

test('reference, distributed, local, and back', async () => {
  await cluster.query(`CREATE TABLE turns (k int PRIMARY KEY, v text); INSERT INTO turns SELECT i, 'v' || i FROM generate_series(1, 500) i`);
  const rows = await rowsOf('turns');
  await cluster.createReferenceTable('turns');
  await cluster.alterDistributedTable('turns', { column: 'k', shardCount: 5, colocateWith: 'none' });
  expect(await infoOf('turns')).toMatchObject({ kind: 'distributed', shardCount: 5 });
  await expect(rowsOf('turns')).resolves.toEqual(rows);
  await clean();
  await cluster.alterDistributedTable('turns', { reference: true });
  expect(await infoOf('turns')).toMatchObject({ kind: 'reference' });
  for (let i = 0; i < 3; i += 1) await expect(rowsOf('turns')).resolves.toEqual(rows);
  await clean();
  await cluster.alterDistributedTable('turns', { column: 'k', colocateWith: 'none' });
  await cluster.undistributeTable('turns');
  expect(await infoOf('turns')).toBe(undefined);
  await expect(rowsOf('turns')).resolves.toEqual(rows);
});

test('into the group of another table, and out of it', async () => {
  await cluster.query('CREATE TABLE joins (tenant_id bigint, n int); INSERT INTO joins SELECT i, i FROM generate_series(1, 50) i');
  await cluster.createDistributedTable('joins', 'tenant_id', { colocateWith: 'none', shardCount: 2 });
  await cluster.query(`SELECT alter_distributed_table('joins', colocate_with => 'orders')`);
  expect((await infoOf('joins'))?.colocationId).toBe((await infoOf('orders'))?.colocationId);
  await cluster.query(`SELECT alter_distributed_table('joins', colocate_with := 'none', shard_count := 4)`);
  expect((await infoOf('joins'))?.colocationId).not.toBe((await infoOf('orders'))?.colocationId);
  expect(await infoOf('joins')).toMatchObject({ shardCount: 4 });
  expect(await rowsOf('joins')).toHaveLength(50);
  await clean();
});

test('partitions come along', async () => {
  await cluster.query(`CREATE TABLE log (k int, at date, CONSTRAINT late CHECK (at > '2000-01-01'), PRIMARY KEY (k, at)) PARTITION BY RANGE (at);
    CREATE TABLE log_a PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2021-01-01'); CREATE TABLE log_rest PARTITION OF log DEFAULT;
    INSERT INTO log SELECT i, date '2020-06-01' + i FROM generate_series(1, 600) i`);
  await cluster.createDistributedTable('log', 'k', { shardCount: 2, colocateWith: 'none' });
  const before = [await rowsOf('log'), await rowsOf('log_a')];
  await refused(cluster.alterDistributedTable('log_a', { shardCount: 5 }), { id: 'unsupportedTable', message: expect.stringContaining('partition of "log"') as string }, 'log');
  await cluster.alterDistributedTable('log', { shardCount: 5 });
  expect([await rowsOf('log'), await rowsOf('log_a')]).toEqual(before);
  expect(await infoOf('log_rest')).toMatchObject({ shardCount: 5 });
  await clean();
});

test('what cannot be, leaves all as it was', async () => {
  await cluster.query('CREATE TABLE nulls (k int, n int); INSERT INTO nulls VALUES (1, 1), (2, NULL)');
  await cluster.createDistributedTable('nulls', 'k');
  await refused(cluster.alterDistributedTable('nulls', { column: 'n' }), { id: 'distributionValueMissing' }, 'nulls');
  await refused(cluster.alterDistributedTable('wide', { column: 'c' }), { id: 'unsupportedTable' }, 'wide');
  await refused(cluster.alterDistributedTable('wide', { column: 'd' }), { id: 'unsupportedTable', message: expect.stringContaining('primary key') as string }, 'wide');
  await refused(cluster.alterDistributedTable('wide', {}), { id: 'invalidParameter' }, 'wide');
  await refused(cluster.alterDistributedTable('countries', { shardCount: 3 }), { id: 'invalidParameter' }, 'countries');
  await refused(cluster.alterDistributedTable('countries', { reference: true }), { id: 'alreadyDistributed' }, 'countries');
  await refused(cluster.alterDistributedTable('orders', { column: 'id', cascadeToColocated: true }), { id: 'invalidParameter' }, 'orders');
  await refused(cluster.alterDistributedTable('items', { reference: true }), { id: 'unsupportedTable', message: expect.stringContaining('distributed table "orders"') as string }, 'items');
  await refused(cluster.alterDistributedTable('notes', { column: 'id' }), { id: 'notDistributed' }, 'notes');
  await refused(cluster.alterDistributedTable('wide', { shardCount: 5, signal: AbortSignal.timeout(40) }), { id: 'canceled' }, 'wide');
});
