import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Cluster } from '../../../src/index.ts';
import { createTestDatabases, type TestDatabases } from '../../support/test-databases.ts';
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
  await other.explain(text);
  await deafen();
  await one.query(change);
  expect((await other.query(query)).rows).toEqual(rows);
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

test('a block that meets changed columns ends with shardMissing, which transaction() tries again', async () => {
  const client = await other.connect();
  await client.query('BEGIN; SELECT 1');
  await deafen();
  await one.query('ALTER TABLE t ADD COLUMN c int');
  await expect(client.query('SELECT * FROM t WHERE k = 1')).rejects.toMatchObject({ code: '42P01', id: 'shardMissing' });
  await client.query('ROLLBACK');
  client.release();
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
