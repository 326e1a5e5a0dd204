import { Pool } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster } from '../../src/index.ts';
import { run } from '../coordinator/start-cluster.ts';
import { createTestDatabases, type TestDatabase, type TestDatabases } from '../support/test-databases.ts';
import { asking, outcome } from './propagate/compare-definitions.ts';
import { describeObjects } from './propagate/describe-objects.ts';

let databases: TestDatabases;
let reference: TestDatabases;
let cluster: Cluster;
let plain: Pool;

beforeAll(async () => {
  databases = await createTestDatabases({ nodes: 3 });
  reference = await createTestDatabases({ nodes: 0 });
  cluster = new Cluster({ connectionString: databases.coordinator.connectionString });
  plain = new Pool({ connectionString: reference.coordinator.connectionString });
  for (const node of databases.nodes.slice(0, 2)) await cluster.addNode(addressOf(node));
});

afterAll(async () => {
  await Promise.all([cluster.end(), plain.end()]);
  await Promise.all([databases.drop(), reference.drop()]);
});

function addressOf({ host, port, database }: TestDatabase) {
  return { host, port, database };
}

async function objectsOf(database: TestDatabase): Promise<string[]> {
  await using on = await asking(database);
  return await describeObjects(on.ask);
}

/** One object of each kind, in an order in which OIDs do not tell what needs what. */
const objects = `
CREATE SCHEMA app; CREATE SCHEMA "Odd s"; COMMENT ON SCHEMA "Odd s" IS 'it''s'; GRANT USAGE ON SCHEMA "Odd s" TO PUBLIC;
CREATE EXTENSION hstore SCHEMA app;
CREATE TYPE app.mood AS ENUM ('sad', 'happy'); ALTER TYPE app.mood ADD VALUE 'so ''so''' BEFORE 'happy';
CREATE COLLATION "Odd s".ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE COLLATION app.bytes FROM "C";
CREATE DOMAIN app.code AS varchar(9) COLLATE app.bytes DEFAULT 'none' NOT NULL CONSTRAINT short CHECK (length(VALUE) < 9);
CREATE TYPE app."Pair" AS (a app.code, "B b" text COLLATE "Odd s".ci, m app.mood[], h app.hstore);
CREATE FUNCTION app.is_fine(app.code) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT $1 <> 'bad' $$; ALTER DOMAIN app.code ADD CHECK (app.is_fine(VALUE));
CREATE TYPE app.spans AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE FUNCTION app.twice(x int DEFAULT 4, OUT y int) LANGUAGE plpgsql STABLE STRICT SET work_mem = '1MB' AS $$ BEGIN y := 2 * x; END $$;
REVOKE EXECUTE ON FUNCTION app.twice FROM PUBLIC; COMMENT ON FUNCTION app.twice IS 'double';
CREATE PROCEDURE app.nothing(INOUT x int) LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE AGGREGATE app.added(int) (sfunc = int4pl, stype = int, initcond = '0', combinefunc = int4pl, parallel = safe); COMMENT ON AGGREGATE app.added(int) IS 'sum';
CREATE FUNCTION app.same(app."Pair", app."Pair") RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT $1.a = $2.a $$;
CREATE OPERATOR app.=== (leftarg = app."Pair", rightarg = app."Pair", function = app.same, commutator = OPERATOR(app.===), hashes);
CREATE FUNCTION app.hash_of(app."Pair") RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT 1 $$;
CREATE OPERATOR CLASS app.pair_ops DEFAULT FOR TYPE app."Pair" USING hash AS OPERATOR 1 app.===, FUNCTION 1 app.hash_of(app."Pair");
CREATE FUNCTION app.to_code(int) RETURNS app.code LANGUAGE sql IMMUTABLE AS $$ SELECT $1::text::app.code $$; CREATE CAST (int AS app."Pair") WITH INOUT AS ASSIGNMENT;
CREATE TEXT SEARCH DICTIONARY app.plain (template = simple, accept = false);
CREATE TEXT SEARCH CONFIGURATION app.words (copy = simple); ALTER TEXT SEARCH CONFIGURATION app.words ALTER MAPPING FOR word, asciiword WITH app.plain, simple;
REVOKE USAGE ON TYPE app.mood FROM PUBLIC;
CREATE TEXT SEARCH PARSER app.chopper (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline); CREATE TEXT SEARCH TEMPLATE app.easy (INIT = dsimple_init, LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH DICTIONARY app.easily (template = app.easy, accept = false); CREATE TEXT SEARCH CONFIGURATION app.chopped (parser = app.chopper); ALTER TEXT SEARCH CONFIGURATION app.chopped ADD MAPPING FOR word WITH app.easily;
CREATE TRUSTED LANGUAGE "plfake $" HANDLER plpgsql_call_handler INLINE plpgsql_inline_handler VALIDATOR plpgsql_validator; COMMENT ON LANGUAGE "plfake $" IS 'no language'; REVOKE USAGE ON LANGUAGE "plfake $" FROM PUBLIC;
CREATE CONVERSION app.latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8; CREATE ACCESS METHOD heap_two TYPE TABLE HANDLER heap_tableam_handler;
CREATE FUNCTION app.from_sql(internal) RETURNS internal LANGUAGE internal IMMUTABLE AS 'dsimple_init'; CREATE TRANSFORM FOR app.mood LANGUAGE "plfake $" (FROM SQL WITH FUNCTION app.from_sql(internal));
COMMENT ON SCHEMA public IS 'ours'; GRANT CREATE ON SCHEMA public TO PUBLIC; REVOKE USAGE ON LANGUAGE sql FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT USAGE ON TYPES TO PUBLIC`;

const tables = `
CREATE TABLE things (id bigint, mood app.mood NOT NULL DEFAULT 'happy', code app.code, pair app."Pair", span app.spans, name text COLLATE "Odd s".ci, number int DEFAULT app.twice(3), PRIMARY KEY (id, name));
CREATE TABLE kinds (code app.code PRIMARY KEY, moods app.mood[]);
CREATE INDEX ON things USING hash (pair); CREATE INDEX ON things (mood) WHERE app.is_fine(code)`;

const statements = [
  `INSERT INTO things (id, code, pair, span, name) VALUES (1, 'x', ROW('p', 'B', '{sad,happy}', 'a=>1'), '[1,2]', 'Ada'), (2, 'y', NULL, NULL, 'ADA'), (3, DEFAULT, ROW('q', NULL, NULL, NULL), '(3,)', 'bob')`,
  `INSERT INTO things (id, code, name) VALUES (1, 'x', 'aDA')`,
  `INSERT INTO things (id, code, name) VALUES (4, 'bad', 'c')`,
  `INSERT INTO things (id, mood, code, name) VALUES (4, 'sad', 'z', 'c'), (5, 'so ''so''', 'z', 'd')`,
  `INSERT INTO kinds VALUES ('x', '{sad}'), ('z', NULL)`,
  'SELECT * FROM things ORDER BY id',
  'SELECT id, mood FROM things ORDER BY mood DESC, id',
  `SELECT id FROM things WHERE name = 'ada' ORDER BY id`,
  'SELECT mood, app.added(number), count(*)::int FROM things GROUP BY mood ORDER BY mood',
  'SELECT t.id, (pair)."B b", moods FROM things t JOIN kinds USING (code) ORDER BY 1',
  `ALTER TABLE things ADD COLUMN further app.mood[] DEFAULT '{happy}'; ALTER TYPE app.mood ADD VALUE 'glad' AFTER 'sad'`,
  `UPDATE things SET mood = 'glad', further = further || 'glad' WHERE id > 3`,
  'SELECT id, mood, further FROM things ORDER BY mood, id',
  `SELECT id FROM things WHERE pair OPERATOR(app.===) ROW('p', NULL, NULL, NULL)::app."Pair"`,
];

/** A role that is there already is left as it is. */
test('a role that a new node does not know comes with its settings', async () => {
  const [first, , last] = databases.nodes;
  if (first === undefined || last === undefined) throw new Error('three nodes');
  const role = `settled_${databases.coordinator.database}`;
  const settings = `SELECT setconfig FROM pg_db_role_setting WHERE setrole = (SELECT oid FROM pg_roles WHERE rolname = '${role}')`;
  await cluster.query(`CREATE ROLE ${role}; GRANT CREATE ON SCHEMA public TO ${role}; ALTER ROLE ${role} SET search_path TO "Odd s", public; ALTER ROLE ${role} SET app.words TO 'it''s, "so"'; ALTER ROLE ${role} SET work_mem TO '2MB'`);
  try {
    await using there = await asking(first);
    const expected = await there.ask(settings);
    expect(expected).toHaveLength(1);
    await cluster.addNode(addressOf(last));
    await using new_ = await asking(last);
    expect(await new_.ask(settings)).toEqual(expected);
    await cluster.removeNode(addressOf(last));
    await run(last.connectionString, `REVOKE CREATE ON SCHEMA public FROM ${role}; DROP ROLE IF EXISTS ${role}`);
  } finally {
    await cluster.query(`REVOKE CREATE ON SCHEMA public FROM ${role}; DROP ROLE ${role}`);
  }
});

test('a schema made through the cluster alone: rows as on one PostgreSQL, objects on every node, and on one that is added later', async () => {
  for (const side of [cluster, plain]) await side.query(`${objects}; ${tables}`);
  await cluster.createDistributedTable('things', 'id', { shardCount: 4 });
  await cluster.createReferenceTable('kinds');
  for (const text of statements) expect({ text, got: await outcome(cluster, text) }).toEqual({ text, got: await outcome(plain, text) });
  const last = databases.nodes[2];
  if (last === undefined) throw new Error('three nodes');
  const expected = await objectsOf(reference.coordinator);
  expect(expected.length).toBeGreaterThan(20);
  await run(last.connectionString, `CREATE SCHEMA app; CREATE TYPE app.mood AS ENUM ('sad')`);
  await expect(cluster.addNode(addressOf(last))).rejects.toMatchObject({ id: 'unsupportedNode', message: expect.stringContaining('type app.mood') });
  await run(last.connectionString, `DROP TYPE app.mood; CREATE TYPE app.mood AS ENUM ('sad', 'glad', 'so ''so''', 'happy')`);
  await cluster.addNode(addressOf(last));
  for (const database of [databases.coordinator, ...databases.nodes]) expect(await objectsOf(database)).toEqual(expected);
});

test('what was made past the library reaches the nodes with the table that needs it', async () => {
  const past = `CREATE SCHEMA past; CREATE TYPE past.size AS ENUM ('s', 'l'); CREATE TYPE past.idle AS (a int); CREATE DOMAIN past.sizes AS past.size[]; CREATE ROLE "past $" PASSWORD 'secret';
    CREATE FUNCTION past.least() RETURNS past.size LANGUAGE sql AS $$ SELECT 's'::past.size $$; ALTER FUNCTION past.least OWNER TO "past $"; REVOKE EXECUTE ON FUNCTION past.least FROM PUBLIC;
    CREATE TABLE shirts (id int, size past.size DEFAULT past.least(), others past.sizes)`.replaceAll('past $', databases.coordinator.database);
  await run(databases.coordinator.connectionString, past);
  await cluster.createDistributedTable('shirts', 'id', { shardCount: 4 });
  await cluster.query(`INSERT INTO shirts (id, others) VALUES (1, '{s,l}'), (2, NULL), (3, '{l}')`);
  expect((await cluster.query('SELECT size, count(*)::int FROM shirts GROUP BY 1')).rows).toEqual([{ size: 's', count: 3 }]);
  const wanted = (await objectsOf(databases.coordinator)).filter((line) => line.includes('past') && !line.includes('idle'));
  expect(wanted).toHaveLength(4);
  for (const node of databases.nodes) expect((await objectsOf(node)).filter((line) => line.includes('past'))).toEqual(wanted);
  const stored = await Promise.all([databases.coordinator, ...databases.nodes].map(async (database) => {
    await using on = await asking(database);
    return await on.ask(`SELECT rolpassword FROM pg_authid WHERE rolname = '${databases.coordinator.database}'`);
  }));
  for (const password of stored) expect(password).toEqual([[expect.stringMatching(/^SCRAM-SHA-256\$4096:/)]]);
  expect(new Set(stored.map((password) => JSON.stringify(password))).size).toBe(1);
  await cluster.query('DROP TABLE shirts; DROP SCHEMA past CASCADE');
  await cluster.query(`DROP ROLE "${databases.coordinator.database}"`);
});
