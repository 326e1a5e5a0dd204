import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CitusCluster, openCitusCluster } from './citus-cluster.ts';

let citus: CitusCluster;
beforeAll(async () => {
  citus = await openCitusCluster();
});
afterAll(() => citus[Symbol.asyncDispose](), 15_000);

const count = async (table: string): Promise<unknown> => (await citus.cluster.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`)).rows[0]?.n;

test('a dry run changes nothing', async () => {
  const { cluster, from } = citus;
  const summary = await cluster.adoptCitus({ from, dryRun: true });
  expect(summary.nodes).toHaveLength(2);
  expect(summary.tables).toEqual([
    { schema: 'public', name: 'items', kind: 'distributed', distributionColumn: 'tenant_id', shardCount: 4 }, { schema: 'public', name: 'orders', kind: 'distributed', distributionColumn: 'tenant_id', shardCount: 4 },
    { schema: 'public', name: 'countries', kind: 'reference', distributionColumn: undefined, shardCount: 1 },
  ]);
  expect([await cluster.nodes(), await cluster.tables()]).toEqual([[], []]);
});

test.each([
  ['a table with rows here', () => citus.cluster.query(`INSERT INTO countries VALUES ('xx')`), () => citus.cluster.query('DELETE FROM countries'), { id: 'adoptionRefused', detail: expect.stringContaining('has rows') }],
  ['a shard with another column', () => citus.onNode(1, 'ALTER TABLE orders_102009 ADD COLUMN more int'), () => citus.onNode(1, 'ALTER TABLE orders_102009 DROP COLUMN more'), { id: 'adoptionRefused', detail: expect.stringContaining('orders_102009') }],
  ['a shard that is not there', () => citus.onNode(0, 'ALTER TABLE items_102012 RENAME TO items_away'), () => citus.onNode(0, 'ALTER TABLE items_away RENAME TO items_102012'), { id: 'adoptionRefused', detail: expect.stringContaining('no table "public"."items_102012"') }],
  ['a row that is astray', () => citus.onNode(0, 'INSERT INTO orders_102008 SELECT t, 5 FROM generate_series(1, 9) t'), () => citus.onNode(0, 'DELETE FROM orders_102008 WHERE id = 5'), { code: '23514' }],
  ['a table that is not here', () => citus.onCitus(`CREATE TABLE more (tenant_id bigint); INSERT INTO pg_dist_partition SELECT 'more', partmethod, partkey, colocationid, repmodel FROM pg_dist_partition WHERE logicalrelid = 'orders'::regclass;
    INSERT INTO pg_dist_shard SELECT 'more', shardid + 100, shardstorage, shardminvalue, shardmaxvalue FROM pg_dist_shard WHERE logicalrelid = 'orders'::regclass; INSERT INTO pg_dist_placement (shardid, groupid) SELECT shardid + 100, groupid FROM pg_dist_placement WHERE shardid < 102012`),
  () => citus.onCitus(`DELETE FROM pg_dist_partition WHERE logicalrelid = 'more'::regclass; DELETE FROM pg_dist_shard WHERE shardid >= 102108; DELETE FROM pg_dist_placement WHERE shardid >= 102108; DROP TABLE more`), { id: 'undefinedTable' }],
])('refused, and nothing is left: %s', async (_, plant, mend, error) => {
  await plant();
  await expect(citus.cluster.adoptCitus({ from: citus.from })).rejects.toMatchObject(error);
  expect(await citus.cluster.tables()).toEqual([]);
  expect(await citus.onNode(0, `SELECT conname FROM pg_constraint WHERE conname LIKE 'shardwright%'`)).toEqual([]);
  await mend();
});

test('shards are taken over in place, given back, and taken over again', async () => {
  const { cluster, from } = citus;
  await cluster.adoptCitus({ from });
  expect([await count('orders'), await count('items'), await count('countries'), await count('orders JOIN items USING (tenant_id) WHERE note = \'by Citus\'')]).toEqual([200, 200, 2, 200]);
  for (const tenant of [1, 2, 3, 4]) expect((await cluster.query('SELECT note FROM orders WHERE tenant_id = $1', [tenant])).rows).toEqual([{ note: 'by Citus' }]);
  expect((await cluster.shards()).filter(({ table }) => table === 'orders').map(({ name, nodeId }) => [name, nodeId])).toEqual([[1, 102_008], [2, 102_009], [1, 102_010], [2, 102_011]].map(([node, id]) => [`orders_${id}`, node]));
  expect((await cluster.checkSchema()).differences).toEqual([]);
  expect((await cluster.verify()).text).toBe('404 rows in 10 shards of 3 tables verified, no differences');
  await expect(cluster.adoptCitus({ from })).rejects.toMatchObject({ id: 'alreadyDistributed' });

  await cluster.releaseCitus({ from });
  expect([await cluster.tables(), await count('orders')]).toEqual([[], 0]);
  expect(await citus.onNode(0, `SELECT (SELECT count(*) FROM pg_constraint WHERE conname LIKE 'shardwright%')::int, (SELECT count(*) FROM orders_102008)::int > 0`)).toEqual([[0, true]]);
  await expect(cluster.releaseCitus({ from })).rejects.toMatchObject({ id: 'adoptionRefused' });

  await cluster.query(`INSERT INTO orders VALUES (1, 1); DELETE FROM orders`);
  await cluster.adoptCitus({ from });
  await cluster.query(`INSERT INTO orders SELECT t, 2, 'new' FROM generate_series(1, 50) t`);
  await cluster.query('CREATE TABLE later (tenant_id bigint PRIMARY KEY)');
  await cluster.createDistributedTable('later', 'tenant_id', { shardCount: 4 });
  expect(Math.min(...(await cluster.shards()).filter(({ table }) => table === 'later').map(({ shardId }) => shardId))).toBeGreaterThan(102_016);
  expect(await count('orders JOIN later USING (tenant_id)')).toBe(0);
  expect(await count('orders')).toBe(250);
});

test('shards that are not where Citus says are not given back', async () => {
  await citus.onCitus('UPDATE pg_dist_placement SET groupid = 3 - groupid WHERE shardid IN (102008, 102012)');
  await expect(citus.cluster.releaseCitus({ from: citus.from })).rejects.toMatchObject({ id: 'adoptionRefused', detail: expect.stringContaining('orders') });
  expect(await count('orders')).toBe(250);
});

test('a database that is no coordinator of Citus', async () => {
  await citus.onCitus('DROP TABLE pg_dist_placement');
  await expect(citus.cluster.adoptCitus({ from: citus.from })).rejects.toMatchObject({ id: 'adoptionRefused', message: expect.stringContaining('no coordinator of Citus') });
});
