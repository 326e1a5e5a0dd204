import { randomBytes } from 'node:crypto';
import { Pool } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster } from '../../../src/index.ts';
import { run } from '../../coordinator/start-cluster.ts';
import { createTestDatabases, type TestDatabase, type TestDatabases } from '../../support/test-databases.ts';
import { asking, outcome } from './compare-definitions.ts';
import { describeObjects } from './describe-objects.ts';
import { objectCases, roleCases } from './object-cases.ts';

let databases: TestDatabases;
let reference: TestDatabases;
let cluster: Cluster;
let plain: Pool;

beforeAll(async () => {
  // The fourth node is on the first one's server.
  databases = await createTestDatabases({ nodes: 4 });
  reference = await createTestDatabases({ nodes: 0 });
  cluster = new Cluster({ connectionString: databases.coordinator.connectionString });
  plain = new Pool({ connectionString: reference.coordinator.connectionString });
  for (const { host, port, database } of databases.nodes) await cluster.addNode({ host, port, database });
});

afterAll(async () => {
  await Promise.all([cluster.end(), plain.end()]);
  await Promise.all([databases.drop(), reference.drop()]);
});

async function objectsOf(database: TestDatabase): Promise<string[]> {
  await using on = await asking(database);
  return await describeObjects(on.ask);
}

/** The coordinator database has what one PostgreSQL has; nodes have that, but for what is bound to local tables. */
async function compareObjects(): Promise<void> {
  const expected = await objectsOf(reference.coordinator);
  expect(await objectsOf(databases.coordinator)).toEqual(expected);
  const shared = expected.filter((line) => !line.includes('locals_of') && !line.includes('more('));
  for (const node of databases.nodes) expect(await objectsOf(node)).toEqual(shared);
}

test.each(Object.entries(objectCases))('%s: every node has what the coordinator database has, as one PostgreSQL does', async (_, statements) => {
  const [onCluster, onPlain] = [await cluster.connect(), await plain.connect()];
  try {
    for (const text of statements) expect({ text, got: await outcome(onCluster, text) }).toEqual({ text, got: await outcome(onPlain, text) });
  } finally {
    onCluster.release(true);
    onPlain.release(true);
  }
  await compareObjects();
  for (const pool of [cluster, plain]) await pool.query('DROP SCHEMA IF EXISTS app, main, kept, public CASCADE; CREATE SCHEMA public');
  await compareObjects();
});

const roles = (word: string): string => `SELECT concat_ws(' ', rolname, rolcanlogin, rolconnlimit, (SELECT setconfig FROM pg_db_role_setting WHERE setrole = a.oid AND setdatabase = 0), rolpassword IS NOT NULL, shobj_description(a.oid, 'pg_authid'),
    (SELECT string_agg(concat_ws('/', roleid::regrole, admin_option), ' ') FROM pg_auth_members WHERE member = a.oid)) FROM pg_authid a WHERE rolname ~ '${word}' ORDER BY 1`;

test('roles are on every server once, memberships and what they own and may do too', async () => {
  const word = randomBytes(4).toString('hex');
  const servers = [databases.coordinator, ...databases.nodes];
  const known = new Set<string>();
  for (const [statement, code] of roleCases) {
    const text = statement.replaceAll('$', word);
    const got = await cluster.query(text).then(() => undefined, (error: { code: string }) => error.code);
    expect({ text, got }).toEqual({ text, got: code });
    const found = await Promise.all(servers.map(async (server) => {
      await using on = await asking(server);
      const owners = await on.ask(`SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname ~ '^kept'`);
      return { roles: (await on.ask(roles(word))).flat(), owners, objects: await describeObjects(on.ask) };
    }));
    for (const server of found) expect(server.roles).toEqual(found[0]?.roles);
    for (const server of found) expect(server).toEqual(found[0]);
    known.add(JSON.stringify(found[0]));
  }
  // Nearly each statement changed something.
  expect(known.size).toBeGreaterThan(6);
  await cluster.query('DROP SCHEMA closed, public CASCADE; CREATE SCHEMA public');
});

test('what one node refuses is changed nowhere, and the node is named', async () => {
  const second = databases.nodes[1];
  if (second === undefined) throw new Error('four nodes');
  await run(second.connectionString, 'CREATE TYPE taken AS (a int)');
  const before = await objectsOf(databases.coordinator);
  const where = expect.stringContaining(`node 2 (${second.host}:${second.port}/${second.database})`) as unknown;
  await expect(cluster.query(`CREATE SCHEMA fresh; CREATE TYPE taken AS ENUM ('a')`)).rejects.toMatchObject({ code: '42710', where });
  expect(await objectsOf(databases.coordinator)).toEqual(before);
  expect(await objectsOf(databases.nodes[0] ?? second)).toEqual(before);
  await run(second.connectionString, 'DROP TYPE taken');
  await cluster.query(`CREATE TYPE taken AS ENUM ('a')`);
  await run(second.connectionString, 'DROP TYPE taken');
  await expect(cluster.query(`ALTER TYPE taken ADD VALUE 'b'`)).rejects.toMatchObject({ id: 'unsupportedDdl', message: expect.stringContaining('node 2') });
  await cluster.query('DROP TYPE taken');
});

test('rows that break a new constraint of a domain are found on their node', async () => {
  await cluster.query('CREATE DOMAIN small AS int; CREATE TABLE t (id int, v small)');
  await cluster.createDistributedTable('t', 'id', { shardCount: 4 });
  await cluster.query('INSERT INTO t VALUES (1, 5), (2, 50)');
  await expect(cluster.query('ALTER DOMAIN small ADD CHECK (VALUE < 10)')).rejects.toMatchObject({ code: '23514' });
  await cluster.query('ALTER DOMAIN small ADD CONSTRAINT limited CHECK (VALUE < 100)');
  await expect(cluster.query('INSERT INTO t VALUES (3, 500)')).rejects.toMatchObject({ code: '23514', constraint: 'limited' });
  await cluster.query('DROP DOMAIN small CASCADE');
  expect((await cluster.query('SELECT * FROM t ORDER BY id')).rows).toEqual([{ id: 1 }, { id: 2 }]);
  await cluster.query('DROP TABLE t');
});

test('code that names distributed tables is refused, whatever it is in', async () => {
  await cluster.query('CREATE TABLE t (id int, n int); CREATE INDEX ON t (n); CREATE TABLE free (id int); CREATE VIEW v AS SELECT id FROM t');
  await cluster.createDistributedTable('t', 'id', { shardCount: 2 });
  const refused = [
    `CREATE FUNCTION f() RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE n bigint := (SELECT count(*) FROM free); BEGIN IF n > 0 THEN n := (SELECT count(*) FROM v); END IF; RETURN n; END $$`,
    `CREATE FUNCTION f(x int) RETURNS TABLE (id int) LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY SELECT t.id FROM t; END $$`,
    `CREATE PROCEDURE f() LANGUAGE sql AS 'SELECT 1; DELETE FROM public.t'`,
    'CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT n FROM t; END',
    'DO $$ DECLARE r record; BEGIN FOR r IN SELECT * FROM t LOOP NULL; END LOOP; END $$',
    `DO $$ BEGIN EXECUTE 'ALTER TABLE t ALTER n TYPE text USING ''x'''; END $$`,
    'DO $$ BEGIN CREATE TABLE copied AS SELECT * FROM t; END $$',
    'DO $$ BEGIN CREATE MATERIALIZED VIEW copied AS SELECT id FROM v; END $$',
    'DO $$ BEGIN TRUNCATE t; END $$',
    'DO $$ BEGIN CLUSTER t USING t_n_idx; END $$',
    'DO $$ BEGIN CREATE RULE r AS ON INSERT TO t DO NOTHING; END $$',
    'DO $$ BEGIN CREATE TABLE heir () INHERITS (t); END $$',
    `DO $$ DECLARE n int; BEGIN EXECUTE 'SELECT count(*) FROM t' INTO n; END $$`,
    `DO $$ DECLARE r record; BEGIN FOR r IN EXECUTE format('SELECT %I FROM %s WHERE n = %L', lower('ID'), 'public.t', now()) LOOP NULL; END LOOP; END $$`,
    `DO $$ DECLARE n int; t text := 't'; BEGIN EXECUTE format('SELECT count(*) FROM %I', t) INTO n; INSERT INTO free VALUES (n); END $$`,
    `DO $$ DECLARE text text := 'CREATE TABLE copied AS SELECT * FROM v'; BEGIN EXECUTE text; END $$`,
    `CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'ALTER TABLE t ADD m int'; END $$`,
    `CREATE FUNCTION f(word text) RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE n bigint; BEGIN EXECUTE 'SELECT count(*) FROM t WHERE n = ' || word INTO n; RETURN n; END $$`,
    `CREATE FUNCTION f() RETURNS SETOF t LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'SELECT * FROM t WHERE id = $1' USING 1; END $$`,
    'CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DROP TABLE t CASCADE; END $$',
    'CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DROP INDEX t_n_idx; END $$',
    'CREATE PROCEDURE f() LANGUAGE plpgsql AS $$ BEGIN DROP SCHEMA public CASCADE; END $$',
  ];
  for (const text of refused) expect({ text, got: await cluster.query(text).catch((error: { id?: string }) => error.id) }).toEqual({ text, got: 'unsupportedDdl' });
  const inBlock = await cluster.transaction(async (client) => {
    await client.query('SELECT sum(n) FROM t GROUP BY id % 2 HAVING count(*) > 0');
    await client.query(`DO $$ DECLARE t text := 'free'; n int; BEGIN EXECUTE 'SELECT count(*) FROM ' || t INTO n; END $$`);
    return client.query(`DO $$ DECLARE t text := 't'; BEGIN EXECUTE format('INSERT INTO free SELECT n FROM %I WHERE n = 1', t); END $$`);
  }).catch((error: { id?: string }) => error.id);
  expect(inBlock).toBe('unsupportedDdl');
  const left = await cluster.query(`SELECT (SELECT count(*)::int FROM free) AS rows, (SELECT count(*)::int FROM pg_class WHERE relname IN ('copied', 'heir')) AS tables`);
  expect(left.rows).toEqual([{ rows: 0, tables: 0 }]);
  await cluster.query(`CREATE FUNCTION f(id int) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM free) + id; END $$; DO $$ DECLARE t text := 'free'; BEGIN EXECUTE 'INSERT INTO ' || t || ' VALUES (1)'; END $$`);
  expect((await cluster.query('SELECT f(1)')).rows).toEqual([{ f: '2' }]);
  await cluster.query('DROP FUNCTION f; DROP TABLE t CASCADE; DROP TABLE free');
});
