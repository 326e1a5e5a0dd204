import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { at, present } from '../../../src/base/assert.ts';
import { run } from '../../coordinator/start-cluster.ts';
import { type EmptyPair, startEmptyPair } from './empty-pair.ts';

let pair: EmptyPair;

beforeAll(async () => {
  pair = await startEmptyPair(18);
});

afterAll(() => pair[Symbol.asyncDispose]());

/** The rows of each of a table's shards, sorted. */
async function shardRows(table: string): Promise<string[][]> {
  const shards = (await pair.cluster.shards()).filter((shard) => shard.table === table);
  return Promise.all(shards.map(async ({ nodeId, name }) => (await onNode(nodeId, `SELECT t::text FROM ${name} t ORDER BY t::text COLLATE "C"`)).map(([row]) => String(row))));
}

async function onNode(node: number, text: string): Promise<unknown[][]> {
  const client = new Client({ connectionString: at(pair.databases.nodes, node - 1).connectionString });
  await client.connect();
  try {
    return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows;
  } finally {
    await client.end();
  }
}

/** What a statement has made for itself alone. */
async function leftovers(): Promise<unknown[]> {
  const text = `SELECT relname FROM pg_class WHERE relname LIKE 'shardwright\\_%' AND relnamespace <> 'shardwright'::regnamespace UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE 'shardwright\\_%'`;
  const [onNodes, here] = await Promise.all([Promise.all([1, 2].map((node) => onNode(node, text.replace(`'shardwright'::regnamespace`, '0')))), pair.cluster.query({ text, rowMode: 'array' })]);
  return [...onNodes.flat(), ...here.rows];
}

test('copies of a reference table get the same values, wherever their rows lie', async () => {
  const { cluster } = pair;
  await cluster.query(`CREATE TABLE words (word text, n numeric, r json); INSERT INTO words SELECT CASE WHEN i % 4 > 0 THEN 'w' || i / 3 END, 1.0, '{"a": 1}' FROM generate_series(1, 60) i`);
  await cluster.createReferenceTable('words');
  const [shard] = (await cluster.shards()).filter(({ table }) => table === 'words');
  // The other copy's rows lie in another order, some in place of dead ones.
  await onNode(2, `UPDATE ${present(shard).name} SET n = n WHERE hashtext(word) % 2 = 0`);
  await onNode(2, `VACUUM ${present(shard).name}`);
  await onNode(2, `UPDATE ${present(shard).name} SET n = n WHERE hashtext(word) % 3 = 0`);
  await cluster.query('ALTER TABLE words ADD COLUMN id bigserial, ADD COLUMN s float8 NOT NULL DEFAULT random()');
  const [one, two] = await shardRows('words');
  expect(new Set(one).size).toBe(60);
  expect(two).toEqual(one);
  expect((await cluster.query('SELECT count(DISTINCT id)::int AS ids, count(DISTINCT s)::int AS rs, min(id)::int, max(id)::int FROM words')).rows).toEqual([{ ids: 60, rs: 60, min: 1, max: 60 }]);
  expect(await leftovers()).toEqual([]);
});

test('an owner whom policies hide rows from numbers all of them, and triggers do not see it', async () => {
  const { cluster, databases } = pair;
  const roles = `DO $$ BEGIN CREATE ROLE numbering_owner; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$; GRANT ALL ON SCHEMA public TO numbering_owner`;
  for (const { connectionString } of [databases.coordinator, ...databases.nodes]) await run(connectionString, roles);
  await cluster.query(`
    CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a trigger ran'; END $$;
    CREATE TABLE secrets (tenant int, kept bool);
    INSERT INTO secrets SELECT i % 7, i % 2 = 0 FROM generate_series(1, 50) i;
    CREATE TRIGGER never BEFORE UPDATE ON secrets FOR EACH ROW EXECUTE FUNCTION never();
    CREATE POLICY only_kept ON secrets USING (kept);
    ALTER TABLE secrets ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY, OWNER TO numbering_owner;
    GRANT USAGE ON SCHEMA shardwright TO numbering_owner; GRANT ALL ON ALL TABLES IN SCHEMA shardwright TO numbering_owner; GRANT ALL ON ALL SEQUENCES IN SCHEMA shardwright TO numbering_owner`);
  await cluster.createDistributedTable('secrets', 'tenant', { shardCount: 4 });
  await cluster.transaction(async (client) => {
    await client.query('SET LOCAL ROLE numbering_owner');
    await client.query('ALTER TABLE secrets ADD COLUMN id serial');
  });
  const rows = (await shardRows('secrets')).flat();
  expect(rows.length).toBe(50);
  expect(new Set(rows.map((row) => row.split(',')[2])).size).toBe(50);
  for (const { nodeId, name } of (await cluster.shards()).filter(({ table }) => table === 'secrets')) {
    expect(await onNode(nodeId, `SELECT relforcerowsecurity FROM pg_class WHERE relname = '${name}'`)).toEqual([[true]]);
  }
});

test('partitions, rows of the same transaction, and a rollback', async () => {
  const { cluster } = pair;
  await cluster.query(`
    CREATE TABLE logs (tenant int, day int) PARTITION BY RANGE (day);
    CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM (0) TO (10); CREATE TABLE logs_2 PARTITION OF logs FOR VALUES FROM (10) TO (20)`);
  await cluster.createDistributedTable('logs', 'tenant', { shardCount: 4 });
  const client = await cluster.connect();
  try {
    await client.query('BEGIN; INSERT INTO logs SELECT i % 9, i % 20 FROM generate_series(1, 100) i; ALTER TABLE logs ADD COLUMN id serial; SAVEPOINT s; ALTER TABLE logs ADD COLUMN again serial; ROLLBACK TO s');
    await client.query('INSERT INTO logs (tenant, day) VALUES (1, 1), (2, 11)');
    expect((await client.query('SELECT count(*)::int, count(DISTINCT id)::int AS ids FROM logs')).rows).toEqual([{ count: 102, ids: 102 }]);
    await client.query('ROLLBACK');
    await client.query('INSERT INTO logs SELECT i % 9, i % 20 FROM generate_series(1, 100) i; ALTER TABLE logs ADD COLUMN id serial');
  } finally {
    client.release();
  }
  expect((await cluster.query('SELECT count(*)::int, count(DISTINCT id)::int AS ids, min(id), max(id) FROM logs')).rows).toEqual([{ count: 100, ids: 100, min: 1, max: 100 }]);
  expect(await leftovers()).toEqual([]);
  expect((await cluster.checkSchema()).differences).toEqual([]);
});
