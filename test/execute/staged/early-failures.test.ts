import type { ClientBase, Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type StagedCluster, startStaged } from './start-staged.ts';

let pair: StagedCluster;
beforeAll(async () => {
  pair = await startStaged();
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

/** Parts that fail where they are run first, and that one PostgreSQL does not come to. */
const unreached = [
  'SELECT id FROM orders WHERE tenant_id = -1 AND total = (SELECT total FROM items i JOIN orders o ON i.order_id = o.id)',
  'SELECT id FROM orders WHERE tenant_id < -1 AND total = (SELECT total FROM orders)',
  'SELECT a.id FROM orders a WHERE a.tenant_id < 0 AND EXISTS (SELECT FROM orders b WHERE b.id = a.id AND 1 / (b.tenant_id - b.tenant_id) = 1)',
  'SELECT count(*) FROM orders a LEFT JOIN LATERAL (SELECT 1 / (i.line - i.line) AS x FROM items i WHERE i.order_id = a.id) s ON false',
  `SELECT CASE WHEN count(*) > 0 THEN 1 ELSE (SELECT name FROM items)::int END FROM orders`,
  'WITH c AS (SELECT 1 / (id - id) AS x FROM orders) SELECT (SELECT max(x) FROM c WHERE o.id = x) FROM orders o WHERE o.tenant_id < -5',
];
/** Parts that fail in any case. */
const reached = [
  'SELECT id FROM orders WHERE total = (SELECT total FROM orders)',
  'SELECT count(*) FROM orders a JOIN (SELECT 1 / (line - line) AS x FROM items) s ON s.x = a.id',
  `SELECT (SELECT name FROM items ORDER BY name LIMIT 1)::int FROM orders`,
  `SELECT id FROM orders WHERE id > (SELECT max(name)::int FROM items)`,
];

async function outcomeOf(client: Pick<Pool | ClientBase, 'query'>, sql: string): Promise<unknown> {
  try {
    const { rows } = await client.query({ text: sql, rowMode: 'array' });
    return rows.map((row) => JSON.stringify(row)).toSorted();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}

describe.each([['not come to', unreached], ['come to', reached]])('failures that one PostgreSQL does %s', (_, queries) => {
  test.each(queries)('%s', async (sql) => {
    const expected = await outcomeOf(pair.plain, sql);
    expect(Array.isArray(expected)).toBe(queries === unreached);
    expect(await outcomeOf(pair.cluster as never, sql)).toEqual(expected);
    expect(await pair.remains()).toEqual([]);
  });
});

test('in a transaction block, which goes on', async () => {
  const client = await pair.cluster.connect();
  try {
    await client.query('BEGIN');
    await client.query('SAVEPOINT shardwright_part');
    await client.query(`UPDATE orders SET note = 'changed here' WHERE tenant_id = 3 AND id = 1`);
    // Of those with a join, the server's planner decides what it comes to.
    for (const sql of unreached.filter((text) => !/EXISTS|JOIN LATERAL/.test(text))) expect(await outcomeOf(client as never, sql), sql).toEqual(await outcomeOf(pair.plain, sql));
    // Servers that join later repeat nothing of it, and the savepoint of the same name is the user's again.
    await client.query(`UPDATE orders SET note = 'and here' WHERE tenant_id IN (1, 2, 3, 4, 5, 6)`);
    expect((await client.query(`SELECT count(*)::int AS n FROM orders WHERE note = 'and here'`)).rows).toEqual([{ n: (await pair.plain.query('SELECT FROM orders WHERE tenant_id < 7 AND tenant_id > 0')).rowCount }]);
    await client.query('ROLLBACK TO shardwright_part');
    expect((await client.query(`SELECT FROM orders WHERE note IN ('and here', 'changed here')`)).rowCount).toBe(0);
    expect(await outcomeOf(client as never, reached[0] ?? '')).toBe('21000');
    await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
    await client.query('ROLLBACK TO shardwright_part');
    expect(await outcomeOf(client as never, unreached[0] ?? '')).toEqual([]);
    await client.query('COMMIT');
  } finally {
    client.release();
  }
  expect(await pair.remains()).toEqual([]);
});

test('streamed, copied, and read through a cursor', async () => {
  const [sql = ''] = unreached;
  const streamed = [];
  for await (const row of pair.cluster.stream(sql)) streamed.push(row);
  expect(streamed).toEqual([]);
  expect(await pair.cluster.copyTo(`COPY (${sql}) TO STDOUT`).toArray()).toEqual([]);
  const client = await pair.cluster.connect();
  await client.query('BEGIN');
  await client.query(`DECLARE c CURSOR FOR ${sql}`);
  expect((await client.query('FETCH ALL FROM c')).rows).toEqual([]);
  await client.query('COMMIT');
  client.release();
});

test('tables too large to be asked for again leave the first error', async () => {
  const cluster = pair.another({ maxIntermediateBytes: 5_000 });
  expect(await outcomeOf(cluster as never, 'SELECT id FROM orders WHERE tenant_id < -1 AND total = (SELECT 1 / (line - line) FROM items)')).toBe('22012');
  expect(await pair.remains()).toEqual([]);
});
