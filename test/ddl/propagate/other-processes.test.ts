import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Cluster } from '../../../src/index.ts';
import { createTestDatabases, type TestDatabase, type TestDatabases } from '../../support/test-databases.ts';
import { columnsOf } from './columns-of.ts';

let databases: TestDatabases;
/** Two processes of one cluster, as it were. */
let one: Cluster;
let other: Cluster;

beforeAll(async () => {
  databases = await createTestDatabases({ nodes: 2 });
  const { connectionString } = databases.coordinator;
  one = new Cluster({ connectionString, ddlLockTimeoutMs: 300 });
  other = new Cluster({ connectionString });
  for (const { host, port, database } of databases.nodes) await one.addNode({ host, port, database });
});
afterAll(async () => {
  await Promise.all([one.end(), other.end()]);
  await databases.drop();
});

beforeEach(async () => {
  await one.query(`DROP TABLE IF EXISTS t CASCADE; DROP SEQUENCE IF EXISTS numbers; CREATE SEQUENCE numbers; CREATE TABLE t (k bigint, code text, a int, b int)`);
  await one.createDistributedTable('t', 'k', { shardCount: 4 });
  await one.query(`INSERT INTO t SELECT i, i, i, -i FROM generate_series(1, 12) i`);
});

const waitingForLock = `SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;

/** The other process hears of no change until it asks, for a while. */
async function deafen(): Promise<void> {
  const client = new Client({ connectionString: databases.coordinator.connectionString });
  await client.connect();
  await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'listen%'`);
  await client.end();
}

test.each([
  { change: 'ALTER TABLE t ALTER code TYPE int USING code::int', text: 'SELECT code FROM t ORDER BY code LIMIT 3', rows: [{ code: 1 }, { code: 2 }, { code: 3 }] },
  { change: 'ALTER TABLE t RENAME a TO c; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME c TO b', text: 'SELECT * FROM t ORDER BY k LIMIT 1', rows: [{ k: '1', code: '1', b: 1, a: -1 }] },
  { change: 'ALTER TABLE t DROP a', text: 'SELECT * FROM t ORDER BY k LIMIT 1', rows: [{ k: '1', code: '1', b: -1 }] },
  { change: 'ALTER TABLE t ADD c int DEFAULT 5', text: 'SELECT * FROM t WHERE k = 3', rows: [{ k: '3', code: '3', a: 3, b: -3, c: 5 }] },
  { change: `ALTER TABLE t ALTER a SET DEFAULT nextval('numbers')`, text: 'INSERT INTO t (k) VALUES (20) RETURNING a', rows: [{ a: 1 }] },
  { change: 'ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME TO t', text: 'SELECT sum(a)::int AS sum FROM t', rows: [{ sum: 78 }] },
])('a process that has not heard of it goes by the new definition: $change', async ({ change, text, rows }) => {
  const query = { text, name: `by ${change}` };
  if (text.startsWith('SELECT')) await other.query(query);
  else await other.query('INSERT INTO t (k) VALUES (20)').then(() => other.query('DELETE FROM t WHERE k = 20'));
  const changing = await one.connect();
  try {
    await changing.query(`BEGIN; ${change}`);
    const answered = other.query(query);
    const waiting = `SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    await expect.poll(async () => (await Promise.all(databases.nodes.map((node) => onNode(node, waiting)))).flat().length, { timeout: 20_000 }).toBeGreaterThan(0);
    await changing.query('COMMIT');
    expect((await answered).rows).toEqual(rows);
  } finally {
    changing.release(true);
  }
});

test('a statement with a name means the tables as they are, whatever they were when it was prepared', async () => {
  await one.query(`CREATE TABLE r (k bigint PRIMARY KEY, a int); INSERT INTO r VALUES (3, 5)`);
  await one.createReferenceTable('r');
  const ask = async (table: string): Promise<unknown[]> => (await other.query({ name: `named ${table}`, text: `SELECT * FROM ${table} WHERE k = $1`, values: [3] })).rows;
  const [ofR, ofT] = [{ k: '3', a: 5 }, { k: '3', code: '3', a: 3, b: -3 }];
  try {
    // The process has heard of the table, which it has not taken for a local one.
    await other.query('SELECT FROM r');
    // Which connection of a process is used is left open: all of them get to know it.
    for (let i = 0; i < 20; i += 1) expect([await ask('r'), await ask('t')]).toEqual([[ofR], [ofT]]);
    await one.query('ALTER TABLE r ADD COLUMN c int DEFAULT 7; ALTER TABLE t ADD COLUMN c int DEFAULT 8');
    for (let i = 0; i < 20; i += 1) expect([await ask('r'), await ask('t')]).toEqual([[{ ...ofR, c: 7 }], [{ ...ofT, c: 8 }]]);
    await one.query('ALTER TABLE r DROP COLUMN a; ALTER TABLE t RENAME b TO z');
    for (let i = 0; i < 20; i += 1) expect([await ask('r'), await ask('t')]).toEqual([[{ k: '3', c: 7 }], [{ k: '3', code: '3', a: 3, z: -3, c: 8 }]]);
    await one.undistributeTable('r');
    expect(await ask('r')).toEqual([{ k: '3', c: 7 }]);
    await one.createDistributedTable('r', 'k', { shardCount: 2 });
    expect(await ask('r')).toEqual([{ k: '3', c: 7 }]);
    expect([await ask('r'), await ask('t')]).toEqual([[{ k: '3', c: 7 }], [{ k: '3', code: '3', a: 3, z: -3, c: 8 }]]);
  } finally {
    await one.query('DROP TABLE r');
  }
});

test('two processes change one table: one after the other, and nothing is lost', async () => {
  const changes = [0, 1, 2].flatMap((i) => [one.query(`ALTER TABLE t ADD COLUMN one_${i} int`), other.query(`ALTER TABLE t ADD COLUMN other_${i} int`)]);
  await Promise.all(changes);
  const columns = await columnsOf({ cluster: one, databases }, 't');
  expect(new Set(columns).size).toBe(1);
  expect(columns[0]?.match(/one_\d|other_\d/g)?.toSorted()).toEqual(['one_0', 'one_1', 'one_2', 'other_0', 'other_1', 'other_2']);
});

test('a lock that is not to be had is given up, and others pass; outside of blocks it is tried again', async () => {
  const holder = await other.connect();
  await holder.query('BEGIN; UPDATE t SET a = 0 WHERE k = 1');
  await expect(one.query('BEGIN; ALTER TABLE t ADD COLUMN c int; COMMIT')).rejects.toMatchObject({ code: '55P03', id: 'lockNotAvailable' });
  const changed = one.query('ALTER TABLE t ADD COLUMN c int');
  // Whoever comes behind it is not held up for longer than the limit.
  await other.query('UPDATE t SET a = 0 WHERE k = 2');
  await holder.query('UPDATE t SET a = 0 WHERE k = 3; COMMIT');
  holder.release();
  await changed;
  expect((await other.query('SELECT k, a, c FROM t WHERE k IN (1, 2, 3) ORDER BY k')).rows).toEqual([1, 2, 3].map((k) => ({ k: String(k), a: 0, c: null })));
});

test('nor does a foreign key wait for ever for the table that it refers to', async () => {
  await one.query(`CREATE TABLE r (code text PRIMARY KEY); INSERT INTO r SELECT i::text FROM generate_series(1, 12) i`);
  await one.createReferenceTable('r');
  // In a block it could not ask again, if it has not heard of the table yet.
  await other.query(`UPDATE r SET code = code WHERE code = '12'`);
  const holder = await other.connect();
  try {
    await holder.query(`BEGIN; UPDATE r SET code = '13' WHERE code = '12'`);
    const adding = one.query('BEGIN; ALTER TABLE t ADD FOREIGN KEY (code) REFERENCES r; COMMIT');
    await expect(adding).rejects.toMatchObject({ code: '55P03' });
    await holder.query('ROLLBACK');
    await one.query('ALTER TABLE t ADD FOREIGN KEY (code) REFERENCES r');
    await expect(other.query(`UPDATE t SET code = '13' WHERE k = 1`)).rejects.toMatchObject({ code: '23503' });
  } finally {
    holder.release(true);
    await one.query('DROP TABLE t, r');
  }
});

test.each([['c', 'that is new'], ['d', 'that was planned before']] as const)('a block that waits for a table that gets column %s, with a statement %s, ends with shardMissing', async (column, which) => {
  const [client, changing] = [await other.connect(), await one.connect()];
  const text = `SELECT * FROM t WHERE k = 1 AND '${column}' <> ''`;
  try {
    // The process has heard of the table.
    await other.query('SELECT FROM t');
    if (which === 'that was planned before') await client.query(text);
    await changing.query(`BEGIN; ALTER TABLE t ADD COLUMN ${column} int`);
    await client.query('BEGIN');
    const met = expect(client.query(text)).rejects.toMatchObject({ code: '42P01', id: 'shardMissing' });
    const waiting = `SELECT pid::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
    await expect.poll(async () => (await Promise.all(databases.nodes.map((node) => onNode(node, waiting)))).flat().length, { timeout: 20_000 }).toBe(1);
    await changing.query('COMMIT');
    await met;
    await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
  } finally {
    client.release(true);
    changing.release(true);
  }
});

test('so does a cursor that is declared', async () => {
  const [client, changing] = [await other.connect(), await one.connect()];
  try {
    // The process has heard of the table, and the coordinator database has described the query.
    await other.query('SELECT FROM t');
    await client.query('BEGIN; DECLARE c CURSOR FOR SELECT * FROM t ORDER BY k; ROLLBACK');
    await changing.query('BEGIN; ALTER TABLE t ADD COLUMN c int');
    await client.query('BEGIN');
    const declared = client.query('DECLARE c CURSOR FOR SELECT * FROM t ORDER BY k').then(() => 'done', (error: unknown) => error);
    await expect.poll(async () => (await Promise.all(databases.nodes.map((node) => onNode(node, waitingForLock)))).flat().length, { timeout: 20_000 }).toBeGreaterThan(0);
    await changing.query('COMMIT');
    expect(await declared).toMatchObject({ code: '42P01', id: 'shardMissing' });
    await client.query('ROLLBACK');
    await client.query('BEGIN; DECLARE c CURSOR FOR SELECT * FROM t ORDER BY k');
    expect((await client.query('FETCH ALL FROM c')).rows.length).toBe(12);
  } finally {
    client.release(true);
    changing.release(true);
  }
});

test('an error of one node names the table, its parts and the node, and changes nothing anywhere', async () => {
  await one.query('UPDATE t SET a = 1 WHERE k = 5; INSERT INTO t VALUES (5, 5, 1)');
  await expect(one.query('ALTER TABLE t ADD CONSTRAINT once UNIQUE (k, a)')).rejects.toMatchObject({ code: '23505', message: 'could not create unique index "once"', where: expect.stringMatching(/node \d \(127\.0\.0\.1:\d+\/\w+\)/) });
  await expect(one.query('ALTER TABLE t ADD CONSTRAINT small CHECK (a < 5), ADD c int')).rejects.toMatchObject({ code: '23514', message: 'check constraint "small" of relation "t" is violated by some row', constraint: 'small', table: 't' });
  const columns = await columnsOf({ cluster: one, databases }, 't');
  expect(new Set(columns)).toEqual(new Set(['k bigint,code text,a integer,b integer']));
});

test('names as long as can be, of many bytes and in two schemas, stay apart', async () => {
  const table = `"${'ü'.repeat(31)}"`;
  await one.query(`CREATE SCHEMA IF NOT EXISTS further; CREATE TABLE ${table} (k bigint, "${'é'.repeat(31)}" int); CREATE TABLE further.${table} (k bigint, a int)`);
  await one.createDistributedTable(table, 'k', { shardCount: 4 });
  await one.createDistributedTable(`further.${table}`, 'k', { shardCount: 4 });
  await one.query(`INSERT INTO ${table} SELECT i, i FROM generate_series(1, 9) i; INSERT INTO further.${table} SELECT i, -i FROM generate_series(1, 9) i`);
  await one.query(`ALTER TABLE ${table} ADD UNIQUE (k, "${'é'.repeat(31)}"), ADD CHECK ("${'é'.repeat(31)}" > 0); CREATE INDEX ON ${table} ("${'é'.repeat(31)}"); CREATE INDEX ON further.${table} (a)`);
  await one.query(`ALTER TABLE ${table} RENAME "${'é'.repeat(31)}" TO "select"; ALTER TABLE further.${table} ADD "from" int DEFAULT 3`);
  expect((await other.query(`SELECT sum("select")::int AS a, (SELECT sum(a + "from")::int FROM further.${table}) AS b FROM ${table}`)).rows).toEqual([{ a: 45, b: -18 }]);
  await expect(one.query(`INSERT INTO ${table} VALUES (1, 1)`)).rejects.toMatchObject({ code: '23505' });
  await one.query(`DROP TABLE ${table}, further.${table}`);
});

test('fields of results tell the column of the table, whatever was dropped before or after it was distributed', async () => {
  await one.query('DROP TABLE t; CREATE TABLE t (gone int, k bigint, a int, b int); ALTER TABLE t DROP gone');
  await one.createDistributedTable('t', 'k', { shardCount: 4 });
  const places = async (text: string): Promise<number[]> => (await other.query({ text, rowMode: 'array' })).fields.map(({ columnID }) => columnID);
  expect(await places('SELECT * FROM t WHERE k = 1')).toEqual([2, 3, 4]);
  await one.query('ALTER TABLE t DROP a, ADD c int');
  expect(await places('SELECT k, c, b FROM t WHERE k = 1')).toEqual([2, 5, 4]);
  expect(await places('SELECT t.c, u.b FROM t JOIN t u USING (k) WHERE t.k = 1')).toEqual([5, 4]);
});

test('a table that is distributed by another process is not taken for a local one: its shards get the change', async () => {
  await one.query('DROP TABLE t; CREATE TABLE t (k bigint, a int)');
  await other.query('SELECT * FROM t');
  await deafen();
  await one.createDistributedTable('t', 'k', { shardCount: 4 });
  await other.query('ALTER TABLE t ADD COLUMN b int');
  expect(await columnsOf({ cluster: one, databases }, 't')).toEqual(Array.from({ length: 5 }, () => 'k bigint,a integer,b integer'));
});

test.each([
  ['BEGIN; DECLARE c CURSOR FOR SELECT * FROM t; FETCH ALL FROM c', undefined],
  ['CREATE TABLE made AS SELECT * FROM t', 'SELECT * FROM made ORDER BY k'],
  ['CREATE MATERIALIZED VIEW seen AS SELECT * FROM t', 'SELECT * FROM seen ORDER BY k'],
])('nor has what waits for it while it is distributed the rows of its empty shell: %s', async (text, look) => {
  await one.query('DROP TABLE t; CREATE TABLE t (k bigint, a int); INSERT INTO t VALUES (1, 1), (2, 2)');
  const [client, changing] = [await other.connect(), await one.connect()];
  try {
    await client.query('SELECT * FROM t');
    await changing.query(`BEGIN; SELECT create_distributed_table('t', 'k', shard_count := 4)`);
    const told = client.query(text).then(() => 'done', ({ code, id }: { code: string; id: string }) => ({ code, id }));
    await expect.poll(() => onNode(databases.coordinator, waitingForLock), { timeout: 20_000 }).toHaveLength(1);
    await changing.query('COMMIT');
    expect(await told).toEqual(look === undefined ? { code: '40001', id: 'shardMissing' } : 'done');
    if (look !== undefined) expect((await other.query(look)).rows).toEqual([{ k: '1', a: 1 }, { k: '2', a: 2 }]);
  } finally {
    client.release(true);
    changing.release(true);
    // One by one, outside of a block: the process may not have heard of the view yet.
    for (const drop of ['DROP MATERIALIZED VIEW IF EXISTS seen', 'DROP TABLE IF EXISTS made']) await one.query(drop);
  }
});

test('values of a sequence that was dropped are not given out for another of its name', async () => {
  const remake = async (): Promise<void> => {
    await one.query('DROP TABLE IF EXISTS s; CREATE TABLE s (k bigint, n bigserial)');
    await one.createDistributedTable('s', 'k', { shardCount: 4 });
  };
  await remake();
  for (let i = 1; i <= 5; i += 1) await other.query('INSERT INTO s (k) VALUES ($1)', [i]);
  await deafen();
  await remake();
  const { rows } = await other.query<{ n: string }>('INSERT INTO s (k) VALUES (1) RETURNING n');
  await one.query('INSERT INTO s (k) SELECT 2 FROM generate_series(1, 9)');
  // The dropped one would have given 6; a try that met the old table may have taken a number of the new one.
  expect(Number(rows[0]?.n)).toBeLessThan(6);
  expect((await one.query('SELECT count(*)::int AS rows, count(DISTINCT n)::int AS numbers FROM s')).rows).toEqual([{ rows: 10, numbers: 10 }]);
});

test('a sequence that is renamed, goes to another schema or begins again is the same one to its columns', async () => {
  await one.query('DROP TABLE IF EXISTS q; DROP SCHEMA IF EXISTS "Other s" CASCADE; CREATE SCHEMA "Other s"; CREATE TABLE q (k bigint, n serial, i int GENERATED ALWAYS AS IDENTITY)');
  await one.createDistributedTable('q', 'k', { shardCount: 4 });
  const inserted = async (cluster: Cluster): Promise<unknown> => (await cluster.query('INSERT INTO q (k) VALUES (1), (2) RETURNING n, i')).rows.at(-1);
  for (const cluster of [one, other]) for (let i = 0; i < 3; i += 1) await inserted(cluster);
  await deafen();
  await one.query('ALTER SEQUENCE q_n_seq RENAME TO "a.b"; ALTER SEQUENCE q_i_seq RENAME TO "c""d"; CREATE SEQUENCE q_n_seq START 9000; CREATE SEQUENCE q_i_seq START 9000');
  await one.query('ALTER SEQUENCE "a.b" OWNED BY NONE; ALTER SEQUENCE "a.b" SET SCHEMA "Other s"');
  await one.query(`SELECT setval('"Other s"."a.b"', 1000)`);
  await one.query('ALTER SEQUENCE "c""d" RESTART WITH 1001');
  expect(await inserted(one)).toEqual({ n: 1002, i: 1002 });
  await one.query(`SELECT setval('"c""d"', 2000)`);
  expect(await inserted(one)).toMatchObject({ i: 2002 });
  for (let i = 0; i < 40; i += 1) await inserted(other);
  expect((await one.query('SELECT max(n) < 9000 AND max(i) < 9000 AS of_their_own, count(*) = count(DISTINCT n) AND count(*) = count(DISTINCT i) AS are_different FROM q')).rows)
    .toEqual([{ of_their_own: true, are_different: true }]);
  await one.query('DROP TABLE q; DROP SEQUENCE "Other s"."a.b", q_n_seq, q_i_seq');
});

test('CREATE INDEX CONCURRENTLY that a process has left halfway can be gone on with, or taken back', async () => {
  await one.query('CREATE INDEX CONCURRENTLY by_a ON t (a)');
  const indexes = async (): Promise<string[]> => {
    const found = await Promise.all(databases.nodes.map((node) => onNode(node, `SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = indexrelid WHERE i.relname ~ '^by_a' AND indisvalid`)));
    return found.flat();
  };
  const lose = async (): Promise<void> => {
    const [node] = databases.nodes;
    if (node === undefined) return;
    const [first, second] = await onNode(node, `SELECT i.relname FROM pg_class i WHERE i.relname ~ '^by_a'`);
    await onNode(node, `DROP INDEX ${first}; UPDATE pg_index SET indisvalid = false WHERE indexrelid = '${second}'::regclass`);
  };
  expect((await indexes()).length).toBe(4);
  await lose();
  expect((await indexes()).length).toBe(2);
  await other.query('CREATE INDEX CONCURRENTLY IF NOT EXISTS by_a ON t (a)');
  expect((await indexes()).length).toBe(4);
  await lose();
  await other.query('DROP INDEX by_a');
  expect(await indexes()).toEqual([]);
});

async function onNode({ connectionString }: TestDatabase, text: string): Promise<string[]> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    const { rows } = [await client.query<[string]>({ text, rowMode: 'array' })].flat().at(-1) ?? { rows: [] };
    return rows.map(([value]) => value);
  } finally {
    await client.end();
  }
}
