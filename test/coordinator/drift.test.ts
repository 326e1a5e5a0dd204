import { afterAll, beforeAll, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import type { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, run, startCluster } from './start-cluster.ts';

let pair: ClusterAndPlain;
let cluster: Cluster;
beforeAll(async () => {
  pair = await startCluster({ nodes: 2 });
  cluster = pair.cluster;
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

test('a column that a shard misses is told of with node and shard, and found by the check', async () => {
  const { rows: clean } = await cluster.query('SELECT shardwright_check_schema()');
  expect(clean).toEqual([{ shardwright_check_schema: '18 shards compared, no differences' }]);
  const shard = await cluster.shardOf('orders', 3);
  const { connectionString } = at(pair.databases.nodes, shard.nodeId - 1);
  await run(connectionString, `ALTER TABLE ${shard.name} DROP COLUMN note`);
  const told = {
    code: '42703',
    where: expect.stringContaining(`node ${shard.node}, shard ${shard.shardId}`) as string,
    hint: expect.stringContaining('cluster.checkSchema()') as string,
  };
  await expect(cluster.query('SELECT note FROM orders WHERE tenant_id = 3')).rejects.toMatchObject(told);
  for (const text of ['SELECT * FROM orders WHERE tenant_id = 3', 'SELECT o.* FROM orders o JOIN items i USING (tenant_id) WHERE tenant_id = 3', 'SELECT count(*) FROM (SELECT * FROM orders WHERE tenant_id = 3) o', 'DELETE FROM orders WHERE tenant_id = 3 RETURNING *']) {
    await expect(cluster.query(text)).rejects.toMatchObject({ ...told, where: expect.stringContaining(`${shard.shardId}`) as string });
  }
  await expect(cluster.query('UPDATE orders SET note = $2 WHERE tenant_id = $1', [3, 'x'])).rejects.toMatchObject(told);
  await expect(cluster.query('SELECT max(note) FROM orders')).rejects.toMatchObject({ ...told, where: expect.stringContaining(`${shard.shardId}`) as string });
  // As one statement for a node's shards, and as one for each; with rows as they come, and the first of all.
  for (const sql of ['SELECT * FROM orders', 'SELECT * FROM orders ORDER BY tenant_id, id', 'SELECT * FROM orders ORDER BY tenant_id, id LIMIT 60', 'SELECT * FROM orders WHERE id = 1']) {
    const told = { code: expect.stringMatching(/^42(703|601)$/) as string, detail: expect.any(String) as string, hint: expect.stringContaining('cluster.checkSchema()') as string };
    for (let i = 0; i < 3; i += 1) await expect(cluster.query(sql)).rejects.toMatchObject(told);
    await expect(read(cluster.stream(sql))).rejects.toMatchObject(told);
  }
  // A column that the table does not have either is nobody's drift.
  const unknown = await cluster.query('SELECT nothing FROM orders WHERE tenant_id = 3').catch((error: unknown) => error);
  expect(unknown).toMatchObject({ code: '42703', message: 'column "nothing" does not exist' });
  expect(unknown).not.toHaveProperty('hint', told.hint);
  const { differences } = await cluster.checkSchema();
  expect(differences).toMatchObject([{ table: 'orders', shard: shard.name, node: shard.node, what: 'column "note"', expected: 'text', found: null }]);
  const { rows } = await cluster.query<{ report: string }>('SELECT shardwright_check_schema() AS report');
  expect(rows[0]?.report).toContain(`table public.orders, shard ${shard.name}, node ${shard.node}: column "note"`);
  await run(connectionString, at(differences, 0).repair);
  expect((await cluster.query('SELECT note FROM orders WHERE tenant_id = 3 LIMIT 1')).rows).toEqual([{ note: null }]);
  expect((await cluster.checkSchema()).differences).toMatchObject([{ what: 'order of columns' }]);
});

/** With `$1` they are asked of several tenants, some of them on shards whose columns somebody has put in another order. */
const statements = [
  'SELECT * FROM pairs WHERE t = $1', 'SELECT p.*, 1 AS one, p.b FROM public.pairs p WHERE p.t = $1', 'SELECT public.pairs.* FROM public.pairs WHERE pairs.t = $1', 'TABLE pairs ORDER BY t', 'SELECT * FROM pairs ORDER BY t', 'SELECT * FROM pairs WHERE a LIKE $1::text || $$%$$ ORDER BY b LIMIT 3', 'SELECT * FROM pairs WHERE t IN (1, 2, $1)',
  'SELECT * FROM pairs o JOIN others x USING (t) WHERE t = $1', 'SELECT * FROM others x RIGHT JOIN pairs o USING (t) WHERE o.t = $1', 'SELECT * FROM pairs o JOIN others x ON x.t = o.t, generate_series(1, 2) AS g WHERE o.t = $1', 'SELECT * FROM (SELECT * FROM pairs) q (w, x, y, z) WHERE w = $1', 'WITH q AS (SELECT * FROM pairs WHERE t = $1) SELECT * FROM q, LATERAL (SELECT q.a AS again) l',
  'SELECT b FROM (SELECT * FROM pairs WHERE t = $1 UNION ALL SELECT t, b, a, n FROM pairs WHERE t = 2) u ORDER BY b', 'SELECT t, (SELECT max(s.b) FROM (SELECT * FROM pairs) s WHERE s.t = p.t) FROM pairs p WHERE EXISTS (SELECT * FROM pairs e WHERE e.t = p.t) ORDER BY t', 'SELECT * FROM others x LEFT JOIN pairs p ON p.n = x.t + 1 ORDER BY x.t',
  'SELECT p.t, p.a, p.b FROM pairs p WHERE p.n IN (SELECT t FROM others ORDER BY t LIMIT 20) ORDER BY 1', 'SELECT * FROM pairs p WHERE p.n IN (SELECT max(t) - $1::int FROM others) ORDER BY t', 'SELECT * FROM pairs WHERE t = $1 FOR UPDATE', 'SELECT * FROM (SELECT *, row_number() OVER (ORDER BY b) AS r FROM pairs) w WHERE r < 4 ORDER BY r', 'SELECT DISTINCT ON (n % 3) * FROM pairs ORDER BY n % 3, a', 'SELECT p.a, p.b FROM pairs p TABLESAMPLE bernoulli (100) ORDER BY 1', 'SELECT * FROM pairs TABLESAMPLE bernoulli (100) WHERE t = $1',
  `INSERT INTO pairs VALUES ($1, 'a-new', 'b-new', 100) RETURNING *`, `INSERT INTO pairs AS p VALUES ($1, 'a-few', 'b-few') RETURNING p.*`, `INSERT INTO pairs VALUES (1, 'a1', 'b1', 101), ($1, 'a2', 'b2', 101), (3, 'a3', 'b3', DEFAULT)`, `INSERT INTO pairs SELECT t, a || '!', b || '!', n + 200 FROM pairs WHERE t = $1`, `INSERT INTO pairs SELECT * FROM (SELECT t, a || '?', b || '?', n + 300 FROM pairs) q WHERE t = $1`,
  `INSERT INTO public.pairs TABLE more`, `INSERT INTO pairs SELECT t + 1, a, b, n + 400 FROM pairs WHERE t = $1`, `UPDATE pairs SET n = n + 1 WHERE t = $1 RETURNING *`, `UPDATE pairs p SET n = n + 1 FROM others x WHERE x.t = p.t AND p.t = $1 RETURNING *`, `UPDATE pairs SET n = n + 1 RETURNING *`, `UPDATE pairs SET t = t + 1 WHERE n > 500 RETURNING *`,
  `WITH d AS (DELETE FROM pairs WHERE n > 300 AND t = $1 RETURNING *) INSERT INTO pairs SELECT t, a, b, n + 1 FROM d RETURNING *`, `DELETE FROM pairs WHERE n > 400 RETURNING *`, `MERGE INTO pairs p USING others x ON x.t = p.t WHEN MATCHED THEN UPDATE SET a = x.c WHEN NOT MATCHED THEN INSERT (t, a, b) VALUES (x.t, x.c, x.c)`, `INSERT INTO pairs VALUES ($1, 'a', 'b', 1) ON CONFLICT DO NOTHING RETURNING *`,
  `MERGE INTO pairs p USING others x ON x.t = p.t AND p.n = -1 WHEN NOT MATCHED AND CASE WHEN x.t > 8 THEN false ELSE true END THEN INSERT VALUES (x.t, x.c, x.c || '+', 900 + x.t)`, `MERGE INTO pairs p USING others x ON x.t = p.t AND p.n = -1 AND p.t = $1 AND x.t = $1 WHEN MATCHED THEN DELETE WHEN NOT MATCHED AND x.t = $1 THEN INSERT VALUES ($1, x.c, 'm+')`,
  // Both sides of an INSERT go by names, or both by places.
  ...['p.* FROM pairs p JOIN others x ON x.t = p.t', 'p.* FROM pairs p JOIN others x USING (t)', '* FROM (SELECT p.* FROM pairs p LEFT JOIN others x USING (t)) p', 'p.* FROM others x JOIN LATERAL (TABLE pairs) p USING (t)', 't, a, b, n FROM (SELECT t AS k, * FROM pairs p NATURAL JOIN (SELECT t FROM others) x) p'].map((query) => `INSERT INTO pairs SELECT ${query} WHERE p.t = $1 AND p.n = 3 RETURNING *`),
  `WITH q AS (SELECT * FROM pairs WHERE t = $1 AND n < 5) INSERT INTO pairs SELECT q.* FROM q JOIN others USING (t) RETURNING *`,
  // Rows before and after a write.
  'UPDATE pairs SET n = n WHERE t = $1 RETURNING old.*, new.*', 'UPDATE pairs SET n = n RETURNING WITH (OLD AS o, NEW AS w) o.*, 1 AS one, w.*, *', 'UPDATE pairs p SET n = p.n FROM pairs old WHERE old.t = p.t AND old.n = p.n AND old.a = p.a AND old.b = p.b AND old.t = $1 RETURNING old.*', `INSERT INTO pairs VALUES ($1, 'a-own', 'b-own', 950) RETURNING new.*`, 'DELETE FROM pairs WHERE n = 950 RETURNING old.*',
  `MERGE INTO pairs p USING others x ON x.t = p.t AND p.n = 3 AND p.t = $1 AND x.t = $1 WHEN MATCHED THEN UPDATE SET a = p.a RETURNING old.*, new.*`,
  // Beside queries whose columns are known.
  'SELECT * FROM pairs p JOIN (SELECT t, c FROM others) q USING (t) WHERE n < 9', 'WITH q AS (SELECT * FROM others) SELECT * FROM q JOIN pairs USING (t) WHERE n < 9', 'SELECT j.* FROM (pairs p JOIN others o USING (t)) AS j WHERE j.t = $1', 'SELECT * FROM pairs p FULL JOIN others o USING (t) WHERE t = $1', 'SELECT * FROM (pairs p JOIN others o USING (t)) AS j WHERE j.n < 9',
  // What a NATURAL join merges.
  'SELECT * FROM pairs NATURAL JOIN others WHERE t = $1', 'SELECT * FROM others NATURAL JOIN pairs', 'SELECT * FROM others NATURAL LEFT JOIN pairs WHERE t = $1', 'SELECT * FROM others NATURAL FULL JOIN pairs', 'SELECT * FROM others NATURAL RIGHT JOIN pairs', 'SELECT * FROM pairs NATURAL JOIN (SELECT t, c FROM others) q WHERE t = $1', 'SELECT * FROM more NATURAL JOIN pairs',
  'SELECT j.* FROM (pairs NATURAL JOIN others) AS j', 'SELECT p.*, c FROM pairs p NATURAL JOIN others', 'SELECT * FROM (SELECT t AS u, n AS v FROM more) m NATURAL JOIN (SELECT * FROM pairs WHERE t = $1) p WHERE u = $1', 'SELECT * FROM lists NATURAL JOIN (SELECT n AS code, t FROM pairs) q', 'SELECT * FROM pairs NATURAL JOIN others NATURAL JOIN (SELECT t, n FROM more) m', 'SELECT * FROM (SELECT n + 0 AS n, t FROM pairs) p NATURAL JOIN (SELECT t::bigint, n FROM pairs) q WHERE t = $1',
  'SELECT * FROM pairs ORDER BY t, n, a, b', 'SELECT * FROM lists ORDER BY 1', 'SELECT l.*, p.* FROM lists l JOIN pairs p ON p.n = l.code WHERE p.t = $1', `INSERT INTO lists VALUES (50, 'x50', 'y50'), (51, 'x51', DEFAULT) RETURNING *`, 'TABLE lists',
];

test('a shard whose columns are in another order, or has more of them, gives and takes values by their names', async () => {
  const tables = `CREATE TABLE pairs (t int, a text, b text, n int DEFAULT 7); CREATE TABLE others (t int, c text); CREATE TABLE lists (code int, x text, y text); CREATE TABLE more (t int, a text, b text, n int)`;
  const rows = `INSERT INTO pairs (t, a, b, n) SELECT i, 'a' || i, 'b' || 9 - i, i FROM generate_series(1, 8) i; INSERT INTO others (t, c) SELECT i, 'c' || i FROM generate_series(1, 9) i; INSERT INTO lists (code, x, y) SELECT i, 'x' || i, 'y' || i FROM generate_series(1, 5) i;
    INSERT INTO more SELECT i, 'ma' || i, 'mb' || i, 600 + i FROM generate_series(1, 8) i`;
  await Promise.all([cluster.query(tables), pair.plain.query(tables)]);
  await cluster.createDistributedTable('pairs', 't', { shardCount: 4, colocateWith: 'none' });
  await cluster.createDistributedTable('others', 't', { colocateWith: 'pairs' });
  await cluster.createDistributedTable('more', 't', { colocateWith: 'pairs' });
  await cluster.createReferenceTable('lists');
  for (const { name, table, nodeId } of await cluster.shards()) {
    const { connectionString } = at(pair.databases.nodes, nodeId - 1);
    // One of each sort on each node.
    const isOther = Math.floor(Number(name.slice(name.lastIndexOf('_') + 1)) / 2) % 2 === 1;
    if (table === 'pairs' && isOther) await run(connectionString, `ALTER TABLE ${name} DROP a, ADD extra text DEFAULT 'e'; ALTER TABLE ${name} ADD a text`);
    if (table === 'lists' && nodeId === 1) await run(connectionString, `ALTER TABLE ${name} DROP x; ALTER TABLE ${name} ADD x text, ADD extra int DEFAULT 3`);
  }
  await Promise.all([cluster.query(rows), pair.plain.query(rows)]);
  const isOrdered = (text: string): boolean => /ORDER BY/.test(text);
  for (const text of statements) {
    for (const tenant of text.includes('$1') ? [1, 2, 3, 4, 5] : [undefined]) {
      const values = tenant === undefined ? [] : [tenant];
      const shape = async (pool: Pick<Cluster, 'query'>): Promise<unknown> => {
        const { command, rowCount, rows: got, fields } = await pool.query({ text, values, rowMode: 'array' });
        const all = (got as unknown[]).map((row) => JSON.stringify(row));
        return { text, values, command, rowCount, rows: isOrdered(text) ? all : all.sort(), fields: fields.map(({ name }) => name) };
      };
      expect(await shape(cluster)).toEqual(await shape(pair.plain as unknown as Cluster));
    }
  }
});

test('an INSERT that lists no columns is by names or by places as its query is', async () => {
  const tables = 'CREATE TABLE swapped (t int, a text, b text); CREATE TABLE same (t int)';
  await Promise.all([cluster.query(tables), pair.plain.query(tables)]);
  await cluster.createDistributedTable('swapped', 't', { shardCount: 4, colocateWith: 'none' });
  await cluster.createDistributedTable('same', 't', { colocateWith: 'swapped' });
  for (const { name, table, nodeId } of await cluster.shards()) {
    if (table === 'swapped') await run(at(pair.databases.nodes, nodeId - 1).connectionString, `ALTER TABLE ${name} DROP a; ALTER TABLE ${name} ADD a text`);
  }
  const rows = `INSERT INTO swapped VALUES (1, 'a1', 'b1'), (2, 'a2', 'b2'); INSERT INTO same VALUES (1), (2)`;
  await Promise.all([cluster.query(rows), pair.plain.query(rows)]);
  for (const query of [
    's.* FROM swapped s JOIN same USING (t) WHERE s.t = 2', 'q.* FROM swapped q NATURAL JOIN same WHERE t = 2', '* FROM swapped NATURAL JOIN same WHERE t = 2', '* FROM swapped AS s (t, x, y) WHERE t = 2', 'x, y, z FROM swapped AS s (x, y, z) WHERE x = 2', 'x, y, z FROM (SELECT * FROM swapped NATURAL JOIN same) s (x, y, z) WHERE x = 2',
    't, a, b FROM (SELECT * FROM swapped NATURAL JOIN same) s WHERE t = 2', '* FROM (TABLE swapped) s NATURAL JOIN same WHERE t = 2', '* FROM (SELECT * FROM swapped) s NATURAL JOIN same WHERE t = 2', 's.* FROM (SELECT * FROM swapped) s NATURAL JOIN same WHERE t = 2',
    '* FROM swapped WHERE t = 2 UNION ALL SELECT s.* FROM swapped s JOIN same USING (t) WHERE s.t = 2', '* FROM swapped NATURAL JOIN same WHERE t = 2 UNION ALL SELECT * FROM swapped WHERE t = 2 AND b IS NULL',
  ]) {
    const direct = [`INSERT INTO swapped SELECT ${query} RETURNING t, a, b`, `WITH i AS (INSERT INTO swapped SELECT ${query} RETURNING *) SELECT t, a, b FROM i`];
    // Of what goes by places, only a shard can insert its own.
    for (const text of /AS s|\) s \(/.test(query) ? direct : [...direct, `WITH q AS (SELECT ${query}) INSERT INTO swapped SELECT * FROM q RETURNING t, a, b`, `WITH q (x, y, z) AS (SELECT ${query}) INSERT INTO swapped SELECT x, y, z FROM q RETURNING t, a, b`]) {
      const [found, expected] = await Promise.all([cluster, pair.plain].map(async (pool) => {
        const { rows: got } = await (pool as Cluster).query(`BEGIN; ${text}; ROLLBACK`).then((all) => at(all as unknown as { rows: unknown[] }[], 1));
        return { text, rows: got };
      }));
      expect(found).toEqual(expected);
    }
  }
});

test('a column that a shard misses is not taken from the query around it', async () => {
  await cluster.query(`CREATE TABLE outside (t int, b text, n int); CREATE TABLE inside (t int, b text, n int); CREATE TABLE b (t int, b text)`);
  await cluster.createDistributedTable('outside', 't', { shardCount: 4, colocateWith: 'none' });
  for (const table of ['inside', 'b']) await cluster.createDistributedTable(table, 't', { colocateWith: 'outside' });
  await cluster.query(`INSERT INTO outside SELECT i, 'outer', i FROM generate_series(1, 8) i; INSERT INTO inside (t) SELECT i FROM generate_series(1, 8) i; INSERT INTO b (t) SELECT i FROM generate_series(1, 8) i`);
  for (const { name, table, nodeId } of await cluster.shards()) {
    if (['inside', 'b'].includes(table)) await run(at(pair.databases.nodes, nodeId - 1).connectionString, `ALTER TABLE ${name} DROP b`);
  }
  for (const sql of [
    'SELECT (SELECT max(x.b) FROM (SELECT * FROM inside i WHERE i.t = p.t) x) FROM outside p WHERE p.t = 1', 'SELECT (SELECT max(x.b) FROM (SELECT i.* FROM inside i WHERE i.t = p.t) x) FROM outside p WHERE p.t = 1',
    'SELECT (SELECT max(x.b) FROM (TABLE inside) x WHERE x.t = p.t) FROM outside p', 'SELECT x.b FROM outside p, LATERAL (SELECT * FROM inside i WHERE i.t = p.t) x', 'SELECT p.t FROM outside p WHERE (p.t, p.b, p.n) IN (SELECT * FROM inside i WHERE i.t = p.t)',
    // A bare name may also mean a whole row.
    'SELECT * FROM b WHERE t = 1', 'DELETE FROM b WHERE t = 1 RETURNING *',
  ]) await expect(cluster.query(sql), sql).rejects.toMatchObject({ code: '42703' });
});

async function read(rows: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of rows) count += 1;
  return count;
}
