import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareDefinitions, outcome } from './propagate/compare-definitions.ts';
import { type EmptyPair, startEmptyPair } from './propagate/empty-pair.ts';

let pair: EmptyPair;

beforeAll(async () => {
  pair = await startEmptyPair(18);
  const tables = `CREATE TABLE orders (tenant_id bigint, id int, total numeric(10, 2), note varchar(20) COLLATE "C", PRIMARY KEY (tenant_id, id));
    CREATE TABLE plain (a int, b text); INSERT INTO plain SELECT i, 'b' || i FROM generate_series(1, 5) i`;
  for (const side of [pair.cluster, pair.plain]) await side.query(tables);
  await pair.cluster.createDistributedTable('orders', 'tenant_id', { shardCount: 4 });
  for (const side of [pair.cluster, pair.plain]) await side.query(`INSERT INTO orders SELECT i % 7, i, i * 1.5, CASE WHEN i % 3 > 0 THEN 'n' || i END FROM generate_series(1, 40) i; CREATE VIEW large AS SELECT * FROM orders WHERE total > 30`);
  await pair.cluster.createDistributedSchema('own');
  await pair.plain.query('CREATE SCHEMA own');
});

afterAll(() => pair[Symbol.asyncDispose]());

test.each([
  ['of distributed tables', 'CREATE TABLE own.copied AS SELECT * FROM orders', 'own.copied'],
  ['with names and options', 'CREATE TABLE own.sums (tenant, "Sum ü") WITH (fillfactor = 70) AS SELECT tenant_id, sum(total) FROM large GROUP BY 1 WITH DATA', 'own.sums'],
  ['of a sorted part in parentheses', 'CREATE TABLE own.parts AS (SELECT id, note FROM orders ORDER BY total DESC LIMIT 3)', 'own.parts'],
  ['of local tables', 'CREATE TABLE own.local AS SELECT a, b || $q$x$q$ AS c FROM plain', 'own.local'],
  ['of nothing', `CREATE UNLOGGED TABLE own.nothing AS VALUES (1, 'one'), (2, 'two')`, 'own.nothing'],
  ['of both', 'CREATE TABLE own.joined AS SELECT o.id, p.b FROM orders o JOIN plain p ON p.a = o.id', 'own.joined'],
  ['without data', 'CREATE TABLE own.shape AS SELECT * FROM orders WITH NO DATA', 'own.shape'],
  ['by SELECT INTO', 'SELECT id, total INTO own.taken FROM orders WHERE tenant_id = 3', 'own.taken'],
  ['by SELECT INTO TABLE of local tables', 'SELECT a INTO TABLE own.also FROM plain', 'own.also', '1'],
  ['by SELECT INTO elsewhere', 'SELECT DISTINCT tenant_id INTO UNLOGGED elsewhere FROM orders UNION SELECT 100', 'elsewhere', '1'],
  ['where there is one already', 'CREATE TABLE IF NOT EXISTS own.copied AS SELECT id FROM orders', 'own.copied'],
  ['where there is another already', 'CREATE TABLE own.copied AS SELECT id FROM orders', 'own.copied'],
  ['of a query that fails', 'CREATE TABLE own.failing AS SELECT 1 / (id - 3) FROM orders', 'own.failing'],
  ['by a search path', 'BEGIN; SET LOCAL search_path TO own, public; CREATE TABLE found AS SELECT * FROM large; SELECT count(*) FROM found; COMMIT', 'own.found'],
  ['in a block that is undone', 'BEGIN; CREATE TABLE own.undone AS SELECT * FROM orders; ROLLBACK', 'own.undone'],
])('a table made by a query: %s', async (_, text, name, order = '1, 2') => {
  for (const statement of [text, `SELECT * FROM ${name} ORDER BY ${order}`]) {
    expect({ statement, got: await outcome(pair.cluster, statement) }).toEqual({ statement, got: await outcome(pair.plain, statement) });
  }
});

test('they are distributed, and shards are as one PostgreSQL has the tables', async () => {
  const { cluster, databases, reference } = pair;
  expect((await cluster.tables()).filter(({ schema }) => schema === 'own').map(({ name }) => name).toSorted()).toEqual(['also', 'copied', 'found', 'joined', 'local', 'nothing', 'parts', 'shape', 'sums', 'taken']);
  await compareDefinitions({ cluster, coordinator: databases.coordinator, nodes: databases.nodes, plain: reference.coordinator });
  expect((await cluster.checkSchema()).differences).toEqual([]);
});

test('REINDEX DATABASE and SYSTEM, and CLUSTER without a table, reach the nodes', async () => {
  const { cluster, databases } = pair;
  await cluster.query('CLUSTER orders USING orders_pkey');
  const shards = (await cluster.shards()).filter(({ table }) => table === 'orders');
  /** Of tables, of their indexes, and of an index of the catalog, all nodes together. */
  const files = async () => {
    const found = { tables: new Set<unknown>(), indexes: new Set<unknown>(), system: new Set<unknown>() };
    for (const { nodeId, name } of shards) {
      const { rows } = await cluster.query<{ result: string }>(`SELECT result FROM run_command_on_all_nodes($$SELECT concat_ws(' ', pg_relation_filenode('${name}'), (SELECT pg_relation_filenode(indexrelid) FROM pg_index WHERE indrelid = to_regclass('${name}')), pg_relation_filenode('pg_attribute_relid_attnam_index'))$$)`);
      const [table, index, system] = String(rows[nodeId]?.result).split(' ');
      found.tables.add(`${nodeId} ${table}`);
      found.indexes.add(`${nodeId} ${index}`);
      found.system.add(`${nodeId} ${system}`);
    }
    return found;
  };
  const stayed = (a: Set<unknown>, b: Set<unknown>) => [...a].filter((file) => b.has(file)).length;
  const first = await files();
  expect(first.tables.size).toBe(4);
  await cluster.query(`REINDEX DATABASE "${databases.coordinator.database}"`);
  const second = await files();
  expect([stayed(first.tables, second.tables), stayed(first.indexes, second.indexes)]).toEqual([4, 0]);
  await cluster.query('REINDEX SYSTEM');
  const third = await files();
  expect([stayed(second.indexes, third.indexes), stayed(second.system, third.system)]).toEqual([4, 0]);
  await cluster.query('CLUSTER');
  expect(stayed(third.tables, (await files()).tables)).toBe(0);
  await expect(cluster.query('REINDEX DATABASE nothing')).rejects.toMatchObject({ code: '0A000' });
});
