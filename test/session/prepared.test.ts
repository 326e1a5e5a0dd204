import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';
import { compareSteps, step, type Step } from './compare-steps.ts';

let pair: ClusterAndPlain;
beforeAll(async () => {
  pair = await startCluster();
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

const same = (...steps: readonly Step[]): Promise<void> => compareSteps(pair, ...steps);

const one = 'PREPARE one (bigint) AS SELECT id, note FROM orders WHERE tenant_id = $1 ORDER BY id';

describe('PREPARE, EXECUTE, DEALLOCATE', () => {
  test('one tenant, all tenants, local tables, reference tables', () => same(
    one, 'EXECUTE one (2)', 'EXECUTE one (3)', 'PREPARE every AS SELECT count(*)::int, sum(total) FROM orders WHERE id > $1', 'EXECUTE every (2)', 'EXECUTE every (NULL)',
    'PREPARE own AS SELECT * FROM notes WHERE id = $1', 'EXECUTE own (2)', 'PREPARE reference AS SELECT name FROM countries WHERE code = $1', `EXECUTE reference ('de')`,
    'PREPARE nothing AS SELECT 1', 'EXECUTE nothing', 'EXECUTE nothing ()', `PREPARE "an odd (name)" (int) AS VALUES ($1, 'a'), (2, 'b') ORDER BY 1 DESC`, 'EXECUTE "an odd (name)" (7)', 'DEALLOCATE "an odd (name)"'));
  test('arguments are expressions, assigned to the types', () => same(
    'PREPARE p (int, text) AS SELECT $1 + 1 AS n, $2 AS t, pg_typeof($1)::text', `EXECUTE p (1, 'y')`, `EXECUTE p ('7', NULL)`, `EXECUTE p (1.5, upper('z') || 'ü')`, `EXECUTE p (2 * 3, 4)`, `EXECUTE p ('x', 'y')`,
    `EXECUTE p (now(), 'y')`, `EXECUTE p (nothing, 'y')`, `EXECUTE p ((SELECT 1), 'y')`, `EXECUTE p (1 / 0, 'y')`, { text: 'EXECUTE p ($1, $2)', values: [1, 2] }));
  test('types: declared, inferred, arrays, left out', () => same(
    'PREPARE p (text) AS SELECT id FROM orders WHERE tenant_id = $1::bigint ORDER BY id LIMIT $2', `EXECUTE p ('3', 2)`, 'PREPARE q (unknown, int) AS SELECT $1 || $2', 'EXECUTE q (1, 2)',
    `PREPARE a (bigint[]) AS SELECT count(*)::int FROM orders WHERE tenant_id = ANY ($1)`, `EXECUTE a ('{1,2}')`, 'EXECUTE a (ARRAY[3, 4])', 'PREPARE gap (int, int) AS SELECT $2',
    'PREPARE names (int, text) AS SELECT $1, ($2), (SELECT $1), ((($1))) + 1, $1 AS mine, s.* FROM (SELECT $2, 3) s', `EXECUTE names (1, 'ä')`, 'EXECUTE gap (1, 2)', 'EXECUTE gap (2)',
    `PREPARE m (mood) AS SELECT count(*)::int FROM orders WHERE mood = $1`, `EXECUTE m ('ok')`, `EXECUTE m ('none')`, 'PREPARE x (nothing) AS SELECT $1', 'PREPARE x AS SELECT $1 + $2', 'PREPARE x AS SELECT $1 + $2 + 1', 'EXECUTE x (1, 2)'));
  test('writes', () => same(
    'BEGIN', `PREPARE i AS INSERT INTO orders (tenant_id, id, note) VALUES ($1, $2, $3), ($1 + 1, $2, $3)`, `EXECUTE i (1, 200, 'p')`, 'PREPARE u (text, int) AS UPDATE orders SET note = $1 WHERE id = $2', `EXECUTE u ('changed', 200)`,
    `PREPARE d AS DELETE FROM orders WHERE tenant_id = $1 AND id = $2 RETURNING note`, 'EXECUTE d (1, 200)', 'SELECT tenant_id, id, note FROM orders WHERE id = 200', `EXECUTE i (2, 200, 'again')`, 'SELECT 1', 'ROLLBACK',
    'SELECT count(*)::int FROM orders WHERE id = 200', `BEGIN READ ONLY`, `EXECUTE u ('x', 1)`, 'ROLLBACK'));
  test('errors', () => same(
    'EXECUTE nobody', 'EXECUTE nobody (1)', 'DEALLOCATE nobody', one, one, 'PREPARE one AS SELECT 1', 'EXECUTE one', 'EXECUTE one ()', 'EXECUTE one (1, 2)', 'PREPARE two AS SELECT nothing FROM orders', 'EXECUTE two',
    'PREPARE two AS CREATE TABLE t (x int)', 'PREPARE ö (bigint) AS SELECT id FROM orders WHERE tenant_id = $1', 'EXECUTE ö (nothing)', 'EXECUTE ö (1)'));
  test('live as long as the session says', () => same(
    'BEGIN', one, 'ROLLBACK', 'EXECUTE one (1)', 'BEGIN', 'EXECUTE one (1, 2)', 'EXECUTE one (1)', 'DEALLOCATE one', 'ROLLBACK', 'EXECUTE one (1)', 'BEGIN', 'SAVEPOINT a', 'PREPARE again AS SELECT 1', 'ROLLBACK TO a', 'EXECUTE again', 'DEALLOCATE PREPARE again', 'EXECUTE again', 'ROLLBACK',
    'EXECUTE again', 'DEALLOCATE ALL', 'EXECUTE one (1)', one, 'DISCARD PLANS', 'EXECUTE one (1)', 'DISCARD TEMP', 'DISCARD SEQUENCES', 'EXECUTE one (1)', 'BEGIN', 'DISCARD ALL', 'ROLLBACK', 'DISCARD ALL', 'EXECUTE one (1)', one, 'EXECUTE one (2)'));
  test('in one text', () => same(`${one}; EXECUTE one (1); DEALLOCATE one`, 'EXECUTE one (1)', `${one}; BEGIN; EXECUTE one (1); EXECUTE one`, 'SELECT 1', 'ROLLBACK'));
  test('settings are those of the session', () => same(
    `SET DateStyle TO 'German'`, `PREPARE p (timestamptz) AS SELECT count(*)::int FROM orders WHERE at < $1`, `EXECUTE p ('03.01.2024 00:00:00 UTC')`, `EXECUTE p (timestamptz '2024-01-05')`, 'RESET DateStyle', `EXECUTE p ('2024-01-05')`));
});

test('pg_prepared_statements shows it as it was written', async () => {
  const client = await pair.cluster.connect();
  await client.query(one);
  expect((await client.query(`SELECT statement, parameter_types::text FROM pg_prepared_statements WHERE name = 'one'`)).rows).toEqual([{ statement: one, parameter_types: '{bigint}' }]);
  client.release(true);
});

test('EXPLAIN EXECUTE shows the plan', async () => {
  const client = await pair.cluster.connect();
  await client.query(one);
  const { rows } = await client.query<Record<string, string>>('EXPLAIN EXECUTE one (1 + 1)');
  expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toMatch(/^Router\n.*\n.*WHERE tenant_id = \(\$1::bigint\)/);
  expect((await client.query('EXPLAIN (FORMAT json, COSTS off) EXECUTE one (1)')).rows).toHaveLength(1);
  expect(await step(client, 'EXPLAIN EXECUTE one')).toMatchObject({ code: '42601' });
  client.release(true);
});

test('a table distributed meanwhile is read where its rows are', async () => {
  const client = await pair.cluster.connect();
  await pair.cluster.query('CREATE TABLE wanders (k bigint PRIMARY KEY); INSERT INTO wanders SELECT generate_series(1, 20)');
  await client.query('PREPARE w AS SELECT count(*)::int FROM wanders WHERE k > $1');
  expect((await client.query('EXECUTE w (5)')).rows).toEqual([{ count: 15 }]);
  await pair.cluster.createDistributedTable('wanders', 'k', { shardCount: 4 });
  expect((await client.query('EXECUTE w (5)')).rows).toEqual([{ count: 15 }]);
  client.release(true);
});

test('streams', async () => {
  const client = await pair.cluster.connect();
  const { default: QueryStream } = await import('pg-query-stream');
  await client.query(one);
  const rows: unknown[] = [];
  for await (const row of client.query(new QueryStream('EXECUTE one (4)'))) rows.push(row);
  expect(rows).toHaveLength(5);
  client.release(true);
});

test('refused: where nobody could execute it, and as the rows of a table', async () => {
  await expect(pair.cluster.query(one)).rejects.toMatchObject({ code: '0A000', id: 'unsupportedQuery', hint: expect.stringMatching(/connect/) });
  const client = await pair.cluster.connect();
  await client.query(one);
  await expect(client.query('CREATE TABLE t AS EXECUTE one (1)')).rejects.toMatchObject({ code: '0A000', id: 'unsupportedQuery' });
  client.release(true);
});
