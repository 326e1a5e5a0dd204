import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type StagedCluster, startStaged } from '../execute/staged/start-staged.ts';
import { run } from './start-cluster.ts';

let pair: StagedCluster;
beforeAll(async () => {
  pair = await startStaged();
  await Promise.all([pair.cluster, pair.plain].map(async (side) => {
    await side.query('CREATE VIEW large AS SELECT tenant_id, id, total FROM orders WHERE total > 1000');
  }));
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

async function both(sql: string): Promise<unknown[]> {
  return Promise.all([pair.cluster, pair.plain].map(async (side) => {
    const { command, rowCount, rows, fields } = await side.query({ text: sql, rowMode: 'array' });
    return { command, rowCount, rows, fields: fields.map(({ name, dataTypeID, dataTypeModifier }) => [name, dataTypeID < 16_384 ? dataTypeID : 'own type', dataTypeModifier]) };
  }));
}

async function expectSame(sql: string): Promise<void> {
  const [cluster, plain] = await both(sql);
  expect(cluster, sql).toEqual(plain);
}

/** Each with a total order to read it by. */
const definitions: readonly (readonly [name: string, definition: string, order: string])[] = [
  ['whole', 'CREATE MATERIALIZED VIEW whole AS SELECT * FROM orders', 'tenant_id, id'],
  ['tenants', 'CREATE MATERIALIZED VIEW tenants (tenant, "Total ü") AS SELECT tenant_id, sum(total), count(*) FROM orders GROUP BY 1 WITH DATA', '1'],
  ['one', 'create materialized view one as select id, note from orders where tenant_id = 3', '1'],
  ['joined', 'CREATE MATERIALIZED VIEW joined AS WITH t AS (SELECT id, max(total) AS most FROM orders GROUP BY id) SELECT i.name, t.most, c.name AS country FROM items i JOIN t ON t.id = i.order_id, countries c', '1, 2, 3'],
  ['over_view', 'CREATE MATERIALIZED VIEW over_view AS (SELECT id, total FROM large) UNION SELECT id, 0 FROM notes', '1, 2'],
  ['over_local', 'CREATE MATERIALIZED VIEW over_local AS SELECT n.body, o.total FROM notes n JOIN orders o ON o.id = n.id', '1, 2'],
  ['over_other', 'CREATE MATERIALIZED VIEW over_other AS SELECT tenant, "Total ü" / count AS mean FROM tenants', '1'],
  ['"Quoted ""ü"', `CREATE MATERIALIZED VIEW "Quoted ""ü" AS SELECT note COLLATE "C" AS "a ""b", 'x' AS unknown, mood, tags, NULL::numeric(10, 3) AS n FROM orders`, '1, 3, 4'],
  ['empty', 'CREATE MATERIALIZED VIEW empty AS SELECT id FROM orders WHERE false', '1'],
  ['reference', 'CREATE MATERIALIZED VIEW reference AS TABLE countries', '1'],
];

describe.each(definitions)('%s', (name, definition, order) => {
  const read = `SELECT * FROM ${name} ORDER BY ${order}`;

  test('is made, read, refreshed as on one PostgreSQL', async () => {
    await expectSame(definition);
    await expectSame(read);
    const change = `UPDATE orders SET total = total + 1 WHERE tenant_id = 3; INSERT INTO orders (tenant_id, id, total) VALUES (3, ${90_000 + definitions.findIndex(([other]) => other === name)}, 5000)`;
    for (const side of [pair.cluster, pair.plain]) await side.query(change);
    await expectSame(read);
    await expectSame(`REFRESH MATERIALIZED VIEW ${name}`);
    await expectSame(read);
    await expectSame(`SELECT count(*) FROM ${name} m JOIN orders o ON m::text LIKE '%' || o.id || '%' WHERE o.tenant_id IN (3, 4)`);
    expect(await pair.remains()).toEqual([]);
  });
});

/** A server prints a query within another one with the names of its tables before columns: it is told by what the server prints of a view that is made with it. */
test('their definitions are the queries that were written', async () => {
  const printed = `SELECT c.relname, d.sql FROM pg_class c JOIN pg_matviews m ON m.matviewname = c.relname, unnest(ARRAY[pg_get_viewdef(c.oid), pg_get_viewdef(c.oid, true), pg_catalog.pg_get_viewdef(c.oid, 0), m.definition]) AS d (sql)
    WHERE c.relkind = 'm' AND pg_get_viewdef(c.oid) IS NOT NULL ORDER BY relname`;
  const { rows } = await pair.cluster.query(printed);
  expect(rows).toHaveLength(4 * definitions.length);
  for (const { relname, sql } of rows) {
    await pair.plain.query(`CREATE VIEW made_again AS ${sql}`);
    const { rows: [again] } = await pair.plain.query(`SELECT pg_get_viewdef('made_again') AS made, pg_get_viewdef(quote_ident($1)) AS first`, [relname]);
    // Named columns are named around the query.
    if (relname === 'tenants') expect(again.made).toMatch(/ rows\(tenant, "Total ü", count\);$/);
    else expect(again.made).toBe(again.first);
    const columns = async (relation: string): Promise<unknown[]> => (await pair.plain.query(`SELECT * FROM ${relation} LIMIT 0`)).fields.map(({ name, dataTypeID }) => [name, dataTypeID]);
    expect(await columns('made_again')).toEqual(await columns(`"${relname.replaceAll('"', '""')}"`));
    await pair.plain.query('DROP VIEW made_again');
  }
  expect((await pair.cluster.query(`SELECT pg_get_viewdef('large') = (SELECT definition FROM pg_views WHERE viewname = 'large') AS same, pg_get_viewdef(0) AS none`)).rows).toEqual([{ same: true, none: null }]);
});

test('another process reads and refreshes it', async () => {
  const other = pair.another();
  expect((await other.query('SELECT count(*)::int AS n FROM whole')).rows).toEqual((await pair.cluster.query('SELECT count(*)::int AS n FROM whole')).rows);
  await other.query('REFRESH MATERIALIZED VIEW whole');
  await pair.plain.query('REFRESH MATERIALIZED VIEW whole');
  await expectSame('SELECT * FROM whole ORDER BY tenant_id, id');
  const copied = await text(other.copyTo('COPY (SELECT id FROM one ORDER BY id) TO STDOUT'));
  expect(copied.split('\n').filter(Boolean)).toHaveLength((await pair.plain.query('SELECT FROM one')).rowCount ?? -1);
});

test('indexes, concurrently, renamed, dropped, and what depends on it', async () => {
  await expectSame('CREATE UNIQUE INDEX ON whole (tenant_id, id)');
  for (const side of [pair.cluster, pair.plain]) await side.query('DELETE FROM orders WHERE id = 101');
  await expectSame('REFRESH MATERIALIZED VIEW CONCURRENTLY whole');
  await expectSame('SELECT * FROM whole ORDER BY tenant_id, id');
  await expectSame('CREATE VIEW over_whole AS SELECT id FROM whole WHERE tenant_id = 2');
  await expectSame('SELECT count(*) FROM over_whole');
  await expectSame('ALTER MATERIALIZED VIEW one RENAME TO two');
  await expectSame('ALTER MATERIALIZED VIEW two RENAME COLUMN note TO text');
  await expectSame('REFRESH MATERIALIZED VIEW two');
  await expectSame('SELECT text FROM two ORDER BY id');
  await expectSame('COMMENT ON MATERIALIZED VIEW two IS \'of tenant 3\'');
  for (const side of [pair.cluster, pair.plain]) {
    await expect(side.query('SELECT FROM one')).rejects.toMatchObject({ code: '42P01' });
    await expect(side.query('INSERT INTO two VALUES (1)')).rejects.toMatchObject({ code: '42809' });
    await expect(side.query('DROP MATERIALIZED VIEW whole')).rejects.toMatchObject({ code: '2BP01' });
  }
  await expect(pair.cluster.dropTable('orders')).rejects.toMatchObject({ code: '2BP01' });
  await expectSame('DROP MATERIALIZED VIEW two');
  await expect(pair.another().query('SELECT FROM two')).rejects.toMatchObject({ code: '42P01' });
});

test('without data, and if it is not there yet', async () => {
  await expectSame('CREATE MATERIALIZED VIEW later AS SELECT count(*) AS n FROM orders WITH NO DATA');
  for (const side of [pair.cluster, pair.plain]) await expect(side.query('SELECT * FROM later')).rejects.toMatchObject({ code: '55000' });
  await expectSame('REFRESH MATERIALIZED VIEW later');
  await expectSame('SELECT * FROM later');
  await expectSame('CREATE MATERIALIZED VIEW IF NOT EXISTS later AS SELECT id FROM orders');
  await expectSame('CREATE MATERIALIZED VIEW IF NOT EXISTS later_still AS SELECT sum(id) AS s FROM orders');
  await expectSame('SELECT * FROM later, later_still');
  await expectSame('REFRESH MATERIALIZED VIEW later WITH NO DATA');
  for (const side of [pair.cluster, pair.plain]) {
    await expect(side.query('SELECT * FROM later')).rejects.toMatchObject({ code: '55000' });
    await expect(side.query('CREATE MATERIALIZED VIEW later AS SELECT id FROM orders')).rejects.toMatchObject({ code: '42P07' });
    await expect(side.query('CREATE MATERIALIZED VIEW twice AS SELECT id, id FROM orders')).rejects.toMatchObject({ code: '42701' });
    await expect(side.query('CREATE MATERIALIZED VIEW failing AS SELECT 1 / (id - id) FROM orders')).rejects.toMatchObject({ code: '22012' });
    await expect(side.query('REFRESH MATERIALIZED VIEW nowhere')).rejects.toMatchObject({ code: '42P01' });
  }
  expect(await pair.remains()).toEqual([]);
});

test('in a transaction block: with its own changes, and undone with it', async () => {
  for (const side of [pair.cluster, pair.plain]) {
    const client = await side.connect();
    await client.query('BEGIN');
    await client.query('UPDATE orders SET total = 77777 WHERE id = 102');
    await client.query('REFRESH MATERIALIZED VIEW tenants');
    await client.query('CREATE MATERIALIZED VIEW fleeting AS SELECT id FROM orders WHERE total = 77777');
    await client.query('REFRESH MATERIALIZED VIEW fleeting');
    await client.query('SAVEPOINT s');
    await client.query('DROP MATERIALIZED VIEW fleeting');
    await client.query('ROLLBACK TO s');
    expect((await client.query('SELECT id FROM fleeting')).rows).toEqual([{ id: 102 }]);
    await client.query('ROLLBACK');
    client.release();
    await expect(side.query('SELECT FROM fleeting')).rejects.toMatchObject({ code: '42P01' });
  }
  await expectSame('SELECT * FROM tenants ORDER BY 1');
  for (const side of [pair.cluster, pair.plain]) {
    const client = await side.connect();
    await client.query('BEGIN');
    await client.query(`UPDATE orders SET note = 'written' WHERE tenant_id IN (1, 2, 3, 4)`);
    await client.query('REFRESH MATERIALIZED VIEW whole');
    await client.query('COMMIT');
    client.release();
  }
  expect((await pair.cluster.query(`SELECT count(*)::int AS n FROM whole WHERE note = 'written'`)).rows).toEqual((await pair.cluster.query(`SELECT count(*)::int AS n FROM orders WHERE note = 'written'`)).rows);
  expect(await pair.remains()).toEqual([]);
});

test('several processes refresh it at once', async () => {
  await Promise.all(Array.from({ length: 6 }, (_, i) => (i % 2 === 0 ? pair.cluster : pair.another()).query('REFRESH MATERIALIZED VIEW whole')));
  expect((await pair.cluster.query('SELECT count(*)::int AS n FROM whole')).rows).toEqual((await pair.cluster.query('SELECT count(*)::int AS n FROM orders')).rows);
});

test('filled past the cluster it is refused; made past the cluster, too', async () => {
  const { connectionString } = pair.databases.coordinator;
  await expect(run(connectionString, 'REFRESH MATERIALIZED VIEW whole')).rejects.toMatchObject({ code: '55000', hint: 'Refresh it through shardwright.' });
  await run(connectionString, 'CREATE MATERIALIZED VIEW foreign_made AS SELECT * FROM orders');
  const fresh = pair.another();
  await expect(fresh.query('REFRESH MATERIALIZED VIEW foreign_made')).rejects.toMatchObject({ id: 'unsupportedDdl', message: 'materialized view "foreign_made" was not made through the cluster' });
  await expect(fresh.query('SELECT * FROM foreign_made')).rejects.toMatchObject({ id: 'unsupportedQuery' });
  await run(connectionString, 'DROP MATERIALIZED VIEW foreign_made');
});

test('made before its tables were distributed it is refused, with the way out', async () => {
  await pair.cluster.query(`CREATE TABLE postponed (id int PRIMARY KEY); INSERT INTO postponed VALUES (1), (2); CREATE MATERIALIZED VIEW early AS SELECT id FROM postponed; SELECT create_distributed_table('postponed', 'id', colocate_with => 'none')`);
  const refused = { id: 'unsupportedQuery', detail: expect.stringContaining('was made before they were distributed'), hint: 'Drop it, and create it again through the cluster.' };
  await expect(pair.cluster.query('SELECT * FROM early')).rejects.toMatchObject(refused);
  await pair.cluster.query('DROP MATERIALIZED VIEW early; CREATE MATERIALIZED VIEW early AS SELECT id FROM postponed');
  expect((await pair.cluster.query('SELECT id FROM early ORDER BY id')).rows).toEqual([{ id: 1 }, { id: 2 }]);
  await pair.cluster.query('DROP TABLE postponed CASCADE');
});

test('an aborted refresh leaves the rows that were there', async () => {
  const before = await pair.cluster.query('SELECT count(*) FROM whole');
  const outcomes = new Set<unknown>();
  for (let delay = 0; delay < 12; delay += 1) {
    const controller = new AbortController();
    const refreshing = pair.cluster.query({ text: 'REFRESH MATERIALIZED VIEW whole', signal: controller.signal }).then(() => 'done', (error: { code?: unknown }) => error.code);
    for (let turn = 0; turn < delay * 8; turn += 1) await new Promise(setImmediate);
    controller.abort();
    outcomes.add(await refreshing);
    expect((await pair.cluster.query('SELECT count(*) FROM whole')).rows).toEqual(before.rows);
  }
  expect(outcomes).toContain('57014');
  expect(await pair.remains()).toEqual([]);
});

test('CREATE TABLE AS makes a local table, which may be distributed then', async () => {
  await expectSame('CREATE TABLE copied AS SELECT * FROM orders');
  await expectSame('SELECT * FROM copied ORDER BY tenant_id, id');
  await expectSame(`CREATE TABLE sums (tenant, "sum ü") WITH (fillfactor = 70) AS SELECT tenant_id, sum(total) FROM large GROUP BY 1 WITH DATA`);
  await expectSame('SELECT * FROM sums ORDER BY 1');
  await expectSame('CREATE TABLE IF NOT EXISTS sums AS SELECT id FROM orders');
  await expectSame('CREATE UNLOGGED TABLE shape AS SELECT id, note FROM orders WITH NO DATA');
  await expectSame('SELECT * FROM shape');
  for (const side of [pair.cluster, pair.plain]) await expect(side.query('CREATE TABLE copied AS SELECT id FROM orders')).rejects.toMatchObject({ code: '42P07' });
  await pair.cluster.createDistributedTable('copied', 'tenant_id', { colocateWith: 'orders' });
  await expectSame('SELECT count(*), sum(o.total - c.total) FROM orders o JOIN copied c USING (tenant_id, id)');
  expect(await pair.remains()).toEqual([]);
});

test('a session that may not write, and one whose first schema is another', async () => {
  for (const side of [pair.cluster, pair.plain]) {
    const client = await side.connect();
    await client.query('CREATE SCHEMA first');
    await client.query('SET default_transaction_read_only = on');
    await expect(client.query('CREATE TABLE unwritten AS SELECT id FROM orders')).rejects.toMatchObject({ code: '25006' });
    await expect(client.query('REFRESH MATERIALIZED VIEW tenants')).rejects.toMatchObject({ code: '25006' });
    await client.query('RESET default_transaction_read_only');
    await client.query('SET search_path = first, public');
    expect(await client.query('CREATE TABLE IF NOT EXISTS sums AS SELECT count(*) FROM orders')).toMatchObject({ command: 'SELECT', rowCount: 1 });
    expect((await client.query('SELECT * FROM first.sums')).rowCount).toBe(1);
    await client.query('DROP SCHEMA first CASCADE; RESET search_path');
    client.release();
  }
  expect(await pair.remains()).toEqual([]);
});

test('concurrently, by two sessions at once: the second sees what the first has done', async () => {
  const first = await pair.cluster.connect();
  await pair.cluster.query('INSERT INTO orders (tenant_id, id) VALUES (5, 95000), (6, 95000)');
  await first.query('BEGIN');
  await first.query('REFRESH MATERIALIZED VIEW CONCURRENTLY whole');
  const second = pair.another().query('REFRESH MATERIALIZED VIEW CONCURRENTLY whole');
  const locks = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  while ((await pair.cluster.query(locks)).rowCount !== 1);
  await first.query('COMMIT');
  first.release();
  await second;
  expect((await pair.cluster.query('SELECT count(*)::int AS n FROM whole')).rows).toEqual((await pair.cluster.query('SELECT count(*)::int AS n FROM orders')).rows);
  // With one connection per server, those of one process wait for each other's.
  const narrow = pair.another({ tuning: { exclusivePerNode: 1 } });
  await Promise.all(Array.from({ length: 4 }, (_, i) => (i % 2 === 0 ? narrow : pair.another()).query('REFRESH MATERIALIZED VIEW CONCURRENTLY whole')));
  await pair.cluster.query('DELETE FROM orders WHERE id = 95000');
  expect(await pair.remains()).toEqual([]);
});

test('a part that is run first fails where one PostgreSQL would not come to it', async () => {
  const parts = ['(SELECT id FROM notes)', '(SELECT 1 / (o.id - o.id) FROM orders o LIMIT 1)'];
  for (const [i, part] of parts.entries()) {
    await expectSame(`CREATE MATERIALIZED VIEW unreached_${i} AS SELECT id, total FROM orders WHERE id < 0 AND total > ${part}`);
    await expectSame(`REFRESH MATERIALIZED VIEW unreached_${i}`);
    await expectSame(`CREATE TABLE unreached_table_${i} AS SELECT id, total FROM orders WHERE id < 0 AND total > ${part}`);
    for (const side of [pair.cluster, pair.plain]) {
      await expect(side.query(`CREATE MATERIALIZED VIEW reached AS SELECT id FROM orders WHERE total > ${part}`)).rejects.toMatchObject({ code: i === 0 ? '21000' : '22012' });
      const client = await side.connect();
      await client.query('BEGIN');
      await client.query('UPDATE orders SET total = 5 WHERE id = 103');
      await client.query(`REFRESH MATERIALIZED VIEW unreached_${i}`);
      await client.query('COMMIT');
      client.release();
    }
    await expectSame(`SELECT * FROM unreached_${i}, unreached_table_${i}`);
  }
  const session = await pair.cluster.connect();
  await session.query(`SET work_mem = '8MB'`);
  await session.query('REFRESH MATERIALIZED VIEW unreached_0');
  session.release();
  expect(await pair.remains()).toEqual([]);
});
