import type { PoolClient } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ClusterAndPlain, run, startCluster } from '../coordinator/start-cluster.ts';
import { compareSteps } from './compare-steps.ts';

let pair: ClusterAndPlain;

/** Functions of which no text says what they read. `fixed` is made past the library, as one that is older than the tables' distribution. */
const functions = `
CREATE FUNCTION counted(name text) RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE n bigint; BEGIN EXECUTE format('SELECT count(*) FROM %I', name) INTO n; RETURN n; END $$;
CREATE FUNCTION fixed() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM orders';
CREATE FUNCTION by_index(t bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN SET LOCAL enable_seqscan = off; RETURN (SELECT count(*) FROM orders WHERE tenant_id = t); END $$;
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.body := counted(TG_ARGV[0]); RETURN NEW; END $$;
CREATE PROCEDURE kept(name text) LANGUAGE plpgsql AS $$ BEGIN INSERT INTO notes VALUES (100, counted(name)); END $$;
CREATE PROCEDURE committing(name text) LANGUAGE plpgsql AS $$ BEGIN INSERT INTO notes VALUES (200, 'kept'); COMMIT; PERFORM counted(name); END $$;
CREATE FUNCTION altering() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'ALTER TABLE ' || quote_ident('orders') || ' ADD COLUMN added int'; END $$;
CREATE FUNCTION indexing() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'CREATE INDEX added ON ' || quote_ident('orders') || ' (total)'; END $$;
CREATE FUNCTION dropping() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DROP TABLE ' || quote_ident('items'); END $$;
CREATE FUNCTION triggering() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'CREATE TRIGGER unseen BEFORE UPDATE ON ' || quote_ident('orders') || ' FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()'; END $$;
CREATE FUNCTION unfencing() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'ALTER TABLE ' || quote_ident('orders') || ' DISABLE TRIGGER ALL'; END $$;
CREATE FUNCTION attaching() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE measured_1 (LIKE measured); EXECUTE 'ALTER TABLE ' || quote_ident('measured') || ' ATTACH PARTITION measured_1 FOR VALUES FROM (1) TO (2)'; END $$;
CREATE TABLE triggered (id int PRIMARY KEY, body text);
CREATE TRIGGER noted BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION noted('orders');
CREATE TABLE defaulted (id int PRIMARY KEY, body text DEFAULT counted('orders'));
CREATE TABLE ruled (id int PRIMARY KEY);
CREATE RULE ruled AS ON INSERT TO ruled DO ALSO INSERT INTO notes VALUES (101, counted('orders'));
CREATE TABLE checked (id int PRIMARY KEY, CONSTRAINT looked CHECK (fixed() = 0 OR id > 0));
CREATE FUNCTION steady(id int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN fixed() + id; END $$;
CREATE TABLE indexed (id int PRIMARY KEY); CREATE INDEX ON indexed (steady(id));
CREATE VIEW seen AS SELECT id, counted('orders') AS n FROM notes`;

beforeAll(async () => {
  pair = await startCluster();
  await run(pair.databases.coordinator.connectionString, functions);
  await pair.plain.query(functions);
  for (const side of [pair.cluster, pair.plain]) await side.query('CREATE TABLE measured (tenant_id bigint, day int) PARTITION BY RANGE (day)');
  await pair.cluster.createDistributedTable('measured', 'tenant_id');
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

const refused = { id: 'unsupportedQuery', code: '0A000', message: 'a function has read "orders", which is distributed or a reference table', schema: 'public', table: 'orders' };

/** The functions above, made past the library, differ as well. */
async function changedTables(): Promise<unknown[]> {
  return (await pair.cluster.checkSchema()).differences.filter(({ table }) => table !== null);
}

/** Of what nodes answer, the last step is the coordinator database's. */
const finished = [
  `SELECT count(*) + counted('orders') AS n FROM orders`,
  `SELECT total, counted('orders') AS n, row_number() OVER (ORDER BY total) FROM (SELECT sum(total) AS total FROM orders GROUP BY note) s`,
  `SELECT n.id, counted('orders') AS n FROM notes n JOIN orders o ON o.id = n.id ORDER BY n.id`,
  `CREATE TABLE made AS SELECT count(*) AS n, counted('orders') AS m FROM orders`,
];

const readers = [
  `SELECT counted('orders')`,
  'SELECT fixed()',
  'SELECT by_index(3)',
  'SELECT * FROM fixed()',
  `SELECT id, counted('orders') FROM notes`,
  `SELECT (xpath('/table/row/count/text()', query_to_xml('SELECT count(*) FROM orders', false, false, '')))[1]::text`,
  `INSERT INTO notes VALUES (50, counted('orders'))`,
  `UPDATE notes SET body = counted('orders')`,
  'INSERT INTO triggered VALUES (1)',
  'INSERT INTO defaulted (id) VALUES (1)',
  'INSERT INTO ruled VALUES (1)',
  'INSERT INTO checked VALUES (1)',
  'INSERT INTO indexed VALUES (1)',
  'SELECT * FROM seen',
  `CALL kept('orders')`,
  `CREATE TABLE made AS SELECT counted('orders') AS n`,
  `DO $$ BEGIN PERFORM counted('orders'); END $$`,
];

/** Their texts call nothing: views, triggers and defaults do. */
const byRelations = [
  'INSERT INTO triggered SELECT 100 + max(id) FROM orders',
  'INSERT INTO defaulted (id) SELECT 100 + max(id) FROM orders',
  'INSERT INTO notes SELECT 500, s.n FROM seen s JOIN orders o ON o.id = s.id LIMIT 1',
  'INSERT INTO orders (tenant_id, id) SELECT DISTINCT 1, s.n + 500 FROM seen s',
  'UPDATE orders SET note = s.n FROM seen s WHERE s.id = orders.id',
  'MERGE INTO triggered USING (SELECT max(id) AS id FROM orders) s ON s.id = triggered.id WHEN NOT MATCHED THEN INSERT VALUES (s.id)',
  'SELECT s.n, rank() OVER (ORDER BY sum(o.total)) FROM seen s JOIN orders o ON o.id = s.id GROUP BY s.n',
  'CREATE TABLE made AS SELECT s.* FROM seen s JOIN orders o ON o.id = s.id',
  'DECLARE c CURSOR WITH HOLD FOR SELECT s.n FROM seen s JOIN orders o ON o.id = s.id',
  'EXPLAIN (ANALYZE) INSERT INTO triggered VALUES (1)',
];

test.each([...readers, ...finished, ...byRelations])('%s: nobody is given what the shell has', async (text) => {
  await expect(pair.cluster.query(text)).rejects.toMatchObject(refused);
  const client = await pair.cluster.connect();
  try {
    await client.query('BEGIN');
    await expect(client.query(text)).rejects.toMatchObject(refused);
    await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
    await client.query('ROLLBACK');
  } finally {
    client.release();
  }
  expect((await pair.cluster.query(`SELECT to_regclass('made'), * FROM notes ORDER BY id`)).rows).toEqual((await pair.plain.query(`SELECT to_regclass('made'), * FROM notes ORDER BY id`)).rows);
});

test.each(finished)('%s: as on one PostgreSQL where it reads local tables', async (text) => {
  const local = text.replace(`counted('orders')`, `counted('notes')`);
  await compareSteps(pair, local, 'BEGIN', local.replace('made', 'made_2'), 'ROLLBACK', 'DROP TABLE IF EXISTS made');
});

test('cursors over views that call functions', async () => {
  await pair.cluster.query(`CREATE VIEW passing AS SELECT id, counted('notes') AS n FROM notes`);
  await pair.plain.query(`CREATE VIEW passing AS SELECT id, counted('notes') AS n FROM notes`);
  await compareSteps(pair, 'BEGIN', 'DECLARE c CURSOR FOR SELECT p.id, p.n FROM passing p JOIN orders o ON o.id = p.id ORDER BY 1', 'FETCH 3 c', `SELECT counted('notes')`, 'FETCH ALL c', 'ROLLBACK', 'DROP VIEW passing');
  const client = await pair.cluster.connect();
  try {
    await client.query('BEGIN');
    await expect(client.query('DECLARE c CURSOR FOR SELECT s.n FROM seen s JOIN orders o ON o.id = s.id')).rejects.toMatchObject(refused);
    await client.query('ROLLBACK');
  } finally {
    client.release();
  }
  await expect(collected(pair.cluster.copyTo('COPY (SELECT s.n FROM seen s JOIN orders o ON o.id = s.id) TO STDOUT'))).rejects.toMatchObject(refused);
});

test('defaults of a reference table that the coordinator database evaluates', async () => {
  await pair.cluster.query(`CREATE TABLE stamped (code text PRIMARY KEY, n bigint DEFAULT counted('orders')); CREATE TABLE marked (code text PRIMARY KEY, n bigint DEFAULT counted('notes'))`);
  for (const table of ['stamped', 'marked']) await pair.cluster.createReferenceTable(table);
  for (const rest of [`VALUES ('a')`, 'SELECT code FROM countries', `VALUES ('b') ON CONFLICT (code) DO NOTHING`]) {
    await expect(pair.cluster.query(`INSERT INTO stamped (code) ${rest}`), rest).rejects.toMatchObject(refused);
    await pair.cluster.query(`INSERT INTO marked (code) ${rest}`);
  }
  await expect(pair.cluster.copyFrom('COPY stamped (code) FROM STDIN', ['c\n'])).rejects.toMatchObject(refused);
  await pair.cluster.copyFrom('COPY marked (code) FROM STDIN', ['c\n']);
  expect((await pair.cluster.query('SELECT * FROM stamped')).rows).toEqual([]);
  expect((await pair.cluster.query('SELECT n, count(*) FROM marked GROUP BY n')).rows).toEqual([{ n: '2', count: '5' }]);
  await pair.cluster.query('DROP TABLE stamped, marked');
});

test('streams end with the error', async () => {
  for (const text of [...readers.filter((one) => one.startsWith('SELECT')), ...finished.filter((one) => one.startsWith('SELECT'))]) {
    const read = async (): Promise<void> => {
      for await (const batch of pair.cluster.stream(text)) expect(batch).toBeDefined();
    };
    await expect(read()).rejects.toMatchObject(refused);
  }
});

test('streams come in batches, though code is watched', async () => {
  const text = `SELECT i, counted('notes') AS n, repeat('x', 1000) AS t FROM generate_series(1, 20000) AS i`;
  const sizes: number[] = [];
  for await (const { length } of pair.cluster.streamBatches(text)) sizes.push(length);
  expect([Math.max(...sizes) < 20_000, sizes.reduce((sum, size) => sum + size, 0)]).toEqual([true, 20_000]);
  // Who has seen enough leaves the connection as it was.
  for await (const { length } of pair.cluster.streamBatches(text)) if (length > 0) break;
  await compareSteps(pair, `SELECT counted('notes')`);
});

test('COPY of rows that a trigger looks at, and of a query', async () => {
  await expect(pair.cluster.copyFrom('COPY triggered (id) FROM STDIN', ['7\n'])).rejects.toMatchObject(refused);
  await expect(collected(pair.cluster.copyTo(`COPY (SELECT counted('orders')) TO STDOUT`))).rejects.toMatchObject(refused);
  expect(await collected(pair.cluster.copyTo(`COPY (SELECT counted('notes')) TO STDOUT`))).toBe('2\n');
  expect((await pair.cluster.query('SELECT * FROM triggered')).rows).toEqual([]);
});

async function collected(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all).toString();
}

test.each([
  ['a cursor', `DECLARE c CURSOR FOR SELECT counted('orders')`, 'FETCH c'],
  ['a prepared statement', 'PREPARE p (text) AS SELECT counted($1)', `EXECUTE p ('orders')`],
])('%s whose rows are computed later', async (_, before, text) => {
  const client = await pair.cluster.connect();
  try {
    await client.query('BEGIN');
    await client.query(before);
    await expect(client.query(text)).rejects.toMatchObject(refused);
    await client.query('ROLLBACK');
  } finally {
    client.release(true);
  }
});

test('what reads local tables goes on, also behind what has read a shell', async () => {
  const client: PoolClient = await pair.cluster.connect();
  try {
    await expect(client.query(`SELECT counted('orders')`)).rejects.toMatchObject(refused);
    expect((await client.query(`SELECT counted('notes')`)).rows).toEqual([{ counted: '2' }]);
  } finally {
    client.release();
  }
  await compareSteps(pair, `SELECT counted('notes')`, 'BEGIN', `SELECT counted('notes')`, 'SELECT count(*) FROM orders', `SELECT counted('notes')`, 'ROLLBACK', `INSERT INTO notes VALUES (60, counted('notes'))`, 'DELETE FROM notes WHERE id = 60');
});

test('a procedure that commits is refused afterwards', async () => {
  const before = (await pair.cluster.query('SELECT * FROM notes ORDER BY id')).rows;
  await expect(pair.cluster.query(`CALL committing('orders')`)).rejects.toMatchObject(refused);
  expect((await pair.cluster.query('SELECT * FROM notes ORDER BY id')).rows).toEqual([...before, { id: 200, body: 'kept' }]);
  await pair.cluster.query('DELETE FROM notes WHERE id = 200');
  await compareSteps(pair, `CALL committing('notes')`, 'DELETE FROM notes WHERE id = 200');
  await compareSteps(pair, `DO $$ BEGIN INSERT INTO notes VALUES (201, 'x'); COMMIT; DELETE FROM notes WHERE id = 201; END $$`);
  await expect(pair.cluster.query(`DO $$ BEGIN COMMIT; PERFORM fixed(); END $$`)).rejects.toMatchObject(refused);
});

test('code that runs texts commits nothing by them, so that nothing of it is kept', async () => {
  const block = (name: string): string => `DO $$ DECLARE n bigint; BEGIN INSERT INTO notes VALUES (202, 'undone'); EXECUTE format('SELECT count(*) FROM %I', '${name}') INTO n; END $$`;
  await expect(pair.cluster.query(block('orders'))).rejects.toMatchObject({ code: '0A000' });
  expect((await pair.cluster.query('SELECT * FROM notes WHERE id = 202')).rows).toEqual([]);
  await compareSteps(pair, block('notes'), 'DELETE FROM notes WHERE id = 202', `DO $$ BEGIN EXECUTE 'COMMIT'; END $$`, `DO $$ BEGIN EXECUTE 'CA' || 'LL committing($t$notes$t$)'; END $$`, 'SELECT id FROM notes WHERE id >= 200');
});

test.each([['altering', 'orders'], ['indexing', 'orders'], ['dropping', 'items'], ['triggering', 'orders'], ['unfencing', 'orders'], ['attaching', 'measured']])('%s(): what the shards would not follow is not kept', async (name, table) => {
  await expect(pair.cluster.query(`SELECT ${name}()`)).rejects.toMatchObject({ id: 'unsupportedQuery', code: '0A000', message: expect.stringMatching(/^a function has changed "/) as unknown });
  expect(await changedTables()).toEqual([]);
  expect((await pair.cluster.query(`SELECT count(*)::int AS n FROM ${table}`)).rows).toEqual((await pair.plain.query(`SELECT count(*)::int AS n FROM ${table}`)).rows);
});

test('what relations run is known to each process anew when it changes', async () => {
  const other = pair.another();
  await pair.cluster.query('CREATE TABLE later (id int PRIMARY KEY, n bigint); CREATE VIEW shown AS SELECT id, 0::bigint AS n FROM notes');
  for (const [i, process] of [pair.cluster, other].entries()) {
    await process.query(`INSERT INTO later VALUES (${i})`);
    await process.query('SELECT * FROM shown');
  }
  await pair.cluster.query('ALTER TABLE later ALTER n SET DEFAULT fixed(); CREATE OR REPLACE VIEW shown AS SELECT id, fixed() AS n FROM notes');
  for (const process of [pair.cluster, other]) {
    // What reads compares versions, so that the process has heard of the change.
    await expect(process.query('SELECT * FROM shown')).rejects.toMatchObject(refused);
    await expect(process.query('INSERT INTO later VALUES (5)')).rejects.toMatchObject(refused);
  }
  await pair.cluster.query('DROP VIEW shown; DROP TABLE later');
});

test('what follows a row by a foreign key runs its own triggers', async () => {
  await pair.cluster.query(`CREATE TABLE parents (id int PRIMARY KEY); CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents ON DELETE SET NULL, body text); INSERT INTO parents VALUES (1); INSERT INTO children VALUES (1, 1, 'as it was')`);
  await pair.cluster.query(`CREATE TRIGGER noted BEFORE UPDATE ON children FOR EACH ROW EXECUTE FUNCTION noted('orders')`);
  await expect(pair.cluster.query('DELETE FROM parents WHERE id = 1')).rejects.toMatchObject(refused);
  expect((await pair.cluster.query('SELECT * FROM children')).rows).toEqual([{ id: 1, parent: 1, body: 'as it was' }]);
  await pair.cluster.query('DROP TABLE children, parents');
});

test.each([
  ['made again', `DROP TABLE later; CREATE TABLE later (id int, n bigint DEFAULT counted('orders'))`],
  ['renamed', `CREATE TABLE sooner (id int, n bigint DEFAULT counted('orders')); DROP TABLE later; ALTER TABLE sooner RENAME TO later`],
  ['given a check', `ALTER TABLE later ADD CHECK (counted('orders') > 0 OR id > 0)`],
  ['given a generated column', 'ALTER TABLE later ADD COLUMN m bigint GENERATED ALWAYS AS (steady(id)) STORED'],
  ['given an index', 'CREATE INDEX ON later (steady(id))'],
])('a table that is %s is not taken for what it was', async (_, change) => {
  const other = pair.another();
  await pair.cluster.query('DROP TABLE IF EXISTS later; CREATE TABLE later (id int, n bigint)');
  for (const process of [pair.cluster, other]) await process.query('INSERT INTO later (id) VALUES (1)');
  await pair.cluster.query('TRUNCATE later');
  await pair.cluster.query(change);
  // A process that has not heard of the change yet hears of it when it reads a local table.
  for (const process of [pair.cluster, other]) {
    await process.query('SELECT FROM notes');
    await expect(process.query('INSERT INTO later (id) VALUES (2)')).rejects.toMatchObject(refused);
  }
  await pair.cluster.query('DROP TABLE later');
});

const computing = (name: string): readonly string[] => [
  `ALTER TABLE filled ADD COLUMN m bigint DEFAULT counted('${name}')`,
  `ALTER TABLE filled ALTER n TYPE text USING n::text || counted('${name}')`,
  `ALTER TABLE filled ADD CHECK (counted('${name}') >= 0)`,
  `ALTER TABLE filled ADD COLUMN m bigint GENERATED ALWAYS AS (steady_of(id, '${name}')) STORED`,
  `CREATE INDEX ON filled (steady_of(id, '${name}'))`,
];

test.each(computing('orders').map((text, i) => [text, computing('notes')[i] ?? '']))('%s of a local table that has rows', async (text, ofLocal) => {
  for (const side of [pair.cluster, pair.plain]) {
    await side.query(`CREATE TABLE filled (id int PRIMARY KEY, n bigint); INSERT INTO filled VALUES (1, 1);
      CREATE FUNCTION steady_of(id int, name text) RETURNS bigint LANGUAGE plpgsql IMMUTABLE SET search_path = public AS $$ BEGIN RETURN counted(name) + id; END $$`);
  }
  await expect(pair.cluster.query(text)).rejects.toMatchObject(refused);
  const client = await pair.cluster.connect();
  try {
    await client.query('BEGIN');
    await expect(client.query(text)).rejects.toMatchObject(refused);
    await client.query('ROLLBACK');
  } finally {
    client.release();
  }
  await compareSteps(pair, 'SELECT * FROM filled', ofLocal, 'BEGIN', 'ALTER TABLE filled ADD COLUMN o bigint DEFAULT id_of_none()', 'ROLLBACK', 'SELECT * FROM filled', 'DROP TABLE filled', 'DROP FUNCTION steady_of');
});

test('what gives a local table no code leaves the catalog as it is', async () => {
  const version = async (): Promise<unknown> => (await pair.cluster.query('SELECT catalog_version FROM shardwright.cluster')).rows;
  const before = await version();
  await pair.cluster.query('CREATE TABLE bare (id int PRIMARY KEY, note text DEFAULT 5); ALTER TABLE bare ADD COLUMN n int DEFAULT 3, ALTER n SET DEFAULT 4; ALTER TABLE bare RENAME COLUMN n TO m; CREATE INDEX ON bare (m); DROP TABLE bare');
  await pair.cluster.query('CREATE TEMP TABLE passing (at timestamptz DEFAULT now())');
  expect(await version()).toEqual(before);
});

test('blocks that change local tables do not fail for each other', async () => {
  await pair.cluster.query('CREATE TABLE one (id int); CREATE TABLE two (id int)');
  const [a, b] = [await pair.cluster.connect(), await pair.cluster.connect()];
  try {
    for (const client of [a, b]) await client.query('BEGIN');
    await a.query('ALTER TABLE one ADD COLUMN made uuid DEFAULT gen_random_uuid()');
    const waiting = b.query('ALTER TABLE two ADD COLUMN made uuid DEFAULT gen_random_uuid()');
    await Promise.all([waiting, a.query('SELECT pg_sleep(0.2)').then(() => a.query('COMMIT'))]);
    await b.query('COMMIT');
  } finally {
    for (const client of [a, b]) client.release(true);
  }
  expect((await pair.cluster.query('SELECT one.made, two.made AS other FROM one, two')).fields.map(({ name }) => name)).toEqual(['made', 'other']);
  await pair.cluster.query('DROP TABLE one, two');
});

test.each([
  ['an operator', 'CREATE OPERATOR @@@ (LEFTARG = text, RIGHTARG = text, FUNCTION = compared)', 'DROP OPERATOR @@@ (text, text)', `SELECT 'a' @@@ 'b'`],
  ['an aggregate', 'CREATE AGGREGATE gathered (text) (SFUNC = compared, STYPE = text)', 'DROP AGGREGATE gathered (text)', 'SELECT gathered(body) FROM notes'],
  ['a domain', 'CREATE DOMAIN tested AS text CHECK (compared(VALUE, VALUE) IS NULL)', 'DROP DOMAIN tested', `SELECT body::tested FROM notes`],
])('%s whose function reads a shell', async (_, create, drop, text) => {
  const compared = `CREATE FUNCTION compared(a text, b text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM counted('orders'); RETURN NULL; END $$`;
  await pair.cluster.query(`${compared}; ${create}`);
  await expect(pair.cluster.query(text)).rejects.toMatchObject(refused);
  await pair.cluster.query(`${drop}; DROP FUNCTION compared`);
  await compareSteps(pair, 'SELECT body FROM notes ORDER BY id', `SELECT 'a' || 'b' AS c`);
});

const reading = (name: string): string => `DO $$ DECLARE n bigint; t text := '${name}'; BEGIN EXECUTE format('SELECT count(*) FROM %I', t) INTO n; ALTER TABLE orders ADD COLUMN counted bigint; INSERT INTO notes VALUES (300, n); END $$`;
const calling = (name: string): string => `DO $$ BEGIN PERFORM counted('${name}'); CREATE INDEX added ON orders (total); END $$`;

test.each([reading, calling])('a DO block that reads the shell of a table whose definition it changes: %s', async (block) => {
  await expect(pair.cluster.query(block('orders'))).rejects.toMatchObject({ id: 'unsupportedDdl', message: 'the DO block has read "orders", which is distributed or a reference table' });
  expect(await changedTables()).toEqual([]);
  await compareSteps(pair, block('notes'), 'DELETE FROM notes WHERE id = 300', 'ALTER TABLE orders DROP COLUMN IF EXISTS counted; DROP INDEX IF EXISTS added');
});

/** What they compute in the coordinator database comes before what nodes write, in the same transaction. */
const writes = [
  `INSERT INTO orders (tenant_id, id, total) SELECT id, 900 + id, counted('orders') FROM notes`,
  `INSERT INTO orders (tenant_id, id, total) SELECT id, 900 + id, 1 FROM notes WHERE likely('orders') > 1`,
  `INSERT INTO orders (tenant_id, id, total) SELECT 1 + count(*) % 12, 900, counted('orders') FROM orders`,
  `UPDATE orders SET note = s.n FROM (SELECT count(*) / 30 AS id, counted('orders') AS n FROM items) s WHERE s.id = orders.id`,
  `DELETE FROM orders WHERE id > 900 AND total < (SELECT max(counted('orders')) FROM notes)`,
  `INSERT INTO countries SELECT 'x', counted('orders')::text FROM notes WHERE id = 1`,
  `INSERT INTO members (tenant_id, id, email) VALUES (1 + likely('orders') % 7, 900, 'a@x')`,
  `INSERT INTO members (tenant_id, id, email) VALUES (1 + likely('orders') % 7, 900, 'b@x') ON CONFLICT (email) DO NOTHING`,
  `INSERT INTO members (tenant_id, id, email) SELECT 1 + count(*) % 12, counted('orders'), 'c@x' FROM orders ON CONFLICT (email) DO NOTHING`,
  `INSERT INTO members (tenant_id, id, email) SELECT id, counted('orders'), id || '@x' FROM notes ON CONFLICT (email) DO UPDATE SET id = excluded.id`,
];

test('writes of nodes whose functions read a shell are refused, and go on where these read local tables', async () => {
  const likely = `CREATE FUNCTION likely(name text) RETURNS bigint LANGUAGE plpgsql STABLE AS $$ DECLARE n bigint; BEGIN EXECUTE format('SELECT count(*) FROM %I', name) INTO n; RETURN n; END $$`;
  const members = 'CREATE TABLE members (tenant_id bigint, id int, email text, PRIMARY KEY (tenant_id, id))';
  for (const pool of [pair.cluster, pair.plain]) for (const text of [likely, members]) await pool.query(text);
  await pair.cluster.createDistributedTable('members', 'tenant_id', { colocateWith: 'orders' });
  await pair.cluster.createUniqueLookup('members', 'email');
  await pair.plain.query('ALTER TABLE members ADD UNIQUE (email)');
  const contents = ['SELECT tenant_id, id, total, note FROM orders ORDER BY 1, 2', 'SELECT * FROM countries ORDER BY 1', 'SELECT * FROM members ORDER BY 1, 2'];
  for (const text of writes) {
    await expect(pair.cluster.query(text), text).rejects.toMatchObject(refused);
    await expect(pair.cluster.query(`BEGIN; ${text}; COMMIT`), text).rejects.toMatchObject(refused);
  }
  await compareSteps(pair, ...contents);
  for (const text of writes) await compareSteps(pair, 'BEGIN', text.replaceAll(`'orders'`, `'notes'`), ...contents, 'ROLLBACK');
}, 60_000);
