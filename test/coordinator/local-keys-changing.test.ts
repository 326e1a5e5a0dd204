import { Client, type PoolClient } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import type { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, startCluster } from './start-cluster.ts';

/** Reference tables' copies in the coordinator database that come and go beside statements of others. */
let pair: ClusterAndPlain;
let cluster: Cluster;
let coordinator: Client;

beforeAll(async () => {
  pair = await startCluster({ nodes: 2 });
  cluster = pair.cluster;
  coordinator = new Client({ connectionString: pair.databases.coordinator.connectionString });
  await coordinator.connect();
});

afterAll(async () => {
  await coordinator.end();
  await pair[Symbol.asyncDispose]();
}, 15_000);

beforeEach(async () => {
  await cluster.query('DROP TABLE IF EXISTS visits, shops, cities, regions CASCADE; CREATE TABLE regions (id int PRIMARY KEY, name text)');
  await cluster.createReferenceTable('regions');
  await cluster.query(`INSERT INTO regions SELECT i, 'region ' || i FROM generate_series(1, 5) i`);
});

const key = 'CREATE TABLE visits (id int PRIMARY KEY, region int REFERENCES regions)';
const locking = 'SELECT id FROM regions ORDER BY id FOR UPDATE';
const all = [1, 2, 3, 4, 5];


/** The ids in the coordinator database's own table, past the library. */
async function here(table = 'regions'): Promise<string> {
  return at((await coordinator.query<{ ids: string }>(`SELECT coalesce(string_agg(id::text, ',' ORDER BY id), '') AS ids FROM ${table}`)).rows, 0).ids;
}

async function expectAlike(): Promise<void> {
  expect((await cluster.verify()).differences).toEqual([]);
  expect((await cluster.checkSchema()).differences).toEqual([]);
}

async function ids(session: Pick<PoolClient, 'query'>, text = locking): Promise<number[]> {
  return (await session.query<{ id: number }>(text)).rows.map(({ id }) => id);
}

async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(() => undefined, ({ code }: { readonly code?: string }) => code);
}

/** Until so many wait for locks in the coordinator database. */
async function waits(count: number): Promise<void> {
  const text = `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND backend_type = 'client backend' AND datname = current_database()`;
  await expect.poll(async () => (await coordinator.query(text)).rows.length, { timeout: 20_000 }).toBe(count);
}

test('queries that lock rows find them on the nodes when the last key has gone while they waited', async () => {
  await cluster.query(key);
  const [dropper, block, cursor] = [await cluster.connect(), await cluster.connect(), await cluster.connect()];
  for (const session of [block, cursor]) await session.query('BEGIN');
  expect(await ids(block)).toEqual(all);
  await block.query('ROLLBACK; BEGIN');
  await dropper.query('BEGIN; DROP TABLE visits');
  const found = [ids(cluster), streamed(), codeOf(ids(block)), codeOf(cursor.query(`DECLARE c CURSOR FOR ${locking}; FETCH ALL FROM c`))];
  await waits(found.length);
  await dropper.query('COMMIT');
  expect(await Promise.all(found)).toEqual([all, all, '40001', '40001']);
  for (const session of [block, cursor]) {
    await session.query('ROLLBACK; BEGIN');
    expect(await ids(session)).toEqual(all);
    await session.query('ROLLBACK');
  }
  for (const session of [dropper, block, cursor]) session.release();
  await expectAlike();
});

async function streamed(): Promise<number[]> {
  const found = [];
  for await (const row of cluster.stream<{ id: number }>(locking)) found.push(row.id);
  return found;
}

test('a block whose snapshot is older than the copy locks no rows there', async () => {
  const block = await cluster.connect();
  await block.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class');
  await cluster.query(key);
  await expect(block.query(locking)).rejects.toMatchObject({ id: 'shardMissing', code: '40001' });
  await block.query('ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ');
  expect(await ids(block)).toEqual(all);
  await block.query('COMMIT');
  block.release();
});

test.each([
  ['CREATE TABLE shops (id int, region int REFERENCES regions)', ''],
  ['ALTER TABLE shops ADD FOREIGN KEY (region) REFERENCES regions NOT VALID', 'CREATE TABLE shops (id int, region int)'], ['ALTER TABLE shops ADD COLUMN region int REFERENCES regions', 'CREATE TABLE shops (id int)'],
])('a key that is made while the last one goes gets its rows: %s', async (making, before) => {
  await cluster.query(`${key}; ${before}`);
  const [dropper, maker] = [await cluster.connect(), await cluster.connect()];
  await dropper.query('BEGIN; DROP TABLE visits');
  const made = maker.query(making);
  await waits(1);
  await dropper.query('COMMIT');
  await made;
  expect(await here()).toBe('1,2,3,4,5');
  await cluster.query('INSERT INTO shops (id, region) VALUES (1, 1)');
  await expect(cluster.query('INSERT INTO shops (id, region) VALUES (1, 9)')).rejects.toMatchObject({ code: '23503' });
  for (const session of [dropper, maker]) session.release();
  await expectAlike();
});

test('copies stay while one that stays refers to them', async () => {
  const role = `copies_${process.pid}`;
  await cluster.query(`CREATE TABLE cities (id int PRIMARY KEY, region int REFERENCES regions ON DELETE CASCADE)`);
  await cluster.createReferenceTable('cities');
  await cluster.query(`INSERT INTO cities SELECT id, id FROM regions; CREATE ROLE ${role}; GRANT USAGE, CREATE ON SCHEMA public TO ${role}; GRANT SELECT, REFERENCES ON cities TO ${role}`);
  const session = await cluster.connect();
  try {
    await cluster.query(`CREATE TABLE shops (city int REFERENCES cities); ALTER TABLE shops OWNER TO ${role}; ALTER TABLE regions OWNER TO ${role}`);
    await session.query(`SET ROLE ${role}; DROP TABLE shops`);
    expect([await here(), await here('cities')]).toEqual(['1,2,3,4,5', '1,2,3,4,5']);
    await expectAlike();
    await cluster.query('CREATE TABLE shops (city int REFERENCES cities); INSERT INTO shops VALUES (1)');
    await expect(cluster.query('DELETE FROM regions WHERE id = 1')).rejects.toMatchObject({ code: '23503' });
    await cluster.query('ALTER TABLE cities DROP CONSTRAINT cities_region_fkey, ADD FOREIGN KEY (region) REFERENCES regions DEFERRABLE INITIALLY DEFERRED');
    await cluster.query('DROP TABLE shops');
    expect([await here(), await here('cities')]).toEqual(['', '']);
    await expectAlike();
  } finally {
    session.release(true);
    await cluster.query(`DROP TABLE IF EXISTS shops; ALTER TABLE regions OWNER TO CURRENT_USER; DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});

test('the last key goes beside others who lock rows, without a deadlock', async () => {
  await cluster.query(key);
  const [one, two] = [await cluster.connect(), await cluster.connect()];
  await one.query(`BEGIN; ${locking}`);
  const distributed = cluster.createDistributedTable('visits', 'id');
  await waits(1);
  const waiting = ids(two);
  await waits(2);
  await one.query('COMMIT');
  await distributed;
  expect(await waiting).toEqual(all);
  for (const session of [one, two]) session.release();
  await expectAlike();
});

test('a table that is distributed while it is used takes the copy along with its key', async () => {
  await cluster.query(`${key}; INSERT INTO visits VALUES (1, 1)`);
  await cluster.createDistributedTable('visits', 'id', { online: true });
  expect(await here()).toBe('');
  await expectAlike();
});

test('so does a schema that is distributed, whose tables may be made in one statement with it', async () => {
  await cluster.query('DROP SCHEMA IF EXISTS tenant CASCADE; CREATE SCHEMA tenant CREATE TABLE bills (id int PRIMARY KEY, region int REFERENCES public.regions)');
  expect(await here()).toBe('1,2,3,4,5');
  await cluster.query('INSERT INTO tenant.bills VALUES (1, 1)');
  await cluster.distributeSchema('tenant');
  expect(await here()).toBe('');
  await expectAlike();
  await cluster.query('DROP SCHEMA tenant CASCADE');
});

test('EXPLAIN of a write shows that of the coordinator database', async () => {
  await cluster.query(key);
  for (const text of ['UPDATE regions SET name = id::text', `INSERT INTO regions VALUES (9, 'nine')`]) {
    const { rows } = await cluster.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${text}`);
    expect(rows.map((row) => row['QUERY PLAN']).join('\n').match(/1 on /g)).toHaveLength(3);
  }
});

test('a key that was made past the library takes rows when it has been dropped and added again', async () => {
  await coordinator.query(key);
  await expect(cluster.query('INSERT INTO visits VALUES (1, 1)')).rejects.toMatchObject({ code: '23503', hint: expect.stringContaining('drop its foreign key and add it again') as string });
  await cluster.query('ALTER TABLE visits DROP CONSTRAINT visits_region_fkey');
  await cluster.query('ALTER TABLE visits ADD FOREIGN KEY (region) REFERENCES regions; INSERT INTO visits VALUES (1, 1)');
  await expectAlike();
});
