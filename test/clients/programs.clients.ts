import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serve, type WireServer } from '../../src/wire.ts';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';

const run = promisify(execFile);
const programs = '/usr/lib/postgresql/15/bin';
let pair: ClusterAndPlain;
let server: WireServer;
let directory: string;

beforeAll(async () => {
  // pg_dump speaks to servers of its own version and older ones.
  pair = await startCluster({ major: 15 });
  server = await serve(pair.cluster, { port: 0, authentication: 'trust' });
  directory = mkdtempSync(join(tmpdir(), 'shardwright-clients-'));
});
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await server.close();
  await pair[Symbol.asyncDispose]();
});

interface Place {
  readonly host: string;
  readonly port: number | string;
  readonly database: string;
  readonly user: string;
}

const wire = (): Place => ({ host: server.host, port: server.port, database: pair.databases.coordinator.database, user: pair.databases.coordinator.user });
function plain(): Place {
  const { hostname, port, pathname, username } = new URL(pair.plain.options.connectionString ?? '');
  return { host: hostname, port, database: pathname.slice(1), user: username };
}

const environment = ({ host, port, database, user }: Place): NodeJS.ProcessEnv => ({ ...process.env, PGHOST: host, PGPORT: String(port), PGDATABASE: database, PGUSER: user });

async function program(name: string, place: Place, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await run(name.includes('/') ? name : join(programs, name), args, { env: environment(place), maxBuffer: 64 * 1024 * 1024 });
  return stdout + stderr;
}

/** A file with this in it. */
function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

describe('psql', () => {
  const script = `
SELECT tenant_id, count(*), sum(total) FROM orders GROUP BY 1 ORDER BY 1;
SELECT * FROM orders WHERE tenant_id = 3 ORDER BY id;
SELECT nope FROM orders;
BEGIN; INSERT INTO orders (tenant_id, id) VALUES (50, 1), (51, 1); SELECT count(*) FROM orders; SELECT 1/0; SELECT 1; ROLLBACK;
SELECT 1 AS a \\; SELECT 2 AS b;
COPY notes FROM STDIN;
7\tseven
8\t\\N
\\.
SELECT * FROM notes ORDER BY id;
\\copy (SELECT code, name FROM countries ORDER BY code) TO STDOUT WITH (FORMAT csv, HEADER)
DELETE FROM notes WHERE id IN (7, 8);
SELECT id FROM notes ORDER BY id \\bind \\g
\\gdesc
SELECT tenant_id, note FROM orders WHERE tenant_id = 1 ORDER BY id LIMIT 2 \\gx
\\set FETCH_COUNT 10
SELECT tenant_id, id FROM orders ORDER BY 1, 2;
\\d orders
\\d+ items
\\dt
\\di
\\df
\\dT
\\dn
\\dv
`;
  test('prints what it prints from one PostgreSQL', async () => {
    // \bind came with psql 16.
    const path = file('script.sql', script.replace(/^.*\\bind.*$/m, ''));
    const print = (place: Place): Promise<string> => program('psql', place, '-X', '-a', '-f', path);
    const expected = await print(plain());
    expect(withoutNodes(await print(wire()))).toBe(expected);
  });
});

/** The context of an error names the node that it came from. */
function withoutNodes(text: string): string {
  return text.replaceAll(/^CONTEXT: {2}node .*\n/gm, '').replaceAll(/\nnode \d+\..*$/gm, '');
}

describe('pgbench', () => {
  beforeAll(async () => {
    const tables = ['history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))', 'tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84))', 'accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84))', 'branches (bid int PRIMARY KEY, bbalance int, filler char(88))'];
    for (const table of tables) await pair.cluster.query(`CREATE TABLE pgbench_${table}`);
    for (const [table, column] of [['accounts', 'aid'], ['history', 'aid'], ['tellers', 'tid'], ['branches', 'bid']] as const) await pair.cluster.createDistributedTable(`pgbench_${table}`, column);
    await program('pgbench', wire(), '-i', '-I', 'g', '-s', '1', '-q');
  });
  // One PostgreSQL, which others are compared with, has none of them.
  afterAll(() => pair.cluster.query('DROP TABLE pgbench_history, pgbench_tellers, pgbench_accounts, pgbench_branches'));

  test.each(['simple', 'extended', 'prepared'])('%s: transactions over many nodes, and lookups', async (mode) => {
    expect(await program('pgbench', wire(), '-n', '-M', mode, '-c', '4', '-t', '25')).toContain('number of failed transactions: 0 (0.000%)');
    expect(await program('pgbench', wire(), '-n', '-S', '-M', mode, '-c', '8', '-t', '200')).toContain('number of transactions actually processed: 1600/1600');
    const { rows } = await pair.cluster.query('SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(tbalance) FROM pgbench_tellers) AND (SELECT sum(delta) FROM pgbench_history) = (SELECT sum(bbalance) FROM pgbench_branches) AS balanced');
    expect(rows).toEqual([{ balanced: true }]);
  });
});

test('pg_dump: into a plain PostgreSQL, and back', async () => {
  await pair.cluster.query('CREATE MATERIALIZED VIEW sums AS SELECT tenant_id, sum(total) AS "the sum", \'a  b\' AS word FROM orders WHERE note IS NOT NULL GROUP BY tenant_id; CREATE UNIQUE INDEX ON sums (tenant_id)');
  const dump = await program('pg_dump', wire(), '--no-owner');
  expect(dump).not.toMatch(/shardwright|_\d{6}\b/);
  await pair.plain.query('CREATE DATABASE restored_wire');
  const restored = { ...plain(), database: 'restored_wire' };
  try {
    await program('psql', restored, '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', file('dump.sql', dump));
    expect(withoutKey(await program('pg_dump', restored, '--no-owner'))).toBe(withoutKey(dump));
    for (const table of ['orders', 'items', 'countries', 'notes', 'sums']) {
      const rows = (place: Place): Promise<string> => program('psql', place, '-X', '-At', '-c', `SELECT t::text FROM ${table} AS t ORDER BY 1`);
      expect(await rows(restored)).toBe(await rows(wire()));
    }
  } finally {
    await pair.plain.query('DROP DATABASE restored_wire');
    await pair.cluster.query('DROP MATERIALIZED VIEW sums');
  }
});

/** What an application's database may have, in a schema of its own. */
const application = String.raw`
CREATE SCHEMA app;
CREATE TYPE app.state AS ENUM ('new', 'paid');
CREATE DOMAIN app.short AS text CHECK (length(value) < 100);
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := coalesce(NEW.note, 'none'); RETURN NEW; END $$;
CREATE TABLE app.tenants (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name app.short NOT NULL, upper text GENERATED ALWAYS AS (upper(name)) STORED);
COMMENT ON COLUMN app.tenants.name IS 'its "name"';
CREATE TABLE app.bills (tenant_id bigint REFERENCES app.tenants, id serial, state app.state DEFAULT 'new', doc bytea, note text, PRIMARY KEY (tenant_id, id));
CREATE INDEX ON app.bills (state) WHERE state <> 'paid';
CREATE TRIGGER touch BEFORE INSERT ON app.bills FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE TABLE app.events (tenant_id bigint, at timestamptz, body jsonb, PRIMARY KEY (tenant_id, at)) PARTITION BY RANGE (at);
CREATE TABLE app.events_1 PARTITION OF app.events FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE app.events_other PARTITION OF app.events DEFAULT;
ALTER TABLE app.bills ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON app.bills USING (tenant_id = current_setting('app.tenant', true)::bigint);
CREATE VIEW app.paid WITH (security_invoker) AS SELECT t.name, b.id FROM app.bills b JOIN app.tenants t ON t.id = b.tenant_id WHERE b.state = 'paid';
CREATE TABLE app.large (id int PRIMARY KEY, body text);
INSERT INTO app.tenants (name) SELECT 'tenant ' || i FROM generate_series(1, 9) i;
INSERT INTO app.bills (tenant_id, state, doc, note) SELECT 1 + i % 9, (ARRAY['new', 'paid'])[1 + i % 2]::app.state, decode(md5(i::text), 'hex'), E'\t\\.\n' || i FROM generate_series(1, 60) i;
INSERT INTO app.events SELECT i % 9, timestamptz '2024-01-20 00:00Z' + i * interval '1 day', jsonb_build_object('i', i) FROM generate_series(1, 40) i;
INSERT INTO app.large SELECT i, repeat(md5(i::text), 50000) FROM generate_series(1, 3) i`;

describe('a dump of one PostgreSQL', () => {
  const dump = (place: Place, ...options: string[]): Promise<string> => program('pg_dump', place, '--schema=app', '--no-owner', ...options).then(withoutKey);
  beforeAll(() => pair.plain.query(application));
  afterAll(() => Promise.all([pair.plain, pair.cluster].map((side) => side.query('DROP SCHEMA IF EXISTS app CASCADE'))));

  test('is restored by several connections at once, and in one transaction', async () => {
    const path = join(directory, 'app.dump');
    await program('pg_dump', plain(), '--schema=app', '--no-owner', '-Fc', '-f', path);
    const expected = await dump(plain());
    for (const options of [['-j', '2'], ['--single-transaction']]) {
      await program('pg_restore', wire(), '--no-owner', '-d', wire().database, ...options, path);
      expect(await dump(wire())).toBe(expected);
      await pair.cluster.query('DROP SCHEMA app CASCADE');
    }
    await program('psql', wire(), '-X', '-q', '-1', '-v', 'ON_ERROR_STOP=1', '-f', file('app.sql', expected));
    expect(await dump(wire())).toBe(expected);
  });

  test('has rows that distributed tables take as well', async () => {
    // Rows that refer to others follow them: here when all are restored.
    await pair.cluster.query('TRUNCATE app.tenants, app.bills');
    for (const [table, column] of [['tenants', 'id'], ['bills', 'tenant_id'], ['events', 'tenant_id'], ['large', 'id']] as const) await pair.cluster.createDistributedTable(`app.${table}`, column, table === 'large' ? { colocateWith: 'none' } : {});
    expect(await dump(wire(), '--schema-only')).toBe(await dump(plain(), '--schema-only'));
    for (const options of [[], ['--rows-per-insert=7'], ['--column-inserts', '--load-via-partition-root']]) {
      await pair.cluster.query('TRUNCATE app.tenants, app.bills, app.events, app.large');
      await program('psql', wire(), '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', file('rows.sql', await dump(plain(), '--data-only', ...options)));
      expect(await appRows(wire())).toBe(await appRows(plain()));
    }
  });
});

function appRows(place: Place): Promise<string> {
  const queries = ['tenants', 'bills', 'events_1', 'events_other', 'large'].flatMap((table) => ['-c', `SELECT md5(string_agg(t, ' ' ORDER BY t COLLATE "C")), count(*) FROM (SELECT t::text AS t FROM app.${table} AS t) AS t`]);
  return program('psql', place, '-X', '-At', ...queries);
}

test('pg_dump --schema-only of the coordinator database itself: into a plain PostgreSQL', async () => {
  const { host, port, database, user } = pair.databases.coordinator;
  const dump = await program('pg_dump', { host, port, database, user }, '--schema-only', '--no-owner');
  expect(dump).toMatch(/CREATE TABLE public\.orders/);
  expect(dump).toMatch(/CREATE TABLE shardwright\.distributed_table/);
  await pair.plain.query('CREATE DATABASE restored_shells');
  const restored = { ...plain(), database: 'restored_shells' };
  try {
    await program('psql', restored, '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', file('shells.sql', dump));
    expect(withoutKey(await program('pg_dump', restored, '--schema-only', '--no-owner'))).toBe(withoutKey(dump));
    // Without the library's own schema, its triggers go as well, and the tables are ordinary ones.
    await program('psql', restored, '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-c', 'DROP SCHEMA shardwright CASCADE', '-c', 'INSERT INTO orders (tenant_id, id) VALUES (1, 1)');
  } finally {
    await pair.plain.query('DROP DATABASE restored_shells');
  }
});

/** A dump has a key of its own. */
function withoutKey(dump: string): string {
  return dump.replaceAll(/^\\(un)?restrict .*$/gm, '');
}

const psycopg = `
import psycopg
with psycopg.connect('') as conn:
    for binary in (False, True):
        with conn.cursor(binary=binary) as cur:
            cur.execute('SELECT tenant_id, id, total, note, at, tags FROM orders WHERE tenant_id = %s AND id <= %s ORDER BY id', (3, 2))
            print([tuple(map(str, row)) for row in cur.fetchall()])
            cur.execute('SELECT %s::int8, %s::numeric, %s::text, %s::bytea, %s::jsonb, %s::timestamptz', (2**40, 1.5, 'é', b'\\x00\\xff', '{"a": 1}', '2024-01-01 00:00:00+00'))
            print(cur.fetchone())
    with conn.pipeline(), conn.cursor() as cur:
        for i in range(20):
            cur.execute('INSERT INTO notes VALUES (%s, %s)', (1000 + i, str(i)))
        print(conn.execute('SELECT count(*) FROM notes WHERE id >= 1000').fetchone())
    with conn.cursor(name='big') as cur:
        cur.itersize = 7
        cur.execute('SELECT tenant_id, id FROM orders ORDER BY 1, 2')
        print(sum(1 for _ in cur))
    with conn.cursor() as cur:
        with cur.copy('COPY notes (id, body) FROM STDIN') as copy:
            for i in range(5):
                copy.write_row((2000 + i, None))
        with cur.copy('COPY (SELECT id, body FROM notes WHERE id >= 2000 ORDER BY id) TO STDOUT') as copy:
            copy.set_types(['int4', 'text'])
            print(list(copy.rows()))
        with cur.copy('COPY (SELECT tenant_id, id FROM orders WHERE tenant_id = 2 ORDER BY id) TO STDOUT (FORMAT binary)') as copy:
            copy.set_types(['int8', 'int4'])
            print(list(copy.rows()))
        cur.execute('DELETE FROM notes WHERE id >= 1000')
        print(cur.rowcount)
    conn.commit()
    try:
        conn.execute('SELECT 1/0 FROM orders')
    except psycopg.errors.DivisionByZero as error:
        print(error.sqlstate, error.diag.message_primary)
`;

test('psycopg: text, binary, pipelines, cursors, COPY', async () => {
  const path = file('with-psycopg.py', psycopg);
  expect(await program('/usr/bin/python3', wire(), path)).toBe(await program('/usr/bin/python3', plain(), path));
});

/** It speaks in binary alone, prepares everything, and reads of types that it does not know from the catalogs. */
const asyncpg = `
import asyncio, asyncpg, datetime, decimal
async def main():
    conn = await asyncpg.connect(ssl=False)
    for row in await conn.fetch('SELECT tenant_id, id, total, note, mood, at, tags FROM orders WHERE tenant_id = $1 AND id <= $2 ORDER BY id', 3, 2):
        print(tuple(row))
    print(tuple(await conn.fetchrow("SELECT $1::mood AS a, $2::mood[] AS b, $3::code AS c, $4::int4range AS d, $5::interval AS e, $6::numeric AS f, $7::jsonb AS g",
        'ok', ['sad', 'happy'], 'abc', asyncpg.Range(1, 5), datetime.timedelta(days=1, seconds=2), decimal.Decimal('1.50'), '{"a": 1}')))
    print(await conn.fetchval('SELECT count(*) FROM orders WHERE at > $1', datetime.datetime(2024, 1, 5, tzinfo=datetime.timezone.utc)))
    statement = await conn.prepare('SELECT mood, count(*) AS n FROM orders WHERE total > $1 GROUP BY mood ORDER BY mood')
    print([tuple(row) for row in await statement.fetch(decimal.Decimal('20'))], [(a.name, a.type.name) for a in statement.get_attributes()], [p.name for p in statement.get_parameters()])
    await conn.executemany('INSERT INTO notes VALUES ($1, $2)', [(1000 + i, str(i)) for i in range(20)])
    async with conn.transaction():
        print(sum([1 async for _ in conn.cursor('SELECT tenant_id, id FROM orders ORDER BY 1, 2', prefetch=7)]))
        cursor = await conn.cursor('SELECT id FROM notes WHERE id >= 1000 ORDER BY id')
        print([row['id'] for row in await cursor.fetch(3)], [row['id'] for row in await cursor.fetch(2)])
        try:
            async with conn.transaction():
                await conn.execute('SELECT 1/0 FROM orders')
        except asyncpg.DivisionByZeroError as error:
            print(error.sqlstate, error)
        print(await conn.execute('UPDATE orders SET total = total + 1 WHERE tenant_id = ANY($1::int8[])', [1, 2]))
    await conn.execute('UPDATE orders SET total = total - 1 WHERE tenant_id IN (1, 2)')
    print(await conn.copy_records_to_table('notes', records=[(2000 + i, None) for i in range(5)], columns=['id', 'body']))
    print(await conn.fetch('SELECT * FROM notes WHERE id >= 2000 ORDER BY id'))
    heard = asyncio.get_running_loop().create_future()
    await conn.add_listener('news', lambda *args: heard.done() or heard.set_result(args[2:]))
    await conn.execute("NOTIFY news, 'hello'")
    print(await asyncio.wait_for(heard, 60))
    print(await conn.execute('DELETE FROM notes WHERE id >= 1000'))
    await conn.close()
    async with asyncpg.create_pool(ssl=False, min_size=2, max_size=4) as pool:
        print(await asyncio.gather(*(pool.fetchval('SELECT total FROM orders WHERE tenant_id = $1 AND id = 1', 1 + i % 12) for i in range(50))))
asyncio.run(main())
`;

test('asyncpg: binary, prepared, types of ours, cursors, COPY, notifications, a pool', async () => {
  const path = file('with-asyncpg.py', asyncpg);
  expect(await program('/usr/bin/python3', wire(), path)).toBe(await program('/usr/bin/python3', plain(), path));
});

/** Statements are prepared on the server from the first time on, with values in binary where the driver can; or `simple`, all in one text, which it can do for few types. Then what tools ask of a schema. */
const jdbc = `
import java.sql.*;
import java.math.BigDecimal;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
public class WithJdbc {
  static void print(ResultSet rows) throws SQLException {
    ResultSetMetaData about = rows.getMetaData();
    while (rows.next()) {
      StringBuilder line = new StringBuilder();
      for (int i = 1; i <= about.getColumnCount(); i++) line.append(about.getColumnName(i)).append(":").append(about.getColumnTypeName(i)).append("=").append(rows.getObject(i)).append(" ");
      System.out.println(line);
    }
  }
  public static void main(String[] args) throws Exception {
    for (String mode : new String[] { "extended", "simple" }) try (Connection conn = DriverManager.getConnection(args[0] + "&prepareThreshold=1&preferQueryMode=" + mode)) {
      for (int round = 0; round < 3; round++) try (PreparedStatement one = conn.prepareStatement("SELECT tenant_id, id, total, note, mood, at, tags FROM orders WHERE tenant_id = ? AND id <= ? ORDER BY id")) {
        one.setLong(1, 3); one.setInt(2, 2); print(one.executeQuery());
      }
      if (mode.equals("extended")) try (PreparedStatement typed = conn.prepareStatement("SELECT ?::int8 AS a, ?::numeric AS b, ?::text AS c, ?::bytea AS d, ?::timestamptz AS e, ?::bool AS f, ?::int[] AS g")) {
        typed.setLong(1, 1L << 40); typed.setBigDecimal(2, new BigDecimal("1.50")); typed.setString(3, "\u00e9'\\\\"); typed.setBytes(4, new byte[] { 0, -1 }); typed.setTimestamp(5, new Timestamp(1700000000000L)); typed.setBoolean(6, true); typed.setArray(7, conn.createArrayOf("int4", new Integer[] { 1, null, 3 }));
        ResultSet rows = typed.executeQuery(); rows.next();
        System.out.println(rows.getLong(1) + " " + rows.getBigDecimal(2) + " " + rows.getString(3) + " " + Arrays.toString(rows.getBytes(4)) + " " + rows.getTimestamp(5).getTime() + " " + rows.getBoolean(6) + " " + rows.getArray(7));
      }
      conn.setAutoCommit(false);
      try (PreparedStatement many = conn.prepareStatement("INSERT INTO notes VALUES (?, ?)", Statement.RETURN_GENERATED_KEYS)) {
        for (int i = 0; i < 20; i++) { many.setInt(1, 1000 + i); many.setString(2, "note " + i); many.addBatch(); }
        System.out.println(Arrays.toString(many.executeBatch()));
        ResultSet keys = many.getGeneratedKeys(); int n = 0; while (keys.next()) n += keys.getInt(1); System.out.println(n);
      }
      Savepoint before = conn.setSavepoint();
      try (Statement wrong = conn.createStatement()) { wrong.executeQuery("SELECT 1/0 FROM orders"); } catch (SQLException error) { System.out.println(error.getSQLState() + " " + error.getMessage().split("\\n")[0]); }
      conn.rollback(before);
      try (Statement big = conn.createStatement()) { big.setFetchSize(7); ResultSet rows = big.executeQuery("SELECT tenant_id, id FROM orders ORDER BY 1, 2"); int n = 0; while (rows.next()) n++; System.out.println(n); }
      try (PreparedStatement write = conn.prepareStatement("UPDATE orders SET total = total + 1 WHERE tenant_id = ANY (?)")) { write.setArray(1, conn.createArrayOf("int8", new Long[] { 1L, 2L })); System.out.println(write.executeUpdate()); }
      conn.rollback();
      conn.setAutoCommit(true);
      CopyManager copy = conn.unwrap(PGConnection.class).getCopyAPI();
      System.out.println(copy.copyIn("COPY notes FROM STDIN", new java.io.StringReader("2000\\ta\\n2001\\t\\\\N\\n")));
      java.io.StringWriter out = new java.io.StringWriter(); copy.copyOut("COPY (SELECT * FROM notes WHERE id >= 2000 ORDER BY id) TO STDOUT", out); System.out.print(out);
      try (Statement listen = conn.createStatement()) { listen.execute("LISTEN news"); listen.execute("NOTIFY news, 'hello'"); System.out.println(conn.unwrap(PGConnection.class).getNotifications(60000)[0].getParameter()); System.out.println(listen.executeUpdate("DELETE FROM notes WHERE id >= 1000")); }
      DatabaseMetaData about = conn.getMetaData();
      print(about.getTables(null, "public", "%", new String[] { "TABLE", "VIEW" })); print(about.getColumns(null, "public", "orders", "%")); print(about.getPrimaryKeys(null, "public", "orders")); print(about.getIndexInfo(null, "public", "items", false, true));
      print(about.getImportedKeys(null, "public", "items")); print(about.getSchemas()); print(about.getProcedures(null, "public", "%"));
    }
  }
}
`;

test('JDBC: text and binary, batches, fetch sizes, COPY, notifications, what it tells of a schema', async () => {
  const source = file('WithJdbc.java', jdbc);
  const path = `/usr/share/java/postgresql.jar:${directory}`;
  await run('ecj', ['-17', '-proc:none', '-cp', path, '-d', directory, source]);
  const print = async ({ host, port, database, user }: Place): Promise<string> => (await run('java', ['-cp', path, 'WithJdbc', `jdbc:postgresql://${host}:${port}/${database}?user=${user}`], { maxBuffer: 64 * 1024 * 1024 })).stdout;
  const expected = await print(plain());
  expect(expected.split('\n').length).toBeGreaterThan(60);
  const names = (text: string): string => text.replaceAll(/\b(TABLE_CAT|PKTABLE_CAT|FKTABLE_CAT|PROCEDURE_CAT|TABLE_CATALOG):name=\S+|(CARDINALITY|PAGES):\S+/g, '');
  expect(names(await print(wire()))).toBe(names(expected));
});
