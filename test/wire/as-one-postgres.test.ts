import { afterAll, beforeAll, describe as group, expect, test, vi } from 'vitest';
import type { NodeConnections } from '../../src/cluster/node-connection.ts';
import { Cluster } from '../../src/index.ts';
import { serve, type WireServer } from '../../src/wire.ts';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';
import { bind, type BindWith, close, copyData, copyDone, copyFail, describe, execute, flush, functionCall, int32, message, parse, query, RawClient, sync } from './raw-client.ts';

let pair: ClusterAndPlain;
let server: WireServer;

beforeAll(async () => {
  pair = await startCluster();
  server = await serve(pair.cluster, { port: 0, authentication: 'trust' });
  const set = `CREATE TABLE things (tenant_id bigint, id int, name text DEFAULT 'none', price numeric(10,2), made timestamptz, PRIMARY KEY (tenant_id, id));
    CREATE TABLE plans (code text PRIMARY KEY, price float8); CREATE TABLE loose (id int PRIMARY KEY, note text);
    CREATE TABLE doubled (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (2 * id) STORED, note text); CREATE TABLE halves (LIKE doubled INCLUDING ALL)`;
  await pair.cluster.query(set);
  await pair.plain.query(set);
  await pair.cluster.createDistributedTable('things', 'tenant_id');
  await pair.cluster.createReferenceTable('plans');
  await pair.cluster.createDistributedTable('doubled', 'id');
  const fill = `INSERT INTO things SELECT i % 7, i, 'item ' || i, i * 1.5, '2024-01-01 00:00:00Z'::timestamptz + i * interval '1 hour' FROM generate_series(1, 60) AS i;
    INSERT INTO plans VALUES ('free', 0), ('pro', 20.5); INSERT INTO loose VALUES (1, 'one'), (2, NULL)`;
  for (const statement of fill.split(';')) {
    await pair.cluster.query(statement);
    await pair.plain.query(statement);
  }
});
afterAll(async () => {
  await server.close();
  await pair[Symbol.asyncDispose]();
});

/** Sends the same messages to a plain PostgreSQL and to the wire server, and compares every message that comes back. Each list ends with a ReadyForQuery. */
async function compare(...turns: readonly Turn[]): Promise<void> {
  await compareFrom({}, ...turns);
}

/** `isLoose`: notices may come before other rows than those they are about, since rows are sent when there are some. */
type Turn = readonly Buffer[] | { readonly messages: readonly Buffer[]; readonly readies: number; readonly isLoose?: boolean };

/** The same in sessions that begin with settings. */
async function compareFrom(settings: Readonly<Record<string, string>>, ...turns: readonly Turn[]): Promise<void> {
  const { hostname, port, pathname, username: user } = new URL(pair.plain.options.connectionString ?? '');
  const plain = await RawClient.start({ host: hostname, port: Number(port), database: pathname.slice(1), user }, settings);
  const wire = await RawClient.start({ host: server.host, port: server.port, database: pair.databases.coordinator.database, user }, settings);
  try {
    for (const turn of turns) {
      const { messages, readies } = 'messages' in turn ? turn : { messages: turn, readies: turn.filter((one) => one[0] === 0x51 || one[0] === 0x53 || one[0] === 0x46).length };
      plain.send(...messages);
      const expected = await plain.until('Z', readies);
      wire.send(...messages);
      const found = await wire.until('Z', readies);
      if ('isLoose' in turn) expect(found.map((said) => JSON.stringify(said)).sort()).toEqual(expected.map((said) => JSON.stringify(said)).sort());
      else expect(found).toEqual(expected);
    }
  } finally {
    await Promise.all([plain.end(), wire.end()]);
  }
}

const one = 'SELECT id, name, price, made FROM things WHERE tenant_id = 3 ORDER BY id LIMIT 4';
const all = 'SELECT tenant_id, id, name FROM things ORDER BY tenant_id, id';

test('currval and lastval', async () => {
  const own = 'CREATE TABLE numbered (tenant_id bigint, id bigserial, PRIMARY KEY (tenant_id, id)); CREATE TABLE logs (id serial, note text)';
  await Promise.all([pair.cluster.query(own), pair.plain.query(own)]);
  await pair.cluster.createDistributedTable('numbered', 'tenant_id');
  const asked = [parse('SELECT currval($1)'), describe('S'), bind(['numbered_id_seq']), describe('P'), execute(), sync];
  await compare(
    [query('INSERT INTO numbered (tenant_id) VALUES (1), (2), (3)')], [query('SELECT lastval()')], asked,
    [parse('SELECT count(*) FROM numbered WHERE tenant_id = $1 AND id = lastval()'), describe('S'), bind(['3']), execute(), sync],
    { messages: [query('COPY numbered (tenant_id) FROM STDIN'), copyData('5\n6\n'), copyDone], readies: 1 }, asked,
    [query(`INSERT INTO logs (note) VALUES ('x')`)], [query(`SELECT currval('logs_id_seq'), lastval()`)], asked,
    [query('BEGIN')], [query('INSERT INTO numbered (tenant_id) VALUES (4)')], asked, [query('SELECT lastval()')], [query('ROLLBACK')], asked,
  );
  await compare(
    [query('BEGIN')], [parse(`SELECT nextval('numbered_id_seq') > 0 AS taken FROM generate_series(1, 4)`), bind([], { portal: 'p' }), execute(2, 'p'), sync], [query(`SELECT currval('numbered_id_seq') = lastval() AS same`)],
    [execute(1, 'p'), sync], [query(`SELECT currval('numbered_id_seq') = lastval() AS same, currval('numbered_id_seq') > max(id) AS later FROM numbered`)], [query('ROLLBACK')],
  );
  await beforeAndAfter(`SELECT nextval('numbered_id_seq') > 0 AS taken FROM generate_series(1, 4)`);
  await Promise.all([pair.cluster.query('DROP TABLE numbered, logs'), pair.plain.query('DROP TABLE numbered, logs')]);
});

/** A portal takes values of a sequence before a row does, and after: nobody knows of which of its rows the last was. */
async function beforeAndAfter(taking: string): Promise<void> {
  const client = await RawClient.start({ host: server.host, port: server.port, database: pair.databases.coordinator.database });
  client.send(query('BEGIN'), parse(taking), bind([], { portal: 'p' }), execute(1, 'p'), sync, query('INSERT INTO numbered (tenant_id) VALUES (1)'), execute(1, 'p'), sync, query(`SELECT currval('numbered_id_seq')`));
  const said = await client.until('Z', 5);
  expect(said.filter(([type]) => type === 'E')).toEqual([['E', expect.objectContaining({ C: '55000', M: 'the value that currval() would give is not known' })]]);
  await client.end();
}

group('simple queries', () => {
  test('rows, tags, nothing, several', () => compare(
    [query(one)], [query(all)], [query('')], [query(' ; ')], [query('-- only a comment')],
    [query('SELECT 1 AS a; SELECT 2 AS b, NULL::text AS c;')],
    [query('SELECT count(*) FROM things; SELECT * FROM plans ORDER BY code; SELECT * FROM loose ORDER BY id')],
    [query(`INSERT INTO loose VALUES (3, 'three'), (4, 'four')`)], [query('UPDATE loose SET note = NULL WHERE id > 2')], [query('DELETE FROM loose WHERE id > 2')],
    [query(`INSERT INTO things (tenant_id, id) VALUES (100, 1), (101, 2)`)], [query('UPDATE things SET name = NULL WHERE tenant_id > 99')], [query('DELETE FROM things WHERE tenant_id = 100 RETURNING id')], [query('DELETE FROM things WHERE tenant_id > 99')],
    [query('SELECT FROM loose')], [query('SELECT FROM loose WHERE false')], [query('SELECT EXCEPT SELECT')],
    [query('TABLE ONLY plans ORDER BY code')], [query('TABLE ONLY (things) ORDER BY tenant_id, id')], [query('TABLE plans * ORDER BY code')], [query('SELECT code FROM ONLY (plans) ORDER BY 1')], [query('SELECT count(*) FROM plans *')], [query('LOCK TABLE ONLY plans')],
  ));

  test('errors, with their place in the text', () => compare(
    [query('SELEC 1')], [query('SELECT 1; SELEC 2')], [query('SELECT nope FROM things')], [query('SELECT 1; SELECT nope FROM things WHERE tenant_id = 1')], [query('SELECT * FROM nowhere')],
    [query('SELECT 1/0')], [query(`INSERT INTO things (tenant_id, id) VALUES (3, 3)`)], [query(`INSERT INTO plans VALUES ('free', 1)`)], [query(`SELECT 'a'::int`)],
    [query(`SELECT U&'\\061'`)], [query(`SELECT E'\\u061'`)], [query('DROP OPERATOR = (int4)')], [query('CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT nope $$')], [query('ALTER TABLE things ADD COLUMN name text')],
    [parse(`SELECT E'\\u061'`), sync],
  ));

  test('a text is one transaction', () => compare(
    [query(`INSERT INTO things (tenant_id, id) VALUES (200, 1); INSERT INTO things (tenant_id, id) VALUES (201, 1); SELECT 1/0`)],
    [query('SELECT count(*) FROM things WHERE tenant_id >= 200')],
    [query(`INSERT INTO things (tenant_id, id) VALUES (200, 1); COMMIT; INSERT INTO things (tenant_id, id) VALUES (201, 1); SELECT 1/0`)],
    [query('SELECT count(*) FROM things WHERE tenant_id >= 200')], [query('DELETE FROM things WHERE tenant_id >= 200')],
    [query('BEGIN; SELECT 1'), query('SELECT 2'), query('ROLLBACK')], [query('SELECT 1; BEGIN')], [query('SELECT nope')], [query('SELECT 1')], [query('COMMIT')],
    [query('BEGIN')], [query('SET TRANSACTION READ ONLY')], [query('SET TRANSACTION READ WRITE')], [query('SELECT count(*) FROM loose')], [query('SET TRANSACTION READ ONLY')], [query('SET TRANSACTION READ WRITE')], [query('COMMIT')],
    [query('START TRANSACTION')], [query('SAVEPOINT s')], [query('SELECT 1/0')], [query('ROLLBACK TO s')], [query('RELEASE s')], [query('COMMIT AND CHAIN')], [query('END')],
  ));

  test('tags of definitions', () => compare(
    [query('CREATE SCHEMA s1')], [query('CREATE TABLE s1.t (a int)')], [query('CREATE INDEX i ON s1.t (a)')], [query('ALTER TABLE s1.t ADD COLUMN b text')], [query('ALTER TABLE s1.t RENAME COLUMN b TO c')],
    [query('ALTER INDEX s1.i RENAME TO j')], [query('CREATE VIEW s1.v AS SELECT * FROM s1.t')], [query('ALTER VIEW s1.v RENAME TO w')], [query('CREATE SEQUENCE s1.q')], [query('ALTER SEQUENCE s1.q RESTART')],
    [query(`CREATE TYPE s1.mood AS ENUM ('a')`)], [query(`ALTER TYPE s1.mood ADD VALUE 'b'`)], [query('CREATE DOMAIN s1.d AS int CHECK (value > 0)')], [query('CREATE FUNCTION s1.f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$')],
    [query('COMMENT ON TABLE s1.t IS $$x$$')], [query('TRUNCATE s1.t')], [query('TRUNCATE things, plans')], [query('CREATE TABLE s1.u AS SELECT 1 AS a')], [query('SELECT 1 AS a INTO s1.z')], [query('CREATE MATERIALIZED VIEW s1.m AS SELECT 1 AS a')],
    [query('REFRESH MATERIALIZED VIEW s1.m')],
    [query('CREATE TABLE s1.n AS SELECT 1 AS a WITH NO DATA')], [query('CREATE TABLE IF NOT EXISTS s1.n AS SELECT 1 AS a')], [query('CREATE MATERIALIZED VIEW s1.o AS SELECT 1 AS a WITH NO DATA')], [query('ALTER TABLE ALL IN TABLESPACE pg_global SET TABLESPACE pg_default')],
    [query('ALTER TABLE s1.t ADD CONSTRAINT k CHECK (a > 0)')], [query('ALTER TABLE s1.t RENAME CONSTRAINT k TO l')], [query('CREATE FUNCTION s1.h(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT a + $1; END')], [query('GRANT SELECT ON s1.t TO PUBLIC')], [query('REVOKE SELECT ON s1.t FROM PUBLIC')], [query('ANALYZE s1.t')], [query('VACUUM s1.t')], [query('DO $$ BEGIN END $$')],
    [query('PREPARE p AS SELECT 1')], [query('EXECUTE p')], [query('DEALLOCATE p')], [query('DEALLOCATE ALL')], [query('LISTEN x')], [query('UNLISTEN x')], [query('SET work_mem = 1024')], [query('RESET work_mem')], [query('SHOW work_mem')],
    [query('BEGIN'), query('DECLARE c CURSOR FOR SELECT 1 AS a'), query('FETCH ALL FROM c'), query('MOVE c'), query('CLOSE c'), query('LOCK TABLE s1.t'), query('SET CONSTRAINTS ALL DEFERRED'), query('COMMIT')],
    [query('DROP MATERIALIZED VIEW s1.m')], [query('DROP VIEW s1.w')], [query('DROP INDEX s1.j')], [query('DROP TABLE s1.t, s1.u')], [query('DROP SCHEMA s1 CASCADE')], [query('DISCARD ALL')], [query('EXPLAIN (COSTS OFF) SELECT 1')],
  ).then(() => refill()));
});

test('notices come from rows that are read, data that is copied, and commits', async () => {
  const told = 'CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE $n$% %$n$, TG_WHEN, NEW.a; RETURN NEW; END $$';
  await compare(
    [query('CREATE TABLE heard (a int)')], [query(told)], [query('CREATE FUNCTION tell(a int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE USING MESSAGE = a, COLUMN = $n$c$n$, HINT = $n$h$n$; RETURN a; END $$')],
    [query('CREATE TRIGGER one BEFORE INSERT ON heard FOR EACH ROW EXECUTE FUNCTION told()')], [query('CREATE CONSTRAINT TRIGGER two AFTER INSERT ON heard INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION told()')],
    { messages: [query('COPY heard FROM STDIN'), copyData('1\n2\n'), copyDone], readies: 1 },
    { messages: [query('SELECT tell(a) FROM heard ORDER BY a')], readies: 1, isLoose: true }, { messages: [query('COPY (SELECT tell(a) FROM heard ORDER BY a) TO STDOUT')], readies: 1, isLoose: true },
    [query('BEGIN')], [query('INSERT INTO heard VALUES (3)')], [query('COMMIT')], [query('INSERT INTO heard VALUES (4)')],
    [query('BEGIN')], [query('INSERT INTO heard VALUES (5)')], [query(`INSERT INTO plans VALUES ('heard', 1)`)], [query(`DELETE FROM plans WHERE code = 'heard'`)], [query('COMMIT')],
    [query('DROP TABLE heard')], [query('DROP FUNCTION told(), tell(int)')],
  );
});

test('RESET comes back to what the session has begun with', () => compareFrom(
  { DateStyle: 'Postgres, MDY', TimeZone: 'PST8PDT', options: '-c intervalstyle=postgres_verbose -c work_mem=3MB' },
  ...['SET datestyle TO ISO, YMD', 'RESET datestyle', 'SET intervalstyle TO postgres', 'SET TIME ZONE 7', 'SET TIME ZONE DEFAULT', 'RESET ALL', 'SET work_mem TO 4096', 'SET work_mem TO DEFAULT', 'SET datestyle TO German', 'DISCARD ALL'].flatMap((set) =>
    [[query(set)], [query(`SELECT '2001-02-03 04:05:06Z'::timestamptz, '1 day 2 hours'::interval, current_setting('work_mem'), current_setting('DateStyle')`)]]),
  [query('BEGIN')], [query('SET LOCAL datestyle TO ISO')], [query('SET LOCAL datestyle TO DEFAULT')], [query('SHOW datestyle')], [query('RESET ALL')], [query('ROLLBACK')], [query('SHOW datestyle')],
));

test('roles without rights to the catalog change what they may', async () => {
  const role = `definer_${pair.databases.coordinator.database.slice(5, 17)}`;
  await pair.cluster.query(`CREATE ROLE ${role}`);
  await compare(
    [query(`CREATE SCHEMA own AUTHORIZATION ${role}`)], [query(`SET SESSION AUTHORIZATION ${role}`)], [query(`CREATE TYPE own.mood AS ENUM ('a')`)], [query('CREATE TABLE own.t (a own.mood)')], [query('ALTER TABLE own.t ADD b int')],
    [query('CREATE FUNCTION own.f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$')], [query('SELECT own.f(), current_user, session_user')], [query('CREATE ROLE definers')],
    [query('BEGIN')], [query(`ALTER TYPE own.mood RENAME TO state`)], [query('SELECT session_user')], [query('DROP FUNCTION own.f()')], [query('COMMIT')],
    [query('RESET SESSION AUTHORIZATION')], [query(`SET ROLE ${role}`)], [query('CREATE DOMAIN own.d AS int')], [query('SELECT current_user')], [query('RESET ROLE')],
    [query(`SELECT pg_get_userbyid(typowner) = '${role}' FROM pg_type WHERE typname IN ('state', 'd')`)], [query('DROP SCHEMA own CASCADE')],
  );
  await pair.cluster.query(`DROP ROLE ${role}`);
});

test('a long result of local tables, over the only connection of a session', () => compareFrom({ DateStyle: 'German' },
  [query(`SELECT g, repeat('x', 1000) FROM loose, generate_series(1, 2000) AS g WHERE id = 1`)], [query(`COPY (SELECT g, repeat('x', 1000) FROM loose, generate_series(1, 2000) AS g WHERE id = 1) TO STDOUT`)],
  [query('BEGIN')], [query(`SELECT g, repeat('x', 1000) FROM loose, generate_series(1, 2000) AS g WHERE id = 1`)], [query('COMMIT')],
));

test('functions are called by their OIDs', () => compare(
  [query('BEGIN')], [functionCall(715, [int32(4711)])], [functionCall(952, [int32(4711), int32(131072 + 262144)])], [functionCall(955, [int32(0), Buffer.from('some bytes')])], [functionCall(958, [int32(0)])], [functionCall(956, [int32(0), int32(0), int32(0)])],
  [functionCall(954, [int32(0), int32(4)])], [functionCall(964, [int32(4711)])], [query('COMMIT')], [functionCall(1, [])], [functionCall(952, [])], [functionCall(964, [int32(4712)])], [query('SELECT 1')],
));

test('EXECUTE of what is the coordinator database\'s alone', () => compare(
  [query('PREPARE p (int) AS SELECT id, note FROM loose WHERE id = $1')], [query('SELECT name, parameter_types FROM pg_prepared_statements')], [query('EXECUTE p(1)')], [query('CREATE TABLE kept AS EXECUTE p(1)')], [query('SELECT * FROM kept')],
  [query('SELECT name, custom_plans FROM pg_prepared_statements')], [query('EXPLAIN (COSTS OFF) EXECUTE p(2)')], [query('ALTER TABLE loose ADD extra int')], [query('PREPARE q AS SELECT * FROM loose ORDER BY id')], [query('EXECUTE q')],
  [query('ALTER TABLE loose DROP extra')], [query('EXECUTE q')], [query('EXECUTE p(1, 2)')], [query('EXECUTE p(2)')], [query('PREPARE r (bigint) AS SELECT count(*) FROM things WHERE tenant_id = $1')], [query('EXECUTE r(3)')], [query('DEALLOCATE ALL')], [query('DROP TABLE kept')],
));

async function refill(): Promise<void> {
  const statements = [`INSERT INTO things SELECT i % 7, i, 'item ' || i, i * 1.5, '2024-01-01 00:00:00Z'::timestamptz + i * interval '1 hour' FROM generate_series(1, 60) AS i`, `INSERT INTO plans VALUES ('free', 0), ('pro', 20.5)`];
  for (const statement of statements) {
    await pair.cluster.query(statement);
    await pair.plain.query(statement);
  }
}

group('extended queries', () => {
  test('one statement', () => compare(
    [parse(one), bind(), describe('P'), execute(), sync],
    [parse('SELECT name FROM things WHERE tenant_id = $1 AND id = $2'), bind(['3', '10']), describe('P'), execute(), sync],
    [parse('SELECT name FROM things WHERE tenant_id = $1 AND id = $2', 's'), describe('S', 's'), sync],
    [bind(['3', '10'], { statement: 's' }), execute(), sync], [bind(['4', '11'], { statement: 's' }), execute(), sync], [close('S', 's'), sync], [bind(['4', '11'], { statement: 's' }), execute(), sync],
    [parse(''), bind(), describe('S'), describe('P'), execute(), sync],
    [parse('SELECT FROM things WHERE tenant_id = 3'), describe('S'), bind(), describe('P'), execute(), sync], [parse('SELECT FROM things'), bind(), describe('P'), execute(2), execute(0), execute(0), sync], [parse('SELECT FROM loose'), bind(), describe('P'), execute(1), sync],
    [parse('INSERT INTO things (tenant_id, id, name) VALUES ($1, $2, $3) RETURNING id, name'), describe('S'), bind(['300', '1', null]), describe('P'), execute(), sync], [parse('DELETE FROM things WHERE tenant_id = 300'), bind(), execute(), sync],
    [parse('SET work_mem = 2048'), describe('S'), bind(), execute(), sync], [parse('SHOW work_mem'), describe('S'), bind(), execute(), sync],
    [parse('SELECT count(*), sum(price) FROM things'), describe('S'), bind(), execute(), sync],
    [parse('SELECT $1 || $2'), describe('S'), bind(['a', 'b']), execute(), sync],
  ));

  test('types that the client gives', () => compare(
    [parse('SELECT $1', '', [23]), describe('S'), bind(['7']), describe('P'), execute(), sync],
    [parse('SELECT name FROM things WHERE tenant_id = $1 AND id = $2', '', [20, 23]), describe('S'), bind(['3', '10']), execute(), sync],
    [parse('SELECT name FROM things WHERE tenant_id = $1 AND id = $2', '', [23, 0]), describe('S'), bind(['3', '10']), execute(), sync],
    [parse('SELECT $1 + 1 AS n, $2', '', [20, 25]), describe('S'), bind(['7', 'x']), execute(), sync],
    [parse('SELECT id FROM things WHERE tenant_id = $1 ORDER BY 1', '', [25]), sync],
    [parse('SELECT $1', '', [999_999]), sync],
  ));

  test('errors skip what was sent before the client could know', () => compare(
    [parse('SELEC 1'), bind(), execute(), sync], [parse('SELECT nope FROM things'), bind(), execute(), sync], [parse('SELECT 1; SELECT 2'), sync], [bind([], { statement: 'none' }), execute(), sync], [execute(0, 'none'), sync],
    [describe('S', 'none'), sync], [describe('P', 'none'), sync], [close('S', 'none'), close('P', 'none'), sync],
    [parse('SELECT $1::int'), bind([]), sync], [bind(['1', '2']), sync], [bind(['1'], { formats: [0, 0] }), sync], [bind(['1'], { results: [0, 0] }), sync], [bind(['1'], { formats: [7] }), sync],
    [parse('SELECT 1', 'twice'), parse('SELECT 2', 'twice'), sync], [parse('SELECT 1', 'twice'), sync],
    [parse('SELECT 1/(id-id) FROM loose'), bind(), execute(), parse('SELECT 1'), bind(), execute(), sync, parse('SELECT 2'), bind(), execute(), sync],
    [message('P', Buffer.from('\0SELECT \xff\0', 'latin1'), Buffer.from([0, 0])), sync],
    [query('SELECT 1')],
  ));

  test('identity columns, which shards do not have, are set by nobody', async () => {
    await compare([query('CREATE TABLE numbered (id bigint PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, m int)')]);
    await pair.cluster.createDistributedTable('numbered', 'id');
    await compare(
      [query('INSERT INTO numbered (id) VALUES (1)')], [query('UPDATE numbered SET n = 5 WHERE id = 1')], [query('UPDATE numbered SET m = 1, n = 5')], [query('UPDATE numbered SET (n, m) = (1, 2) WHERE id = 1')], [query('UPDATE numbered SET (m, n) = (SELECT 1, 2)')],
      [query('INSERT INTO numbered (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET n = 7')], [query('MERGE INTO numbered USING (VALUES (1)) AS v (i) ON id = i WHEN MATCHED THEN UPDATE SET n = 3')], [query('SELECT * FROM numbered')], [query('DROP TABLE numbered')],
    );
  });

  test('values are read at Bind', () => {
    const [byId, told] = ['SELECT name FROM things WHERE tenant_id = $1 AND id = $2', `SELECT $1::date, $2::mood::text, $3::int[], $4::json, $5::few FROM loose WHERE id = 1`];
    const bound = (values: readonly (string | null)[], with_: BindWith = {}): readonly Buffer[] => [bind(values, with_), describe('P', with_.portal), execute(0, with_.portal), sync];
    return compare(
      [query(`CREATE TYPE mood AS ENUM ('sad', 'ok')`)], [query('CREATE DOMAIN few AS int CHECK (VALUE < 10)')],
      [parse(byId), ...bound(['3', 'x'])], [parse(byId), ...bound(['y', '1'])], [parse(byId), ...bound(['3', '99999999999'])], [parse(byId, 's'), sync], [...bound(['3', ''], { statement: 's', portal: 'p' })], [...bound([' 3 ', '+1'], { statement: 's' })],
      [parse(told, 't'), sync], ...[
        ['2024-02-29', 'ok', '{1,2}', '{"a": [1]}', '7'], ['2023-02-29', 'ok', '{1}', '{}', '1'], ['yesterday or so', null, null, null, null], ['2024-13-01', null, null, null, null], ['2024-01-01', 'happy', null, null, null],
        ['2024-01-01', 'sad', '{1,x}', null, null], ['2024-01-01', 'sad', '1', null, null], ['2024-01-01', 'sad', null, '{"a" 1}', null], ['2024-01-01', 'sad', null, '"\\u12"', null], ['2024-01-01', 'sad', null, '1', '11'],
      ].map((values) => bound(values, { statement: 't' })),
      [query('SET datestyle TO German')], bound(['31.12.2024', 'ok', null, null, '1'], { statement: 't' }), bound(['12/31/2024', 'ok', null, null, '1'], { statement: 't' }), [query('RESET datestyle')],
      [query('BEGIN')], [query(`CREATE TYPE late AS ENUM ('a')`)], [parse('SELECT $1::late::text', 'l'), ...bound(['a'], { statement: 'l' })], [...bound(['b'], { statement: 'l' })], [...bound(['a'], { statement: 'l' })], [parse('ROLLBACK'), ...bound([])],
      [parse('SELECT count(*) FROM loose WHERE id = $1'), ...bound(['none']), query('SELECT 1')], [query('DROP TYPE mood')], [query('DROP DOMAIN few')],
    );
  });

  test('what stands before one Sync is one transaction', () => compare(
    [parse(`INSERT INTO things (tenant_id, id) VALUES ($1, 1)`), bind(['400']), execute(), bind(['401']), execute(), bind(['402']), execute(), sync], [query('SELECT count(*) FROM things WHERE tenant_id >= 400')],
    [parse(`INSERT INTO things (tenant_id, id) VALUES ($1, 2)`), bind(['400']), execute(), bind(['401']), execute(), bind(['401']), execute(), bind(['403']), execute(), sync], [query('SELECT count(*) FROM things WHERE tenant_id >= 400')],
    [parse('BEGIN'), bind(), execute(), parse(`INSERT INTO things (tenant_id, id) VALUES ($1, 3)`), bind(['400']), execute(), sync], [query('ROLLBACK')], [query('SELECT count(*) FROM things WHERE tenant_id >= 400')],
    [parse(`DELETE FROM things WHERE tenant_id >= 400`), bind(), execute(), parse('COMMIT'), bind(), execute(), parse('SELECT 1/(id-id) FROM loose'), bind(), execute(), sync], [query('SELECT count(*) FROM things WHERE tenant_id >= 400')],
  ));

  test('rows in parts', () => compare(
    [query('BEGIN')], [parse(all), bind([], { portal: 'p' }), execute(5, 'p'), sync], [execute(5, 'p'), sync], [parse('SELECT count(*) FROM things'), bind(), execute(), sync], [execute(60, 'p'), sync], [execute(1, 'p'), sync],
    [bind([], { portal: 'p', statement: 'x' }), sync], [query('ROLLBACK')],
    [query('BEGIN')], [parse(all), bind([], { portal: 'p' }), execute(2, 'p'), sync], [query('COMMIT')], [execute(2, 'p'), sync],
    [parse('SELECT id FROM loose ORDER BY id'), bind(), execute(1), execute(1), execute(1), sync], [execute(1), sync],
    [parse(all), bind(), execute(3), execute(0), sync], [parse(one), bind([], { portal: 'a' }), bind([], { portal: 'a' }), sync],
    [query('BEGIN')], [parse(all), bind([], { portal: 'p' }), execute(2, 'p'), close('P', 'p'), execute(2, 'p'), sync], [query('ROLLBACK')],
    [parse(`UPDATE things SET name = name WHERE tenant_id = 3 RETURNING id`), bind(), execute(1), execute(0), sync],
  ));

  const series = 'SELECT i, i % 7 AS rest FROM generate_series(1, 2500) AS i WHERE i > $1';
  test('rows in parts of what the coordinator database answers alone', () => compare(
    [query('BEGIN')], [parse(series), bind(['3'], { portal: 'p', results: [1] }), execute(1200, 'p'), sync], [query(`INSERT INTO loose VALUES (7, 'x')`)], [execute(1200, 'p'), sync], [execute(1200, 'p'), sync], [execute(1, 'p'), sync], [query('ROLLBACK')],
    [query('BEGIN; SAVEPOINT s')], [parse(series), bind(['0'], { portal: 'p' }), execute(2, 'p'), sync], [query('ROLLBACK TO s')], [query('SELECT 1')], [query('COMMIT')], [execute(2, 'p'), sync],
    [query('BEGIN')], [parse('SELECT 1 / (4 - i) AS x FROM generate_series(1, 2000) AS i'), bind(), execute(3), sync], [parse('SELECT 2'), bind(), execute(), sync], [query('COMMIT')],
    [parse('SELECT 1 / (1500 - i) AS x FROM generate_series(1, 2000) AS i'), bind([], { portal: 'p' }), execute(3, 'p'), execute(1496, 'p'), execute(10, 'p'), execute(1, 'p'), sync],
    [parse(`WITH w AS (INSERT INTO loose VALUES (8, 'y') RETURNING id) SELECT * FROM w`), bind(), execute(1), execute(1), sync], [parse('SELECT id FROM loose ORDER BY id FOR UPDATE'), bind(), execute(1), execute(5), sync], [query('DELETE FROM loose WHERE id = 8')],
    [parse('SELECT 1 WHERE false'), bind(), execute(1), sync], [parse('SHOW server_encoding'), bind(), execute(1), sync],
    [query('BEGIN')], [parse(`SELECT repeat('x', 300) AS x FROM generate_series(1, 2000) AS a, generate_series(1, 2000) AS b`), bind([], { portal: 'p' }), execute(2, 'p'), sync], [query('ROLLBACK')],
  ));

  test('binary values, both ways', () => {
    const types = `1::int2 AS a, -2::int4 AS b, 3::int8 AS c, 1.5::float4 AS d, 'NaN'::float8 AS e, true AS f, 'text ✓'::text AS g, 'a'::char(3) AS h, '\\xdead'::bytea AS i, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS j,
      '{"a": 1}'::json AS k, '{"a": [1, null]}'::jsonb AS l, 12345.678::numeric AS m, '2024-02-29'::date AS n, '2024-02-29 12:34:56.789'::timestamp AS o, '2024-02-29 12:34:56Z'::timestamptz AS p, '1 day 2 hours'::interval AS q,
      '{1,2,NULL}'::int[] AS r, '{a,"b c"}'::text[] AS s, '[1,5)'::int4range AS t, '10.0.0.1/8'::inet AS u, 'name'::name AS v, 42::oid AS w, NULL::int AS x, '(1,2)'::point AS y, '12:34'::time AS z`;
    const int8 = Buffer.from('0000000000000003', 'hex');
    return compare(
      [parse(`SELECT ${types}`), bind([], { results: [1] }), describe('P'), execute(), sync],
      [parse(`SELECT ${types}, price, made, name FROM things WHERE tenant_id = 3 ORDER BY id LIMIT 2`), bind([], { results: [1] }), describe('P'), execute(), sync],
      [parse(`SELECT ${types}, sum(price) AS total, max(made) AS last FROM things`), bind([], { results: [1] }), describe('P'), execute(), sync],
      [parse('SELECT id, name, price FROM things WHERE tenant_id = $1 ORDER BY id'), bind([int8], { formats: [1], results: [1, 0, 1] }), describe('P'), execute(), sync],
      [parse('SELECT id, price FROM things WHERE price = $1 OR made = $2 ORDER BY id'), bind([Buffer.from('00020000000000020004138888'.slice(0, 24), 'hex'), Buffer.from('0002b0d6fb4e1000', 'hex')], { formats: [1], results: [0] }), execute(), sync],
      [parse('SELECT name FROM things WHERE tenant_id = $1'), bind([Buffer.from('03', 'hex')], { formats: [1] }), execute(), sync],
      [parse('SELECT $1::int[]'), bind([Buffer.concat([int32(1), int32(0), int32(23), int32(1), int32(1), int32(4), int32(9)])], { formats: [1] }), execute(), sync],
      [query('BEGIN')], [parse('SELECT tenant_id, price FROM things ORDER BY id'), bind([], { portal: 'p', results: [1] }), execute(3, 'p'), sync], [query('ROLLBACK')],
    );
  });

  test('messages that belong elsewhere', () => compare([flush, query('SELECT 1')], [copyData('x'), copyDone, copyFail('x'), query('SELECT 1')]));
});

group('rows that go from a node to the client as they come', () => {
  /** How many of the turns' queries did so; each is sent again and again, in one session, from before it is known until it is prepared on nodes. */
  async function passed(...turns: readonly (readonly Buffer[])[]): Promise<number> {
    const { pools } = Cluster.coordinatorOf(pair.cluster);
    // However busy the machine is.
    const clock = vi.spyOn(performance, 'now').mockReturnValue(0);
    const spies = pools.nodeIds.map((id) => vi.spyOn(pools.get(id) as { relay: NonNullable<NodeConnections['relay']> }, 'relay'));
    try {
      await compare(...turns.flatMap(([first = sync, ...again]) => [[first, sync], ...Array.from({ length: rounds }, () => again)]));
      return spies.reduce((sum, spy) => sum + spy.mock.results.filter(({ value }) => value === true).length, 0);
    } finally {
      for (const spy of [clock, ...spies]) spy.mockRestore();
    }
  }
  /** More than are needed to have a statement prepared. */
  const rounds = 8;
  const named = (sql: string): Buffer => parse(sql, 's');
  const ask = (values: readonly string[], results: readonly number[] = []): Buffer[] => [bind(values, { statement: 's', results }), describe('P'), execute(), sync];

  test('texts, NULLs, no rows, no columns, large rows, more than is kept whole', async () => {
    await pair.cluster.query(`INSERT INTO things (tenant_id, id, name) VALUES (3, 901, NULL), (3, 902, 'é ✓ ')`);
    await pair.plain.query(`INSERT INTO things (tenant_id, id, name) VALUES (3, 901, NULL), (3, 902, 'é ✓ ')`);
    expect(await passed([named('SELECT id, name, price, made FROM things WHERE tenant_id = $1 ORDER BY id'), ...ask(['3']), ...ask(['5'])])).toBe(2 * rounds - 1);
    expect(await passed([named('SELECT name FROM things WHERE tenant_id = $1 AND id = 4711'), ...ask(['3'])])).toBeGreaterThan(0);
    expect(await passed([named('SELECT FROM things WHERE tenant_id = $1'), bind(['3'], { statement: 's' }), execute(), sync])).toBeGreaterThan(0);
    expect(await passed([named(`SELECT id, repeat(name || 'é', 5000) FROM things WHERE tenant_id = $1 ORDER BY id`), ...ask(['3'])])).toBeGreaterThan(0);
    await passed([named(`SELECT id, repeat('x', 300000) FROM things WHERE tenant_id = $1 ORDER BY id`), ...ask(['3'])]);
    for (const one of [pair.cluster, pair.plain]) await one.query('DELETE FROM things WHERE id > 900');
  });

  test('binary, of types that are alike everywhere', async () => {
    const alike = `SELECT id, tenant_id, name, 1.5::float4 AS d, 'NaN'::float8 AS e, id > 10 AS f, '\\xdead'::bytea AS i, '{"a": [1, null]}'::jsonb AS l, NULL::uuid AS n FROM things WHERE tenant_id = $1 ORDER BY id`;
    expect(await passed([named(alike), ...ask(['3'], [1]), ...ask(['3'], [1, 0, 1, 1, 0, 0, 1, 1, 1]), ...ask(['3'])])).toBeGreaterThan(0);
    expect(await passed([named('SELECT id, price FROM things WHERE tenant_id = $1 ORDER BY id'), ...ask(['3'], [1])])).toBe(0);
  });

  test('errors of rows; definitions that have changed', async () => {
    const rest = 'SELECT 60 / (id - $2::int) AS x FROM things WHERE tenant_id = $1 ORDER BY id';
    expect(await passed([named(rest), ...ask(['3', '1000']), ...ask(['3', '10']), ...ask(['3', '1000'])])).toBeGreaterThan(0);
    for (const one of [pair.cluster, pair.plain]) await one.query('ALTER TABLE things ADD COLUMN more text');
    expect(await passed([named('SELECT more, id FROM things WHERE tenant_id = $1 ORDER BY id'), ...ask(['3'])])).toBeGreaterThan(0);
    for (const one of [pair.cluster, pair.plain]) await one.query('ALTER TABLE things DROP COLUMN more');
  });
});

group('COPY', () => {
  const back = [query('SELECT * FROM things WHERE tenant_id >= 500 ORDER BY tenant_id')];
  test('in', () => compare(
    [query('COPY things (tenant_id, id, name) FROM STDIN'), copyData('500\t1\ta\n501\t2'), copyData('\t\\N\n'), copyData('502\t3\tc\n'), copyDone], back,
    [query('COPY things (tenant_id, id) FROM STDIN (FORMAT csv)'), copyData('503,1\n'), copyFail('no more')], back, [query('COPY things (tenant_id, id) FROM STDIN'), copyData('x\ty\n'), copyDone], back,
    { messages: [query('COPY things FROM STDIN'), query('SELECT 1')], readies: 1 }, [query('COPY nowhere FROM STDIN')], [query('COPY loose (nope) FROM STDIN')], [query('COPY things (nope) TO STDOUT')], [query(`COPY loose FROM STDIN (ENCODING 'latin1')`), copyData(Buffer.from('9\tn\xe9\n', 'latin1')), copyDone], [query('DELETE FROM loose WHERE id = 9 RETURNING note')], [query('COPY loose FROM STDIN; SELECT count(*) FROM loose'), copyData('9\tnine\n'), copyDone], [query('DELETE FROM loose WHERE id = 9')],
    [query('BEGIN')], [query('COPY things (tenant_id, id) FROM STDIN'), copyData('504\t1\n'), copyDone], [query('ROLLBACK')], back,
    { messages: [parse('COPY things (tenant_id, id) FROM STDIN'), bind(), execute(), sync, copyData('505\t1\n'), copyDone, sync], readies: 1 }, back,
    [query('DELETE FROM things WHERE tenant_id >= 500')],
  ));

  test('without generated columns', () => compare(...['doubled', 'halves'].flatMap((table) => [
    [query(`COPY ${table} FROM STDIN`), copyData('1\tone\n'), copyDone], [query(`COPY ${table} TO STDOUT`)], [query(`COPY ${table} (note, id) TO STDOUT`)], [query(`COPY (SELECT * FROM ${table}) TO STDOUT`)], [query(`SELECT * FROM ${table}`)], [query(`COPY public.${table} TO STDOUT (FORMAT binary)`)],
  ])));

  test('out', () => compare(
    [query(`COPY (SELECT id, name FROM things WHERE tenant_id = 3 ORDER BY id) TO STDOUT`)], [query(`COPY (SELECT id, E'a\\nb"c' AS x FROM things ORDER BY id LIMIT 3) TO STDOUT (FORMAT csv, HEADER)`)],
    [query(`COPY loose TO STDOUT`)], [query(`COPY (SELECT * FROM loose ORDER BY id) TO STDOUT (FORMAT binary)`)], [query('COPY (SELECT 1/0) TO STDOUT')], [query('COPY (SELECT 1 WHERE false) TO STDOUT')],
    [query('COPY plans (code) TO STDOUT')], [parse('COPY plans (code) TO STDOUT'), describe('S'), bind(), execute(), sync],
  ));
});
