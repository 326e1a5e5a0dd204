import type { Pool } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';

/** Before PostgreSQL 18 the `IST` that SQL style writes for India is read as Israel's. */
let pair: ClusterAndPlain;

const definitions = `CREATE TABLE seen (id int PRIMARY KEY, at timestamptz); CREATE TABLE others (k int, at timestamptz); CREATE TABLE known (id int PRIMARY KEY, at timestamptz DEFAULT now()); CREATE TABLE local (at timestamptz)`;

beforeAll(async () => {
  pair = await startCluster({ major: 15, nodes: 2 });
  for (const pool of [pair.cluster, pair.plain]) await pool.query(definitions);
  await pair.cluster.createDistributedTable('seen', 'id', { shardCount: 4 });
  await pair.cluster.createDistributedTable('others', 'k', { shardCount: 2, colocateWith: 'none' });
  await pair.cluster.createReferenceTable('known');
}, 60_000);
afterAll(() => pair[Symbol.asyncDispose](), 15_000);
beforeEach(async () => {
  for (const pool of [pair.cluster, pair.plain]) await pool.query(`TRUNCATE seen, others, known; TRUNCATE local; INSERT INTO seen SELECT i, timestamptz '2024-07-01 00:00+00' + i * interval '1 day' FROM generate_series(1, 6) i`);
});

const tables = ['seen', 'others', 'known', 'local'].map((table) => `SELECT '${table}' AS of, extract(epoch FROM at) AS epoch FROM ${table}`).join(' UNION ALL ') + ' ORDER BY 1, 2';

/** What the statement gives in a session of that style and zone, and then what is in the tables. */
async function outcome(pool: Pick<Pool, 'connect' | 'query'>, text: string, zone = 'Asia/Kolkata', values: unknown[] = []): Promise<unknown> {
  const client = await pool.connect();
  try {
    await client.query(`SET DateStyle = 'SQL, DMY'; SET TimeZone = '${zone}'`);
    const { rowCount, rows } = await client.query({ text, values, rowMode: 'array' });
    return [rowCount, rows, (await pool.query(tables)).rows];
  } finally {
    client.release(true);
  }
}

/** Rows with such values go from server to server. */
const moving = [
  'INSERT INTO others SELECT id, at FROM seen',
  'INSERT INTO local SELECT at FROM seen',
  'INSERT INTO known SELECT id, at FROM seen',
  'WITH x AS (DELETE FROM seen WHERE id < 3 RETURNING id, at) INSERT INTO others SELECT id, at FROM x',
  'UPDATE seen SET at = x.at FROM (SELECT id, at FROM seen ORDER BY at LIMIT 3) x WHERE x.id = seen.id',
  'UPDATE seen SET id = id + 100',
  `UPDATE known SET at = at + random() * interval '0'`,
  'SELECT extract(epoch FROM min(at)) FROM seen',
  'SELECT count(*) FROM seen a JOIN seen b ON a.at = b.at',
  'SELECT count(DISTINCT at) FROM seen',
  'CREATE TABLE made AS SELECT at FROM seen',
];

test.for(moving)('%s', async (text) => {
  await expect(outcome(pair.cluster, text)).rejects.toMatchObject({ code: '0A000', hint: expect.stringContaining('DateStyle') as string });
  // Here it means what it means to the servers.
  const both = [await outcome(pair.cluster, text, 'Europe/Berlin'), await outcome(pair.plain, text, 'Europe/Berlin')];
  expect(both[0]).toEqual(both[1]);
  for (const pool of [pair.cluster, pair.plain]) await pool.query('DROP TABLE IF EXISTS made');
});

/** Nothing does but what is evaluated once, or to the caller. */
const staying = [
  `INSERT INTO seen VALUES (7, timestamptz '2024-01-01 00:00+00'), (8, NULL)`,
  'SELECT id, at IS NULL FROM seen WHERE at < now() AND id = 3',
  'SELECT count(*) FROM seen WHERE at < now()',
  'SELECT max(id), count(*) FROM seen',
  `UPDATE seen SET at = at + interval '1 day' WHERE at < now()`,
  'DELETE FROM seen WHERE at > now()',
  `INSERT INTO known VALUES (1, timestamptz '2024-01-01 00:00+00')`,
];

test.for(staying)('%s', async (text) => {
  expect(await outcome(pair.cluster, text)).toEqual(await outcome(pair.plain, text));
});

test('what is evaluated once is the same moment everywhere', async () => {
  const near = `count(*) FILTER (WHERE at BETWEEN now() - interval '10 minutes' AND now() + interval '10 minutes')::int`;
  for (const text of ['UPDATE seen SET at = now()', 'INSERT INTO seen VALUES (7, clock_timestamp()), (8, CURRENT_TIMESTAMP)', 'INSERT INTO known VALUES (1, now()), (2, DEFAULT)', 'UPDATE known SET at = now()']) await outcome(pair.cluster, text);
  await outcome(pair.cluster, 'INSERT INTO known VALUES (3, $1)', 'Asia/Kolkata', ['now']);
  expect((await pair.cluster.query(`SELECT 'seen' AS of, ${near} AS n FROM seen UNION ALL SELECT 'known', ${near} FROM known ORDER BY 1`)).rows).toEqual([{ of: 'known', n: 3 }, { of: 'seen', n: 8 }]);
});
