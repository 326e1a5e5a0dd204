import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type EmptyPair, startEmptyPair } from './empty-pair.ts';

/** ALTER COLUMN … TYPE … USING what each server would compute otherwise. */
let pair: EmptyPair;

beforeAll(async () => {
  pair = await startEmptyPair(18);
  await pair.cluster.query(`CREATE FUNCTION server() RETURNS text STABLE LANGUAGE sql AS $$ SELECT pg_backend_pid()::text || pg_postmaster_start_time() $$`);
});

afterAll(() => pair[Symbol.asyncDispose]());

beforeEach(async () => {
  const { cluster } = pair;
  await cluster.query(`DROP TABLE IF EXISTS local, places, visits; CREATE TABLE places (id int PRIMARY KEY, at text); CREATE TABLE visits (id int PRIMARY KEY, at text)`);
  await cluster.createReferenceTable('places');
  await cluster.createDistributedTable('visits', 'id', { shardCount: 8 });
  for (const table of ['places', 'visits']) await cluster.query(`INSERT INTO ${table} SELECT i, i::text FROM generate_series(1, 20) i`);
});

async function timesIn(table: string): Promise<unknown[]> {
  return (await pair.cluster.query({ text: `SELECT DISTINCT at FROM ${table}`, rowMode: 'array' })).rows;
}

async function expectAlike(): Promise<void> {
  expect((await pair.cluster.verify()).differences).toEqual([]);
}

test.each(['now()', 'current_timestamp', 'statement_timestamp() + (places.id - places.id) * interval \'1 day\''])('a moment is one for all rows: %s', async (moment) => {
  const { cluster } = pair;
  const session = await cluster.connect();
  try {
    await session.query(`SET DateStyle = 'SQL, DMY'; SET TimeZone = 'Asia/Kolkata'; BEGIN`);
    await session.query(`ALTER TABLE places ALTER COLUMN at TYPE timestamptz USING ${moment}`);
    await session.query(`ALTER TABLE visits ALTER COLUMN at TYPE timestamptz USING ${moment.replaceAll('places', 'visits')}`);
    await session.query('COMMIT');
  } finally {
    session.release();
  }
  const [places, visits] = [await timesIn('places'), await timesIn('visits')];
  expect(places).toHaveLength(1);
  expect(visits).toHaveLength(1);
  if (!moment.startsWith('statement')) expect(visits).toEqual(places);
  expect((await cluster.query(`SELECT abs(extract(epoch FROM at - clock_timestamp())) < 600 AS near FROM places LIMIT 1`)).rows).toEqual([{ near: true }]);
  await expectAlike();
});

test('a moment in a copy of the coordinator database', async () => {
  await pair.cluster.query('CREATE TABLE local (place int REFERENCES places)');
  await pair.cluster.query('ALTER TABLE places ALTER COLUMN at TYPE timestamptz USING now()');
  expect(await timesIn('places')).toHaveLength(1);
  await expectAlike();
});

const differing = ['random()::text', 'gen_random_uuid()::text', 'server()', 'tableoid::text', 'places.ctid::text', `('now'::timestamptz)::text`, 'clock_timestamp()::text'];

test.each(differing)('copies that would differ are refused: %s', async (expression) => {
  const { cluster } = pair;
  await expect(cluster.query(`ALTER TABLE places ALTER COLUMN at TYPE varchar USING ${expression}`)).rejects.toMatchObject({ id: 'unsupportedDdl', column: 'at', table: 'places' });
  expect((await cluster.query('SELECT at FROM places ORDER BY id LIMIT 2')).rows).toEqual([{ at: '1' }, { at: '2' }]);
  await expectAlike();
});

test('what a node computes as the others do, it computes by itself', async () => {
  const { cluster } = pair;
  await cluster.query('CREATE TABLE local (place int REFERENCES places)');
  await cluster.query('ALTER TABLE places RENAME at TO was; ALTER TABLE places ALTER COLUMN was TYPE int USING length(places.was) + id');
  expect((await cluster.query('SELECT was FROM places WHERE id IN (9, 10) ORDER BY id')).rows).toEqual([{ was: 10 }, { was: 12 }]);
  await expectAlike();
});
