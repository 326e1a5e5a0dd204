import { afterAll, beforeAll, expect, test } from 'vitest';
import { present } from '../../src/base/assert.ts';
import type { Cluster, TableInfo } from '../../src/index.ts';
import { type ClusterAndPlain, startCluster } from './start-cluster.ts';

/** Keys and foreign keys that no distribution column is in, in a circle even. */
const tables = `
CREATE TABLE shops (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mail text UNIQUE, best int, at timestamptz NOT NULL DEFAULT now());
CREATE TABLE goods (id serial PRIMARY KEY, shop int NOT NULL REFERENCES shops ON DELETE CASCADE ON UPDATE CASCADE, country text REFERENCES lands, span int4range, EXCLUDE USING gist (span WITH &&));
ALTER TABLE shops ADD FOREIGN KEY (best) REFERENCES goods DEFERRABLE INITIALLY DEFERRED`;

let pair: ClusterAndPlain;
let cluster: Cluster;
beforeAll(async () => {
  pair = await startCluster();
  cluster = pair.cluster;
  await both(`CREATE TABLE lands (code text PRIMARY KEY); INSERT INTO lands VALUES ('de'), ('fr'); ${tables}`);
  await cluster.createReferenceTable('lands');
  // Rows first: they move.
  await both(`INSERT INTO shops (mail) SELECT 'm' || i FROM generate_series(1, 20) i`);
  await cluster.query(`ALTER TABLE shops DROP CONSTRAINT shops_best_fkey`);
  await cluster.createDistributedTable('shops', null);
  await cluster.query(`SELECT create_distributed_table('goods', NULL, colocate_with => 'shops')`);
  await cluster.query('ALTER TABLE shops ADD CONSTRAINT shops_best_fkey FOREIGN KEY (best) REFERENCES goods DEFERRABLE INITIALLY DEFERRED');
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

/** On the cluster and on one plain PostgreSQL. */
async function both(text: string): Promise<void> {
  await Promise.all([cluster.query(text), pair.plain.query(text)]);
}

async function outcome(pool: Pick<Cluster, 'query'>, text: string): Promise<unknown> {
  try {
    const { command, rowCount, rows } = await pool.query({ text, rowMode: 'array' });
    return { command, rowCount, rows };
  } catch (error) {
    const { code, message, constraint, table } = error as { code?: string; message: string; constraint?: string; table?: string };
    return { code, message, constraint, table };
  }
}

const infoOf = async (name: string): Promise<TableInfo> => present((await cluster.tables()).find((table) => table.name === name), name);
const nodeOf = async (name: string): Promise<number> => present((await cluster.shards()).find(({ table }) => table === name), name).nodeId;
const clean = async (): Promise<void> => {
  expect((await cluster.checkSchema()).text).toMatch(/no differences/);
  expect((await cluster.verify()).text).toMatch(/no differences/);
};

test('they share a colocation group of one shard, which shows', async () => {
  const [shops, goods] = [await infoOf('shops'), await infoOf('goods')];
  expect(shops).toMatchObject({ kind: 'distributed', distributionColumn: undefined, shardCount: 1, hash: undefined });
  expect(goods.colocationId).toBe(shops.colocationId);
  expect((await cluster.shards()).filter(({ table }) => table === 'goods')).toHaveLength(1);
  expect(await cluster.shardOf('goods', null)).toMatchObject({ table: 'goods', nodeId: await nodeOf('goods') });
  await clean();
});

test('whatever is done to them is as on one PostgreSQL', async () => {
  const steps = [
    `INSERT INTO goods (shop, country, span) VALUES (1, 'de', '[1,5)'), (2, 'fr', '[5,9)'), (3, NULL, NULL) RETURNING id, shop`, `INSERT INTO goods (shop, span) VALUES (4, '[2,3)')`, `INSERT INTO goods (shop) VALUES (99)`,
    `INSERT INTO goods (shop, country) VALUES (1, 'xx')`, `UPDATE shops SET best = 1 WHERE id = 1 RETURNING mail`, `UPDATE shops SET mail = 'm2' WHERE id = 3`, 'UPDATE goods SET shop = shop + 1 WHERE id < 3 RETURNING id, shop',
    `INSERT INTO shops (mail) VALUES ('m4'), ('new') ON CONFLICT (mail) DO UPDATE SET mail = excluded.mail || (SELECT count(*) FROM goods) RETURNING mail, (SELECT max(id) FROM goods)`,
    `INSERT INTO shops (mail) VALUES ('m1'), ('newer'), ('m2') ON CONFLICT DO NOTHING RETURNING mail`, 'INSERT INTO shops DEFAULT VALUES RETURNING mail, best', 'DELETE FROM shops WHERE id = 2', 'SELECT id, shop FROM goods ORDER BY id',
    `WITH gone AS (DELETE FROM goods WHERE id = 3 RETURNING shop), more AS (INSERT INTO shops (mail) VALUES ('w') RETURNING mail) SELECT shop, mail, (SELECT count(*) FROM goods) FROM gone, more`,
    `SELECT s.mail, rank() OVER (ORDER BY s.mail) FROM shops s LEFT JOIN goods g ON g.shop = s.id WHERE s.mail < 'm3' ORDER BY 1 LIMIT 3 FOR UPDATE OF s`.replace(', rank() OVER (ORDER BY s.mail)', ''),
    `WITH RECURSIVE r AS (SELECT id, 1 AS n FROM shops WHERE id = 3 UNION ALL SELECT s.id, n + 1 FROM r JOIN shops s ON s.id = r.id + 1 WHERE n < 5) SELECT r.*, l.code FROM r FULL JOIN lands l ON l.code = 'de' ORDER BY 1`,
    `MERGE INTO goods g USING shops s ON g.shop = s.id AND s.id < 8 WHEN MATCHED THEN DELETE WHEN NOT MATCHED AND s.id < 6 THEN INSERT (id, shop) VALUES (100 + s.id, s.id)`, 'SELECT id, shop FROM goods ORDER BY id',
    // Of another colocation group, of a reference table, of a local one.
    `SELECT s.id, count(*), sum(o.total) FROM shops s JOIN orders o ON o.id = s.id GROUP BY ROLLUP (s.id) ORDER BY 1`, `SELECT count(*) FROM orders WHERE id IN (SELECT id FROM shops ORDER BY mail LIMIT 3)`,
    `SELECT n.body, (SELECT max(mail) FROM shops s WHERE s.id = n.id) FROM notes n ORDER BY 1`, `SELECT id FROM shops EXCEPT SELECT id FROM orders ORDER BY 1 LIMIT 4`, `SELECT code, (SELECT min(id) FROM goods WHERE country = code) FROM lands ORDER BY 1`,
    `SELECT t.n, o.id FROM (SELECT count(*)::int AS n FROM goods) t RIGHT JOIN orders o ON o.id = t.n AND o.tenant_id = 3 WHERE o.tenant_id < 4 ORDER BY o.tenant_id, 2`,
    `INSERT INTO goods (shop, country) SELECT DISTINCT 5, 'de' FROM orders WHERE tenant_id < 4 RETURNING shop`, `INSERT INTO orders (tenant_id, id) SELECT 900 + id, id FROM shops WHERE id < 4`, 'UPDATE shops SET mail = mail || o.id FROM orders o WHERE o.tenant_id = 900 + shops.id RETURNING mail',
    `DELETE FROM orders USING shops WHERE tenant_id = 900 + shops.id`, `MERGE INTO shops s USING orders o ON s.id = o.tenant_id AND o.id = 1 WHEN MATCHED THEN UPDATE SET mail = 'o' || o.tenant_id WHEN NOT MATCHED AND o.id = 2 THEN INSERT (mail) VALUES ('p' || o.tenant_id)`,
    `SELECT mail FROM shops ORDER BY mail`, `UPDATE lands SET code = 'it' WHERE code = 'fr'`, `BEGIN; UPDATE shops SET best = 77 WHERE id = 5; COMMIT`, 'TRUNCATE goods', `SELECT count(*) FROM goods`,
  ];
  for (const step of steps) expect({ step, got: await outcome(cluster, step) }).toEqual({ step, got: await outcome(pair.plain, step) });
  await clean();
});

test('many rows come and go by COPY', async () => {
  const [before] = (await cluster.query<{ n: number }>('SELECT count(*)::int AS n FROM goods')).rows;
  const lines = Array.from({ length: 3000 }, (_, i) => `${1000 + i}\t${3 + (i % 2)}\n`).join('');
  expect(await cluster.copyFrom('COPY goods (id, shop) FROM STDIN', lines)).toEqual({ rowCount: 3000 });
  await expect(cluster.copyFrom('COPY goods (id, shop) FROM STDIN', '9001\t3\n9002\t888\n')).rejects.toMatchObject({ code: '23503' });
  expect((await cluster.copyFrom('COPY goods (shop) FROM STDIN (FORMAT csv)', '3\n4\n'))).toEqual({ rowCount: 2 });
  expect((await cluster.query('SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids FROM goods')).rows).toEqual([{ n: present(before).n + 3002, ids: present(before).n + 3002 }]);
  let bytes = 0;
  for await (const chunk of cluster.copyTo('COPY (SELECT id, shop FROM goods WHERE id >= 1000 AND id < 4000 ORDER BY id) TO STDOUT')) bytes += (chunk as Buffer).length;
  expect(bytes).toBe(lines.length);
});

test('their definitions change, the keys without restrictions', async () => {
  await both(`ALTER TABLE goods ADD label text NOT NULL DEFAULT 'x', ADD UNIQUE (label, id); CREATE UNIQUE INDEX ON goods (lower(label), id); ALTER TABLE shops ALTER id TYPE bigint; ALTER TABLE goods RENAME shop TO seller; ALTER TABLE shops DROP COLUMN best`);
  await clean();
  for (const step of [`INSERT INTO goods (id, seller) VALUES (1, 3) RETURNING label`, 'SELECT count(id) FROM shops']) expect(await outcome(cluster, step)).toEqual(await outcome(pair.plain, step));
  await expect(cluster.query('ALTER TABLE goods ADD other bigint, ADD FOREIGN KEY (other, id) REFERENCES orders')).rejects.toMatchObject({ id: 'unsupportedTable', message: expect.stringContaining('not co-located') as string });
  await clean();
});

test('groups of their own go round the nodes, and move as a whole', async () => {
  const names = ['first', 'second', 'third'];
  for (const name of names) {
    await cluster.query(`CREATE TABLE ${name} (id int PRIMARY KEY); INSERT INTO ${name} VALUES (1)`);
    await cluster.createDistributedTable(name, null, { colocateWith: 'none' });
  }
  const nodes = new Set([await nodeOf('shops'), ...(await Promise.all(names.map(nodeOf)))]);
  expect(nodes.size).toBe(3);
  const rows = await outcome(cluster, 'SELECT * FROM goods ORDER BY id');
  const from = await nodeOf('goods');
  const shard = present((await cluster.shards()).find(({ table }) => table === 'goods')).shardId;
  await cluster.moveShardGroup(shard, { to: 1 + (from % 3) });
  expect([await nodeOf('goods'), await nodeOf('shops')]).toEqual([1 + (from % 3), 1 + (from % 3)]);
  expect(await outcome(cluster, 'SELECT * FROM goods ORDER BY id')).toEqual(rows);
  await expect(cluster.splitShardGroup(shard, { into: 2 })).rejects.toMatchObject({ id: 'invalidParameter', detail: expect.stringContaining('no distribution column') as string });
  await expect(cluster.isolateTenant('goods', 1)).rejects.toMatchObject({ id: 'invalidParameter' });
  // All are weighed.
  const plan = await cluster.rebalancePlan({ strategy: 'by_shard_count', threshold: 0 });
  expect(plan.every(({ shardGroupId }) => typeof shardGroupId === 'number')).toBe(true);
  await clean();
});

test('they become other tables, and others become them', async () => {
  const rows = await outcome(cluster, 'SELECT * FROM first');
  await cluster.alterDistributedTable('first', { column: 'id', shardCount: 4 });
  expect(await infoOf('first')).toMatchObject({ distributionColumn: 'id', shardCount: 4, hash: 'postgres' });
  await cluster.alterDistributedTable('first', { column: null });
  expect(await infoOf('first')).toMatchObject({ distributionColumn: undefined, shardCount: 1 });
  await cluster.alterDistributedTable('first', { reference: true });
  await cluster.alterDistributedTable('first', { column: null, colocateWith: 'second' });
  expect((await infoOf('first')).colocationId).toBe((await infoOf('second')).colocationId);
  await cluster.alterDistributedTable('first', { colocateWith: 'none' });
  expect((await infoOf('first')).colocationId).not.toBe((await infoOf('second')).colocationId);
  expect(await outcome(cluster, 'SELECT * FROM first')).toEqual(rows);
  await clean();
  await cluster.undistributeTable('first');
  expect(await outcome(cluster, 'SELECT * FROM first')).toEqual(rows);
  const count = await outcome(cluster, 'SELECT count(*), sum(total) FROM orders');
  await cluster.query('ALTER TABLE items DROP CONSTRAINT items_tenant_id_order_id_fkey');
  await cluster.alterDistributedTable('orders', { column: null, colocateWith: 'second' });
  expect(await outcome(cluster, 'SELECT count(*), sum(total) FROM orders')).toEqual(count);
  await clean();
});

test('partitions of one are in the same shard group', async () => {
  await both(`CREATE TABLE log (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); CREATE TABLE log_old PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2024-01-01');
    INSERT INTO log SELECT i, date '2020-01-01' + i FROM generate_series(1, 50) i`);
  await cluster.createDistributedTable('log', null, { colocateWith: 'none' });
  await both(`CREATE TABLE log_new PARTITION OF log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01'); INSERT INTO log VALUES (1, '2024-05-05')`);
  for (const step of ['SELECT count(*) FROM log', 'SELECT * FROM log_new', 'SELECT count(*) FROM log_old', `INSERT INTO log VALUES (1, '2040-01-01')`, `UPDATE log SET at = '2024-06-06' WHERE id = 7 RETURNING *`]) {
    expect(await outcome(cluster, step)).toEqual(await outcome(pair.plain, step));
  }
  expect((await infoOf('log_new')).colocationId).toBe((await infoOf('log')).colocationId);
  await clean();
});

test.each<[what: string, make: () => Promise<unknown>, fields: object]>([
  ['several shards', () => cluster.createDistributedTable('third2', null, { shardCount: 4 }), { id: 'invalidParameter' }],
  ['a hash', () => cluster.createDistributedTable('third2', null, { hash: 'murmur3' }), { id: 'invalidParameter' }],
  ['beside tables with a column', () => cluster.createDistributedTable('third2', null, { colocateWith: 'items' }), { id: 'invalidParameter', detail: expect.stringContaining('has a distribution column') as string }],
  ['with a column beside those without', () => cluster.createDistributedTable('third2', 'id', { colocateWith: 'third' }), { id: 'invalidParameter', detail: expect.stringContaining('one shard') as string }],
  ['twice', () => cluster.createDistributedTable('third', null), { id: 'alreadyDistributed' }],
])('refused: %s', async (_what, make, fields) => {
  await cluster.query('CREATE TABLE IF NOT EXISTS third2 (id int PRIMARY KEY)');
  await expect(make()).rejects.toMatchObject(fields);
});
