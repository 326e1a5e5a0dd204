import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type ClusterAndPlain, startCluster } from './start-cluster.ts';
import { step } from '../session/compare-steps.ts';

let pair: ClusterAndPlain;

beforeAll(async () => {
  pair = await startCluster();
  for (const pool of [pair.cluster, pair.plain]) {
    await pool.query(`CREATE SEQUENCE numbers;
      CREATE TABLE keyed (tenant int, id serial, note text);
      CREATE TABLE coded (tenant int, v int, code text DEFAULT 'no. ' || nextval('numbers'));
      CREATE TABLE tokens (token uuid DEFAULT gen_random_uuid(), v int);
      CREATE TABLE plain (tenant int, v int, w int DEFAULT 7, PRIMARY KEY (tenant, v));
      CREATE TABLE kinds (id int, token uuid DEFAULT gen_random_uuid());
      CREATE FUNCTION two() RETURNS SETOF int LANGUAGE sql AS 'SELECT 1 UNION ALL SELECT 2'`);
  }
  for (const table of ['keyed', 'coded', 'plain']) await pair.cluster.createDistributedTable(table, 'tenant', { shardCount: 4 });
  await pair.cluster.createDistributedTable('tokens', 'token', { shardCount: 4 });
  await pair.cluster.createReferenceTable('kinds');
}, 60_000);
afterAll(() => pair[Symbol.asyncDispose](), 15_000);
beforeEach(async () => {
  for (const pool of [pair.cluster, pair.plain]) await pool.query('TRUNCATE keyed, coded, tokens, plain, kinds');
});

const contents = `SELECT 'keyed' AS of, count(*)::int AS rows, count(DISTINCT id)::int AS different, sum(tenant)::int AS keys FROM keyed UNION ALL SELECT 'coded', count(*)::int, count(DISTINCT code)::int, sum(tenant + v)::int FROM coded
  UNION ALL SELECT 'tokens', count(*)::int, count(DISTINCT token)::int, sum(v)::int FROM tokens UNION ALL SELECT 'plain', count(*)::int, sum(w)::int, sum(tenant + v)::int FROM plain UNION ALL SELECT 'kinds', count(*)::int, count(DISTINCT token)::int, sum(id)::int FROM kinds`;

test.for([
  'INSERT INTO keyed (tenant) VALUES (generate_series(1, 3))',
  `INSERT INTO keyed (tenant, note) VALUES (1, generate_series(1, 3)::text)`,
  'INSERT INTO keyed (tenant, note) VALUES (two(), $1)',
  'INSERT INTO public.keyed AS k (tenant) VALUES(unnest(ARRAY[4, 5])) RETURNING tenant',
  'INSERT INTO coded (tenant, v) VALUES (8, generate_series(1, 3))',
  `INSERT INTO coded VALUES (8, generate_series(1, 3), nextval('numbers')::text)`,
  'INSERT INTO tokens (v) VALUES (generate_series(1, 3))',
  'INSERT INTO plain VALUES (1, generate_series(1, 3), DEFAULT)',
  'INSERT INTO plain VALUES (generate_series(1, 3), 2, 1 + $1::int)',
  'INSERT INTO plain VALUES (1, generate_series(1, 3)) ON CONFLICT (tenant, v) DO UPDATE SET w = 9 RETURNING v',
  'INSERT INTO plain VALUES (generate_series(1, 3), 1) ON CONFLICT (tenant, v) DO UPDATE SET w = 9',
  'INSERT INTO kinds (id) VALUES (generate_series(1, 3))',
  'INSERT INTO kinds VALUES (two())',
  'INSERT INTO plain VALUES (generate_series(1, 3), 1), (2, 3)',
])('%s', async (text) => {
  const given = text.includes('$1') ? { text, values: ['3'] } : text;
  const got = await Promise.all([pair.cluster, pair.plain].map(async (pool) => {
    const client = await pool.connect();
    try {
      return [await step(client, given), await step(client, contents)];
    } finally {
      client.release(true);
    }
  }));
  expect(got[0]).toEqual(got[1]);
});

test('not beside DEFAULT of a column that nodes do not compute', async () => {
  await expect(pair.cluster.query('INSERT INTO keyed VALUES (generate_series(1, 3), DEFAULT)')).rejects.toMatchObject({ code: '0A000', detail: expect.stringMatching(/DEFAULT stands beside/) });
});
