import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startEmbeddedCluster, volatileSettings } from '../../src/embedded.ts';
import type { Cluster } from '../../src/index.ts';
import { serve } from '../../src/wire.ts';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';

let pair: ClusterAndPlain;
let cluster: Cluster;
beforeAll(async () => {
  pair = await startCluster();
  cluster = pair.cluster;
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

const rowsOf = async (text: string, values: readonly unknown[] = [], from: Pick<Cluster, 'query'> = cluster): Promise<unknown[][]> =>
  (await from.query({ text, values: [...values], rowMode: 'array' })).rows;

/** One value from each node, asked directly. */
async function onNodes<T>(text: string): Promise<T[]> {
  const answers: T[] = [];
  for (const { connectionString } of pair.databases.nodes) {
    const client = new Client({ connectionString });
    await client.connect();
    answers.push((await client.query<{ value: T }>(text)).rows[0]?.value as T);
    await client.end();
  }
  return answers;
}

const sum = (sizes: readonly string[]): string => String(sizes.reduce((total, size) => total + BigInt(size), 0n));
const sizeOnNodes = (measure: string, names: string): string => `SELECT coalesce(sum(${measure}(oid)), 0)::text AS value FROM pg_class WHERE relname ~ '^(${names})_[0-9]{6,}$'`;

test('metadata tables join as tables do', async () => {
  const rows = await rowsOf(`SELECT s.logicalrelid::text, count(*), count(DISTINCT n.nodename || n.nodeport), min(s.shardminvalue::int), max(s.shardmaxvalue::int) FROM pg_dist_shard s JOIN pg_catalog.pg_dist_placement p USING (shardid)
    JOIN pg_dist_node n ON n.groupid = p.groupid GROUP BY 1 ORDER BY 1`);
  expect(rows).toEqual([['countries', '3', '3', null, null], ['items', '8', '3', -(2 ** 31), 2 ** 31 - 1], ['orders', '8', '3', -(2 ** 31), 2 ** 31 - 1]]);
  expect(await rowsOf('SELECT logicalrelid::text, partmethod, column_to_column_name(logicalrelid, partkey), colocationid > 0, repmodel FROM pg_dist_partition ORDER BY 1')).toEqual([
    ['countries', 'n', null, false, 't'], ['items', 'h', 'tenant_id', true, 's'], ['orders', 'h', 'tenant_id', true, 's'],
  ]);
  expect(await rowsOf('SELECT shardcount, distributioncolumntype::regtype::text FROM pg_dist_colocation')).toEqual([[8, 'bigint']]);
  expect(await rowsOf(`SELECT shardstate, nodeport FROM pg_dist_shard_placement WHERE shardid = get_shard_id_for_distribution_column('orders', 5)`)).toEqual([
    [1, Number((await cluster.shardOf('orders', 5)).node.match(/:(\d+)/)?.[1])],
  ]);
});

test('shards and tables with their sizes', async () => {
  const orders = sum(await onNodes<string>(sizeOnNodes('pg_total_relation_size', 'orders')));
  expect(await rowsOf(`SELECT count(*), sum(shard_size)::text FROM citus_shards WHERE table_name = 'orders'::regclass`)).toEqual([['8', orders]]);
  expect(await rowsOf(`SELECT sum(size)::text FROM citus_shard_sizes() WHERE shard_id IN (SELECT shardid FROM pg_dist_shard WHERE logicalrelid = $1::regclass)`, ['orders'])).toEqual([[orders]]);
  expect(await rowsOf(`SELECT table_name::text, citus_table_type, distribution_column, table_size = pg_size_pretty(citus_total_relation_size(table_name)), shard_count, table_owner, access_method FROM citus_tables ORDER BY 1`)).toEqual([
    ['countries', 'reference', '<none>', true, '1', 'postgres', 'heap'], ['items', 'distributed', 'tenant_id', true, '8', 'postgres', 'heap'], ['orders', 'distributed', 'tenant_id', true, '8', 'postgres', 'heap'],
  ]);
  expect((await rowsOf(`SELECT shard_name FROM citus_shards WHERE table_name = 'items'::regclass`)).map(([name]) => name)).toEqual(
    (await cluster.shards()).filter(({ table }) => table === 'items').map(({ name }) => name));
});

test.each([
  ['pg_table_size', 'orders', 'orders'], ['pg_relation_size', 'orders', 'orders'], ['pg_indexes_size', 'orders', 'orders'], ['pg_total_relation_size', 'countries', 'countries'], ['pg_table_size', 'orders_pkey', 'orders_pkey'],
])('%s of %s is that of all shards, whatever query asks', async (measure, relation, shards) => {
  const expected = sum(await onNodes<string>(sizeOnNodes(measure, shards)));
  expect(Number(expected)).toBeGreaterThan(0);
  expect(await rowsOf(`SELECT ${measure}('${relation}')`)).toEqual([[expected]]);
  expect(await rowsOf(`SELECT ${measure}($1), $2::int AS n`, [relation, 7])).toEqual([[expected, 7]]);
  expect(await rowsOf(`SELECT sum(pg_catalog.${measure}(c.oid))::text FROM pg_catalog.pg_class c WHERE c.relname = '${relation}' GROUP BY c.relkind`)).toEqual([[expected]]);
  expect(await rowsOf(`SELECT s FROM ${measure}('${relation}') AS s`)).toEqual([[expected]]);
  // Beside rows of shards, too.
  expect(await rowsOf(`SELECT ${measure}('${relation}'), count(*) FROM orders`)).toEqual([[expected, '60']]);
});

test('forks, local tables, names of columns, and what PostgreSQL itself refuses', async () => {
  const main = sum(await onNodes<string>(sizeOnNodes('pg_relation_size', 'orders')));
  expect(await rowsOf(`SELECT pg_relation_size('orders', 'main'), pg_relation_size('orders', 'init')`)).toEqual([[main, '0']]);
  const coordinator = new Client({ connectionString: pair.databases.coordinator.connectionString });
  await coordinator.connect();
  const { rows } = await coordinator.query<unknown[]>({ text: `SELECT pg_table_size('notes'), pg_total_relation_size('notes')`, rowMode: 'array' });
  await coordinator.end();
  expect(await rowsOf(`SELECT pg_table_size('notes'), citus_total_relation_size('notes', false)`)).toEqual(rows);
  expect((await cluster.query(`SELECT pg_table_size('orders'), pg_size_pretty(pg_table_size('orders')), citus_version()`)).fields.map(({ name, dataTypeID }) => `${name} ${dataTypeID}`)).toEqual(['pg_table_size 20', 'pg_size_pretty 25', 'citus_version 25']);
  await expect(cluster.query(`SELECT pg_table_size('nothing')`)).rejects.toMatchObject({ code: '42P01' });
  await expect(cluster.query(`SELECT pg_relation_size('orders', 'fork')`)).rejects.toMatchObject({ code: '22023' });
  await expect(cluster.query('SELECT pg_table_size()')).rejects.toMatchObject({ code: '42883' });
  await expect(cluster.query('SELECT pg_table_size(first_value(oid) OVER ()) FROM pg_class')).rejects.toMatchObject({ number: 'SW001' });
});

test('beside distributed tables, in writes, in subqueries', async () => {
  const shard = String((await cluster.shardOf('orders', 3)).shardId);
  expect(await rowsOf(`SELECT o.id, s.shardid FROM orders o JOIN citus_shards s ON s.shardid = get_shard_id_for_distribution_column('orders', $2) WHERE o.tenant_id = $1 AND o.id < 3 ORDER BY 1`, [3, '3'])).toEqual([[1, shard], [2, shard]]);
  await cluster.query('CREATE TABLE sizes (name text, bytes bigint)');
  await cluster.query('INSERT INTO sizes SELECT table_name::text, sum(shard_size) FROM citus_shards WHERE citus_table_type = $1 GROUP BY 1', ['distributed']);
  expect(await rowsOf('SELECT name, bytes = pg_total_relation_size(name::regclass) FROM sizes ORDER BY 1')).toEqual([['items', true], ['orders', true]]);
  await cluster.query(`DELETE FROM sizes WHERE name IN (SELECT logicalrelid::text FROM pg_dist_partition WHERE partkey = 'tenant_id')`);
  expect(await rowsOf('SELECT count(*) FROM sizes')).toEqual([['0']]);
});

test('arguments take parameters, and the others keep their meaning', async () => {
  const rows = await rowsOf('SELECT $3::int + 1, nodeport, result FROM run_command_on_workers($2) AS r WHERE success = $1 ORDER BY nodeport', [true, 'SELECT 7', 5]);
  expect(rows).toEqual(pair.databases.nodes.map(({ port }) => [6, port, '7']).sort((a, b) => Number(a[1]) - Number(b[1])));
  await expect(cluster.query('SELECT * FROM run_command_on_workers($1)', [])).rejects.toMatchObject({ code: '08P01' });
});

test('functions that give rows: behind FROM, or alone as rows', async () => {
  const { port } = pair.databases.nodes[1] ?? { port: 0 };
  expect(await rowsOf('SELECT master_get_active_worker_nodes() AS node')).toContainEqual([`(127.0.0.1,${port})`]);
  expect(await rowsOf('SELECT (n).node_port FROM (SELECT citus_get_active_worker_nodes() AS n) q')).toContainEqual([String(port)]);
  await expect(cluster.query('SELECT 1, citus_get_active_worker_nodes()')).rejects.toMatchObject({ code: '22023', hint: expect.stringContaining('FROM citus_get_active_worker_nodes') });
  await expect(cluster.query('SELECT * FROM run_command_on_workers(now()::text)')).rejects.toMatchObject({ code: '22023', message: expect.stringContaining('must be constants or parameters') });
  await expect(cluster.query('SELECT * FROM run_command_on_workers()')).rejects.toMatchObject({ code: '42883' });
});

test('commands on nodes, shards and placements', async () => {
  expect(await rowsOf(`SELECT sum(result::int), bool_and(success), count(*) FROM run_command_on_shards('orders', $cmd$ SELECT count(*) FROM %s $cmd$)`)).toEqual([['60', true, '8']]);
  expect(await rowsOf(`SELECT nodeport, result FROM run_command_on_placements('countries', 'SELECT count(*) FROM %s') ORDER BY 1`)).toEqual(pair.databases.nodes.map(({ port }) => [port, '2']).sort((a, b) => Number(a[0]) - Number(b[0])));
  expect(await rowsOf(`SELECT sum(result::int) FROM run_command_on_colocated_placements('orders', 'items', 'SELECT count(*) FROM %1$s o JOIN %2$s i ON i.tenant_id = o.tenant_id AND i.order_id = o.id')`)).toEqual([['120']]);
  expect(await rowsOf(`SELECT nodeid, success, result FROM run_command_on_all_nodes('CREATE TABLE made_by_command ()')`)).toEqual([0, 1, 2, 3].map((node) => [node, true, 'CREATE']));
  expect(await rowsOf(`SELECT DISTINCT success, result FROM run_command_on_workers('SELECT 1/0') UNION ALL SELECT success, result FROM run_command_on_coordinator('DROP TABLE made_by_command')`)).toEqual([[false, 'division by zero'], [true, 'DROP']]);
  expect(await rowsOf(`SELECT DISTINCT success, result FROM run_command_on_workers('SELECT 1, 2')`)).toEqual([[false, 'expected a single column in query target']]);
  // Among other statements of one text, in transactions of its own, too.
  const results = (await cluster.query(`SELECT 1; SELECT run_command_on_coordinator('SELECT 2'); SELECT result FROM run_command_on_coordinator('SELECT 3')`)) as unknown as { rows: object[] }[];
  expect(results.map(({ rows }) => rows[0])).toEqual([{ '?column?': 1 }, { run_command_on_coordinator: '(0,t,2)' }, { result: '3' }]);
  // What it sets is not left behind.
  await rowsOf(`SELECT run_command_on_workers('SET datestyle = german')`);
  expect(await rowsOf(`SELECT DISTINCT result FROM run_command_on_workers('SHOW datestyle')`)).toEqual([['ISO, MDY']]);
  await expect(cluster.query(`SELECT * FROM run_command_on_shards('notes', 'SELECT 1')`)).rejects.toMatchObject({ id: 'notDistributed' });
  await expect(cluster.query(`SELECT * FROM run_command_on_colocated_placements('orders', 'countries', 'SELECT 1')`)).rejects.toMatchObject({ code: '22023' });
});

test('in transaction blocks, in cursors, by stream and by EXPLAIN', async () => {
  const client = await cluster.connect();
  try {
    await client.query('BEGIN');
    await client.query('TRUNCATE items');
    // Over the connections that hold the locks; and what the transaction has done is seen.
    expect(await rowsOf(`SELECT pg_relation_size('items'), get_shard_id_for_distribution_column('orders', 1) > 0 AS known`, [], client)).toEqual([['0', true]]);
    await expect(client.query(`SELECT * FROM run_command_on_workers('SELECT 1')`)).rejects.toMatchObject({ code: '25001' });
    await client.query('ROLLBACK');
    await client.query('BEGIN; DECLARE c CURSOR FOR SELECT nodeid FROM pg_dist_node WHERE nodeid > 1');
    expect(await rowsOf('FETCH 1 FROM c', [], client)).toEqual([[2]]);
    expect(await rowsOf('FETCH ALL FROM c', [], client)).toEqual([[3]]);
    await client.query('COMMIT');
    await client.query('BEGIN; CREATE TABLE new_orders (tenant_id bigint); ROLLBACK');
  } finally {
    client.release();
  }
  const streamed: unknown[] = [];
  for await (const row of cluster.stream('SELECT nodeid FROM pg_dist_node')) streamed.push(row);
  expect(streamed).toEqual([{ nodeid: 1 }, { nodeid: 2 }, { nodeid: 3 }]);
  expect((await cluster.explain('SELECT * FROM citus_shards')).plan.kind).toBe('coordinator');
  let copied = '';
  for await (const chunk of cluster.copyTo(`COPY (SELECT logicalrelid, partkey FROM pg_dist_partition WHERE repmodel = 't') TO STDOUT (FORMAT csv, HEADER)`)) copied += String(chunk);
  expect(copied).toBe('logicalrelid,partkey\ncountries,\n');
});

test('what the user has made under such a name is the user\'s', async () => {
  const owner = pair.another();
  await owner.query('CREATE TABLE citus_nodes (mine int); INSERT INTO citus_nodes VALUES (1)');
  await owner.query(`CREATE FUNCTION citus_version() RETURNS text LANGUAGE sql AS $$ SELECT 'mine' $$`);
  expect(await rowsOf('SELECT * FROM citus_nodes', [], owner)).toEqual([[1]]);
  expect((await rowsOf('SELECT * FROM pg_catalog.citus_nodes', [], owner)).length).toBe(3);
  expect(await rowsOf('SELECT citus_version()', [], owner)).toEqual([['mine']]);
  expect(await rowsOf('WITH citus_tables AS (SELECT 1 AS one) SELECT * FROM citus_tables', [], owner)).toEqual([[1]]);
  await owner.query('DROP TABLE citus_nodes; DROP FUNCTION citus_version()');
});

test('what all servers are doing, and who waits for whom', async () => {
  const [holder, waiter] = await Promise.all([cluster.connect(), cluster.connect()]);
  try {
    await holder.query('BEGIN');
    await holder.query('UPDATE orders SET note = note WHERE tenant_id = 4 AND id = 1');
    const waiting = waiter.query(`UPDATE orders SET note = 'waits' WHERE tenant_id = 4 AND id = 1`);
    const find = `SELECT w.waiting_nodeid, citus_nodeid_for_gpid(w.blocking_gpid) AS blocking, a.state, a.is_worker_query, a.pid = citus_pid_for_gpid(w.waiting_gpid) AS same, w.blocked_statement LIKE '%waits%' AS told
      FROM citus_lock_waits w JOIN citus_stat_activity a ON a.global_pid = w.waiting_gpid`;
    let rows: unknown[][] = [];
    for (let tries = 0; tries < 500 && rows.length === 0; tries += 1) rows = await rowsOf(find);
    const { nodeId } = await cluster.shardOf('orders', 4);
    expect(rows).toEqual([[nodeId, nodeId, 'active', true, true, true]]);
    await holder.query('ROLLBACK');
    await waiting;
  } finally {
    holder.release();
    waiter.release();
  }
  expect(await rowsOf('SELECT DISTINCT nodeid, is_worker_query FROM citus_stat_activity ORDER BY 1')).toEqual([[0, false], [1, true], [2, true], [3, true]]);
  expect(await rowsOf('SELECT DISTINCT nodeid FROM citus_dist_stat_activity')).toEqual([[0]]);
});

test('over the wire, prepared: parameters and columns are described before anything is computed', async () => {
  await using server = await serve(cluster, { port: 0, authentication: 'trust' });
  const client = new Client({ host: server.host, port: server.port, user: 'postgres', database: pair.databases.coordinator.database });
  await client.connect();
  try {
    const query = { name: 'asked', text: 'SELECT nodeport, result, $3::int AS n FROM run_command_on_workers($2) AS r WHERE success = $1 ORDER BY nodeport LIMIT 1', rowMode: 'array' };
    for (const n of [1, 2]) expect((await client.query({ ...query, values: [true, 'SELECT 7', n] })).rows).toEqual([[Math.min(...pair.databases.nodes.map(({ port }) => port)), '7', n]]);
    await expect(client.query({ name: 'refused', text: 'SELECT * FROM run_command_on_workers(now()::text)' })).rejects.toMatchObject({ code: '22023' });
    await client.query('BEGIN');
    expect((await client.query('SELECT count(*)::int AS n FROM citus_shards WHERE nodeport > $1', [0])).rows).toEqual([{ n: 19 }]);
    await client.query('COMMIT');
  } finally {
    await client.end();
  }
});

test('citus_stat_statements: one row for a statement of all nodes, by the names of tables', async () => {
  await using embedded = await startEmbeddedCluster({ nodes: 2, settings: { ...volatileSettings, shared_preload_libraries: 'pg_stat_statements' } });
  await embedded.cluster.query('CREATE EXTENSION pg_stat_statements; CREATE TABLE counted (k int PRIMARY KEY)');
  await embedded.cluster.createDistributedTable('counted', 'k', { shardCount: 4 });
  for (let k = 0; k < 9; k += 1) await embedded.cluster.query('SELECT k FROM counted WHERE k = $1', [k]);
  expect(await rowsOf(`SELECT s.query, s.calls, r.rolname, s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) FROM citus_stat_statements s JOIN pg_roles r ON r.oid = s.userid WHERE query LIKE 'SELECT k%'`, [], embedded.cluster)).toEqual([
    ['SELECT k FROM "public"."counted" AS "counted" WHERE k = $1', '9', 'postgres', true],
  ]);
});

test('tables with one shard, and distributed schemas', async () => {
  await cluster.query('CREATE TABLE alone (id int)');
  await cluster.query(`SELECT create_distributed_table('alone', NULL)`);
  await cluster.createDistributedSchema('tenant_1');
  await cluster.query('CREATE TABLE tenant_1.things (id int PRIMARY KEY, note text)');
  expect(await rowsOf(`SELECT table_name::text, citus_table_type, distribution_column, shard_count, p.partmethod, p.repmodel, s.shardminvalue FROM citus_tables t JOIN pg_dist_partition p ON p.logicalrelid = t.table_name JOIN pg_dist_shard s USING (logicalrelid)
    WHERE t.distribution_column = '<none>' AND citus_table_type <> 'reference' ORDER BY 1`)).toEqual([['alone', 'distributed', '<none>', '1', 'n', 's', null], ['tenant_1.things', 'schema', '<none>', '1', 'n', 's', null]]);
  expect(await rowsOf(`SELECT schema_name::text, colocation_id = colocationid, schema_size = pg_size_pretty(pg_total_relation_size('tenant_1.things')), schema_owner FROM citus_schemas JOIN pg_dist_schema ON schemaid = schema_name`)).toEqual([['tenant_1', true, true, 'postgres']]);
  expect(await rowsOf(`SELECT shard_name LIKE 'tenant\\_1.things\\_%', citus_table_type FROM citus_shards WHERE table_name = 'tenant_1.things'::regclass`)).toEqual([[true, 'schema']]);
  expect(await rowsOf('SELECT shardcount, distributioncolumntype FROM pg_dist_colocation WHERE distributioncolumntype = 0')).toEqual([[1, 0], [1, 0]]);
  await cluster.query('DROP SCHEMA tenant_1 CASCADE; DROP TABLE alone');
});

test('citus_stat_statements needs the extension', async () => {
  await expect(cluster.query('SELECT * FROM citus_stat_statements')).rejects.toMatchObject({ number: 'SW005', hint: expect.stringContaining('CREATE EXTENSION pg_stat_statements') });
});

test('SET citus.shard_count is for tables that follow no other; other settings of Citus are taken with a notice', async () => {
  const client = await cluster.connect();
  const notices: (string | undefined)[] = [];
  client.on('notice', ({ message }) => notices.push(message));
  try {
    await client.query('CREATE TABLE few (k text); CREATE TABLE follows (k text); CREATE TABLE more (k text)');
    await client.query('SET citus.shard_count = 5');
    expect(notices).toEqual([]);
    await client.query(`SET citus.multi_shard_modify_mode TO 'sequential'`);
    expect(notices).toEqual([expect.stringContaining('has no effect')]);
    await client.query(`SELECT create_distributed_table('few', 'k')`);
    await client.query(`SELECT create_distributed_table('follows', 'k', colocate_with => 'few')`);
    await client.query('SET citus.shard_count = 6');
    await client.query(`SELECT create_distributed_table('more', 'k', shard_count => 7, colocate_with => 'none')`);
    expect(await rowsOf(`SELECT table_name::text, shard_count FROM citus_tables WHERE distribution_column = 'k' ORDER BY 1`)).toEqual([['few', '5'], ['follows', '5'], ['more', '7']]);
    await client.query(`SET citus.shard_count = 'many'`);
    await client.query('CREATE TABLE none (k text)');
    await expect(client.query(`SELECT create_distributed_table('none', 'k')`)).rejects.toMatchObject({ code: '22023' });
    await expect(client.query(`SELECT create_distributed_table_concurrently('none', 'k')`)).rejects.toMatchObject({ code: '22023' });
    expect((await client.query(`SELECT truncate_local_data_after_distributing_table('few')`)).rowCount).toBe(1);
  } finally {
    client.release();
  }
});

test('in definitions: PREPARE, tables of rows, COPY; views are refused', async () => {
  const client = await cluster.connect();
  const shards = (await cluster.shards()).length;
  try {
    await client.query('RESET citus.shard_count');
    await client.query('PREPARE counted (regclass) AS SELECT count(*)::int AS n FROM citus_shards WHERE table_name = $1 AND shardid <> $2');
    expect((await client.query(`SELECT parameter_types::text AS types FROM pg_prepared_statements WHERE name = 'counted'`)).rows).toEqual([{ types: expect.stringMatching(/^\{regclass,/) as string }]);
    expect((await client.query(`EXECUTE counted('orders', 0)`)).rows).toEqual([{ n: 8 }]);
    await client.query('PREPARE located (text) AS SELECT get_shard_id_for_distribution_column($1, $2) AS id, $3::int AS three');
    expect((await client.query(`EXECUTE located('orders', '5', 3)`)).rows).toEqual([{ id: String((await cluster.shardOf('orders', 5)).shardId), three: 3 }]);
    for (const kind of ['TABLE', 'TEMP TABLE', 'TABLE IF NOT EXISTS']) {
      expect(await client.query(`CREATE ${kind} kept AS SELECT shardid, table_name, citus_total_relation_size(table_name) > 0 AS big FROM citus_shards`)).toMatchObject({ command: 'SELECT', rowCount: shards });
      expect((await client.query(`SELECT count(*)::int AS n, bool_and(big) AS big, min(table_name::text) AS first FROM kept`)).rows).toEqual([{ n: shards, big: true, first: 'countries' }]);
      await client.query('DROP TABLE kept');
    }
    await client.query('CREATE TABLE kept AS SELECT * FROM citus_tables WITH NO DATA');
    expect((await client.query('SELECT * FROM kept')).fields.map(({ name }) => name)).toContain('shard_count');
    await client.query('SELECT table_name INTO other FROM citus_tables; DROP TABLE kept; DROP TABLE other');
    for (const text of ['CREATE VIEW v AS SELECT * FROM citus_shards', 'CREATE MATERIALIZED VIEW v AS SELECT nodename FROM pg_dist_node', 'CREATE OR REPLACE VIEW v (a) AS SELECT count(*) FROM citus_tables']) {
      await expect(client.query(text), text).rejects.toMatchObject({ number: 'SW002', message: 'views cannot read what only the cluster knows' });
    }
    await client.query(`CREATE VIEW v AS SELECT relname, pg_table_size(oid) FROM pg_class; DROP VIEW v`);
    expect(await client.query('SHOW citus.shard_count')).toMatchObject({ command: 'SHOW', rows: [{ 'citus.shard_count': '32' }] });
    await client.query('SET citus.shard_count = 4');
    expect((await client.query('SHOW citus.shard_count')).rows).toEqual([{ 'citus.shard_count': '4' }]);
    await expect(client.query('SHOW citus.unheard_of')).rejects.toMatchObject({ code: '42704' });
  } finally {
    client.release(true);
  }
});
