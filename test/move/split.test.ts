import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../cluster/connections.ts';
import { at } from '../../src/base/assert.ts';
import { nodeId, shardGroupId } from '../../src/catalog/ids.ts';
import type { Cluster, ShardInfo } from '../../src/index.ts';
import { openMoves } from './fault-moves.ts';
import { type MoveCluster, startMoveCluster } from './move-cluster.ts';
import { rowsThere, startLoad } from './writing-load.ts';

let servers: MoveCluster;
let cluster: Cluster;
beforeAll(async () => {
  servers = await startMoveCluster();
  cluster = servers.cluster;
}, 120_000);
afterAll(() => servers[Symbol.asyncDispose](), 60_000);

/** In order of hashes. */
const shardsOf = async (table: string): Promise<ShardInfo[]> => (await cluster.shards()).filter((shard) => shard.table === table).toSorted((a, b) => (a.min ?? 0) - (b.min ?? 0));
const ranges = (shards: readonly Pick<ShardInfo, 'min' | 'max'>[]): unknown[] => shards.map(({ min, max }) => [min, max]);
/** Where it is, and what its shards hold that does not belong there: nothing. */
const misplaced = async (table: string, hash: string): Promise<unknown[]> =>
  (await Promise.all((await shardsOf(table)).map(async ({ name, nodeId, min, max }) => (await servers.on(nodeId, `SELECT '${name}', t::text FROM ${name} t WHERE ${hash} NOT BETWEEN ${min} AND ${max}`))))).flat();

test('a shard group is split, isolated from and merged while two processes write: nothing fails, nothing is lost, nothing is left', async () => {
  const other = servers.another();
  const load = startLoad([cluster, other], { tenants: 24, writers: 4, from: 0 });
  await until(() => load.writes() > 50);
  const before = await shardsOf('orders');
  const first = at(before, 0);
  const [there, elsewhere] = [first.nodeId, (first.nodeId % 3) + 1];
  const split = await cluster.splitShardGroup(first.shardId, { at: [-1_900_000_000, -1_899_999_999], nodes: [there, elsewhere, elsewhere] });
  expect(split.shardGroups.map(({ nodeId }) => nodeId)).toEqual([there, elsewhere, elsewhere]);
  for (const table of ['orders', 'items']) {
    const shards = await shardsOf(table);
    expect(ranges(shards.slice(0, 4))).toEqual([[-(2 ** 31), -1_900_000_000], [-1_899_999_999, -1_899_999_999], [-1_899_999_998, first.max], [at(before, 1).min, at(before, 1).max]]);
    expect(shards.map(({ shardId }) => shardId).filter((id) => before.some(({ shardId }) => shardId === id))).toEqual(table === 'orders' ? before.slice(1).map(({ shardId }) => shardId) : []);
  }
  const isolated = await other.isolateTenant('items', 7, { to: elsewhere });
  expect(isolated.shard).toMatchObject({ table: 'items', nodeId: elsewhere, min: isolated.shard.max });
  const [left, right] = (await shardsOf('orders')) as [ShardInfo, ShardInfo];
  await other.mergeShardGroups(left.shardId, right.shardId, { to: (elsewhere % 3) + 1 });
  await cluster.splitShardGroup(at(await shardsOf('orders'), -1 + (await shardsOf('orders')).length).shardId, { into: 5 });
  const expected = await load.stop();
  expect(load.failures).toEqual([]);
  const rows = await rowsThere(cluster, 0);
  expect(rows.orders).toEqual(expected);
  expect(rows.orphans).toBe(0);
  expect(rows.items).toBeGreaterThan(0);
  expect(await servers.remains()).toEqual([]);
  expect((await cluster.checkSchema()).differences).toEqual([]);
  expect([...(await misplaced('orders', 'hashint8(tenant)')), ...(await misplaced('items', 'hashint8(tenant)'))]).toEqual([]);
}, 180_000);

describe('what undoes a job that is done', () => {
  test('of a split merges the parts, wherever they are by now; of that merge splits at the old hash', async () => {
    const before = await shardsOf('orders');
    const { shardId, nodeId } = at(before, 1);
    const count = (await cluster.query('SELECT count(*) FROM orders')).rows;
    const { jobId } = await cluster.splitShardGroup(shardId, { into: 2 });
    await cluster.moveShardGroup(at(await shardsOf('orders'), 2).shardId, { to: (nodeId % 3) + 1 });
    const split = await shardsOf('orders');
    await cluster.undoMove(jobId);
    const merged = await shardsOf('orders');
    expect(merged.map(({ min, max, nodeId: node }) => [min, max, node])).toEqual(before.map(({ min, max, nodeId: node }) => [min, max, node]));
    const [job] = (await cluster.jobs({ all: true })).slice(-1);
    expect(job).toMatchObject({ kind: 'merge', state: 'done' });
    await cluster.undoMove(job?.jobId ?? '');
    expect((await shardsOf('orders')).map(({ min, max, nodeId: node }) => [min, max, node])).toEqual(split.map(({ min, max, nodeId: node }) => [min, max, node]));
    await expect(cluster.undoMove(jobId)).rejects.toMatchObject({ id: 'moveRefused' });
    expect((await cluster.query('SELECT count(*) FROM orders')).rows).toEqual(count);
    expect(await servers.remains()).toEqual([]);
  }, 60_000);
});

test('other processes are told what a move and a split have changed, and read no more than that', async () => {
  await cluster.query('CREATE TABLE apart (tenant bigint PRIMARY KEY)');
  await cluster.createDistributedTable('apart', 'tenant', { shardCount: 2, colocateWith: 'none' });
  const told = async (): Promise<unknown> => (await servers.on(0, `SELECT ARRAY(SELECT CASE r WHEN 0 THEN 'placements' ELSE r::regclass::text END FROM unnest(relations) r ORDER BY 1) FROM shardwright.cluster JOIN shardwright.catalog_change ON version = catalog_version`))[0]?.[0];
  const { shardId, to } = await servers.place('items');
  await cluster.moveShardGroup(shardId, { to });
  expect(await told()).toEqual(['placements']);
  const { shardGroups } = await cluster.splitShardGroup(shardId, { into: 2 });
  expect(await told()).toEqual(['items', 'orders']);
  const [left, right] = (await shardsOf('items')).filter((shard) => shardGroups.some((group) => group.shardGroupId === shard.shardGroupId)) as [ShardInfo, ShardInfo];
  await cluster.mergeShardGroups(left.shardId, right.shardId);
  expect(await told()).toEqual(['items', 'orders']);
  await cluster.dropTable('apart');
}, 60_000);

test('a value that is alone already is only moved, or left where it is', async () => {
  const { shard, jobId } = await cluster.isolateTenant('orders', 3);
  expect(jobId).toBeDefined();
  expect(await cluster.isolateTenant('orders', '3')).toEqual({ jobId: undefined, shard });
  const to = (shard.nodeId % 3) + 1;
  const moved = await cluster.isolateTenant('orders', 3, { to });
  expect(moved.shard).toEqual({ ...shard, nodeId: to, node: moved.shard.node });
  expect((await cluster.query('SELECT count(*)::int AS count FROM orders WHERE tenant = 3')).rows).toEqual((await servers.on(to, `SELECT count(*)::int FROM ${shard.name}`)).map(([count]) => ({ count })));
}, 60_000);

test('rows of hash family murmur3 go to their parts, those written meanwhile too, and a new table joins the group', async () => {
  await cluster.query(`CREATE TABLE marked (k text, n int, large text)`);
  await cluster.createDistributedTable('marked', 'k', { shardCount: 2, colocateWith: 'none', hash: 'murmur3' });
  const odd = ['tab\t', 'new\nline', 'back\\slash', 'ünï', '\\N', ''];
  for (const k of odd) await cluster.query('INSERT INTO marked VALUES ($1, 0)', [k]);
  await cluster.query(`INSERT INTO marked SELECT 'key ' || g, g, repeat('x', g * 10) FROM generate_series(1, 300) g`);
  const [shard, other] = await shardsOf('marked');
  // What somebody has written past the library: on another shard than its own, or nowhere.
  const stray = `INSERT INTO ${shard?.name} VALUES ('${String((await servers.on(other?.nodeId ?? 0, `SELECT min(k) FROM ${other?.name} WHERE k LIKE 'key %'`))[0]?.[0])}', 0)`;
  await servers.on(shard?.nodeId ?? 0, `INSERT INTO ${shard?.name} VALUES (NULL, 0); ${stray}`);
  await expect(cluster.splitShardGroup(shard?.shardId ?? 0, { into: 3 })).rejects.toMatchObject({ id: 'moveUndone', message: expect.stringContaining('belongs to no part') as string });
  await servers.on(shard?.nodeId ?? 0, `DELETE FROM ${shard?.name} WHERE n = 0 AND k LIKE 'key %'`);
  const [[count] = []] = await servers.on(shard?.nodeId ?? 0, `SELECT count(*)::int FROM ${shard?.name}`);
  let late: Promise<unknown> | undefined;
  await cluster.splitShardGroup(shard?.shardId ?? 0, {
    into: 3, nodes: [1, 2, 3],
    onProgress: ({ state }) => void (state === 'index' && (late ??= cluster.query(`INSERT INTO marked SELECT 'late ' || g, -g FROM generate_series(1, 100) g`))),
  });
  await late;
  // Dealt out as text.
  expect(at((await cluster.jobs({ all: true })).slice(-1), 0).progress['rowsCopied']).toBe(count);
  expect(await shardsOf('marked')).toHaveLength(4);
  await cluster.query('CREATE TABLE beside (k text, m int)');
  await cluster.createDistributedTable('beside', 'k', { colocateWith: 'marked' });
  await cluster.query('INSERT INTO beside SELECT k, n FROM marked');
  expect(await shardsOf('beside')).toHaveLength(4);
  const { rows } = await cluster.query('SELECT count(*)::int, count(DISTINCT m.k)::int AS keys, sum(n)::int AS sum FROM marked m JOIN beside USING (k)');
  expect(rows).toEqual([{ count: 406, keys: 406, sum: 300 * 301 / 2 - 100 * 101 / 2 }]);
  for (const k of odd) expect((await cluster.query('SELECT n FROM marked WHERE k = $1', [k])).rows).toEqual([{ n: 0 }]);
  expect((await cluster.query('SELECT count(*)::int FROM marked WHERE k IS NULL')).rows).toEqual([{ count: 1 }]);
  await cluster.dropTable('marked');
  await cluster.dropTable('beside');
}, 60_000);

const twenty = Array.from({ length: 20 }, (_, i) => i + 1);
test.each([
  ['rows that it takes to another part', 'bare', 'k int, v text', 'UPDATE SHARD SET k = k + 100, v = v || k WHERE k <= 10', twenty.map((k) => (k <= 10 ? `${k + 100} ${k}` : `${k} `))],
  ['those of a table with a key', 'keyed', 'k int PRIMARY KEY, v text', 'UPDATE SHARD SET k = k + 100, v = v || k WHERE k <= 10', twenty.map((k) => (k <= 10 ? `${k + 100} ${k}` : `${k} `))],
  ['a TRUNCATE, for all parts', 'emptied', 'k int PRIMARY KEY, v text', `INSERT INTO SHARD SELECT -k, v FROM SHARD; TRUNCATE SHARD; INSERT INTO SHARD SELECT g, '' FROM generate_series(1, 20) g WHERE g > 5`, twenty.slice(5).map((k) => `${k} `)],
  ['a NULL, which nobody should write', 'lacking', 'k int, v text', `UPDATE SHARD SET v = v || 'x' WHERE k IS NULL; UPDATE SHARD SET k = NULL WHERE k = 20`, [...twenty.slice(0, 19).map((k) => `${k} `), ' ', ' x']],
])('what is done past the library while a shard group is split: %s', async (_, table, columns, change, expected) => {
  await cluster.query(`CREATE TABLE ${table} (${columns})`);
  await cluster.createDistributedTable(table, 'k', { shardCount: 1, colocateWith: 'none' });
  await cluster.query(`INSERT INTO ${table} SELECT g, '' FROM generate_series(1, 20) g`);
  const shard = at(await shardsOf(table), 0);
  if (table === 'lacking') await servers.on(shard.nodeId, `INSERT INTO ${shard.name} VALUES (NULL, '')`);
  const { moves, pools } = await openMoves(servers.embedded.connectionString, 'mover');
  const group = { group: shardGroupId(shard.shardGroupId ?? 0), parts: [{ min: -(2 ** 31), max: -1, node: nodeId(1) }, { min: 0, max: 2 ** 31 - 1, node: nodeId(2) }] };
  try {
    await moves.split(group, { onStep: async (step) => void (step === 'copy:done' && (await servers.on(shard.nodeId, change.replaceAll('SHARD', shard.name)))) });
  } finally {
    await pools.end();
  }
  expect(await misplaced(table, 'hashint4(k)')).toEqual([]);
  const { rows } = await cluster.query<{ line: string }>(`SELECT coalesce(k::text, '') || ' ' || v AS line FROM ${table}`);
  expect(rows.map(({ line }) => line).sort()).toEqual(expected.toSorted());
  await cluster.dropTable(table);
}, 60_000);

test('by SQL, as in Citus', async () => {
  const [shard] = (await shardsOf('orders')).slice(-1);
  const point = Math.floor(((shard?.min ?? 0) + (shard?.max ?? 0)) / 2);
  const split = await cluster.query(`SELECT citus_split_shard_by_split_points($1, ARRAY['${point}'], ARRAY[1, 2], 'force_logical')`, [shard?.shardId]);
  expect(split.rows).toEqual([{ citus_split_shard_by_split_points: '' }]);
  expect((await shardsOf('orders')).slice(-2).map(({ min, max, nodeId }) => [min, max, nodeId])).toEqual([[shard?.min, point, 1], [point + 1, shard?.max, 2]]);
  await cluster.query('SELECT citus_split_shard_by_split_points($1, $2, $3)', [at(await shardsOf('orders'), 0).shardId, [String(at(await shardsOf('orders'), 0).min)], [3, 3]]);
  const { rows } = await cluster.query<{ id: string }>(`SELECT isolate_tenant_to_new_shard('orders', 11, 'CASCADE') AS id`);
  expect(String((await cluster.shardOf('orders', 11)).shardId)).toBe(rows[0]?.id);
  const jobs = (await cluster.jobs({ all: true })).length;
  for (const [text, message] of [
    [`isolate_tenant_to_new_shard('orders', 12)`, /cannot be isolated alone/], [`isolate_tenant_to_new_shard('orders', 12, 'RESTRICT')`, /"RESTRICT" is not known/],
    [`isolate_tenant_to_new_shard('orders', 12, 'CASCADE', shard_transfer_mode => 'quickly')`, /shard_transfer_mode: "quickly"/],
  ] as const) await expect(cluster.query(`SELECT ${text}`)).rejects.toMatchObject({ id: 'invalidParameter', message: expect.stringMatching(message) as string });
  expect((await cluster.jobs({ all: true })).length).toBe(jobs);
}, 60_000);

test('a table that asks for a number of shards joins a colocation group that still has so many, as in Citus', async () => {
  const colocationOf = async (table: string): Promise<number | undefined> => (await cluster.tables()).find(({ name }) => name === table)?.colocationId;
  const make = async (table: string, options?: { readonly shardCount: number }): Promise<number | undefined> => {
    await cluster.query(`CREATE TABLE ${table} (k smallint)`);
    await cluster.createDistributedTable(table, 'k', options);
    return colocationOf(table);
  };
  const first = await make('counted_1', { shardCount: 3 });
  expect(await make('counted_2', { shardCount: 3 })).toBe(first);
  await cluster.splitShardGroup(at(await shardsOf('counted_1'), 0).shardId, { into: 2 });
  const second = await make('counted_3', { shardCount: 3 });
  expect(second).not.toBe(first);
  expect(await shardsOf('counted_3')).toHaveLength(3);
  expect(await make('counted_4', { shardCount: 3 })).toBe(second);
  // The setting only says what is usual.
  const client = await cluster.connect();
  await client.query('SET citus.shard_count TO 3; CREATE TABLE counted_5 (k smallint)');
  await client.query(`SELECT create_distributed_table('counted_5', 'k')`);
  client.release();
  expect(await colocationOf('counted_5')).toBe(first);
  for (let i = 1; i <= 5; i += 1) await cluster.dropTable(`counted_${i}`);
}, 60_000);

describe('what cannot be done is refused, and nothing is touched', () => {
  test.each([
    ['no cut', (id: number) => cluster.splitShardGroup(id, {})],
    ['two cuts', (id: number) => cluster.splitShardGroup(id, { into: 2, at: [0] })],
    ['a point elsewhere', (id: number) => cluster.splitShardGroup(id, { at: [2 ** 31 - 1] })],
    ['too few nodes', (id: number) => cluster.splitShardGroup(id, { into: 2, nodes: [1] })],
    ['a merge with itself', (id: number) => cluster.mergeShardGroups(id, id)],
    ['a merge of two that are no neighbours', async (id: number) => cluster.mergeShardGroups(id, at(await shardsOf('orders'), 3).shardId)],
    ['a reference table', async () => cluster.isolateTenant('plans', 'pro')],
  ])('%s', async (_, work) => {
    const jobs = (await cluster.jobs({ all: true })).length;
    await expect(work(at(await shardsOf('orders'), 0).shardId)).rejects.toMatchObject({ id: 'invalidParameter' });
    expect((await cluster.jobs({ all: true })).length).toBe(jobs);
  });

  test('another job for one of the parts, while there is one', async () => {
    const { shardId } = at((await shardsOf('orders')).slice(-1), 0);
    const { jobId, shardGroups } = await cluster.splitShardGroup(shardId, { into: 2, retainMs: 3_600_000 });
    const parts = (await shardsOf('orders')).filter(({ shardGroupId }) => shardGroups.some((part) => part.shardGroupId === shardGroupId));
    for (const part of parts) await expect(cluster.moveShardGroup(part.shardId, { to: (part.nodeId % 3) + 1 })).rejects.toMatchObject({ id: 'moveInProgress' });
    await cluster.undoMove(jobId);
    expect(await servers.remains()).toEqual([]);
  }, 60_000);
});
