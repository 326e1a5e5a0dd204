import { afterAll, beforeAll, expect, test } from 'vitest';
import { type StagedCluster, startStaged } from './start-staged.ts';

let pair: StagedCluster;
beforeAll(async () => {
  pair = await startStaged();
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

/** Results of 0, 1, 20, 21 and thousands of rows; each of the outer ones is read by shards, by one node, or by the coordinator database. */
const queries = [0, 1, 20, 21, 3_000].flatMap((rows) => [
  `SELECT o.tenant_id, o.id FROM orders o WHERE o.id IN (SELECT id FROM orders ORDER BY id, tenant_id LIMIT ${rows})`,
  `SELECT c.code, s.id FROM countries c LEFT JOIN (SELECT id, total FROM orders ORDER BY id, tenant_id LIMIT ${rows}) s ON s.total > 1900`,
  `SELECT n.body, s.total FROM notes n JOIN (SELECT id % 3 AS third, total FROM orders ORDER BY id, tenant_id LIMIT ${rows}) s ON s.third = n.id`,
  `SELECT count(*), count(DISTINCT s.mood) FROM items i JOIN (SELECT * FROM orders ORDER BY id, tenant_id LIMIT ${rows}) s ON s.id = i.order_id AND i.name = 'item ' || s.id % 2`,
]);

/** Samples of all rows or none, which are moved; the last ones where they stand. */
const samples = [
  `(SELECT id, tenant_id::text FROM orders TABLESAMPLE BERNOULLI (100) REPEATABLE (0.5)) EXCEPT ALL SELECT order_id, name FROM items`,
  'SELECT count(*) FROM orders "T ü" TABLESAMPLE SYSTEM (100) JOIN items i ON i.order_id = "T ü".id AND "T ü".total > 20',
  'SELECT n.body, o.i FROM notes n JOIN orders AS o (t, i, total) TABLESAMPLE BERNOULLI (0) ON o.i = n.id',
  'SELECT c.code, count(*) FROM countries c TABLESAMPLE BERNOULLI (100), orders o WHERE o.id < 3 GROUP BY 1',
  'SELECT n.body, c.name FROM notes n, countries * c TABLESAMPLE SYSTEM (100) LEFT JOIN orders o ON false',
];

test.each([...queries, ...samples])('%s', async (sql) => {
  const expected = await pair.plain.query(sql);
  const outside = await pair.cluster.query(sql);
  expect(sorted(outside.rows)).toEqual(sorted(expected.rows));
  const client = await pair.cluster.connect();
  try {
    await client.query('BEGIN');
    expect(sorted((await client.query(sql)).rows)).toEqual(sorted(expected.rows));
    await client.query(`UPDATE orders SET note = 'kept' WHERE tenant_id IN (1, 2, 3, 4) AND id = 1`);
    // Nothing that was read keeps it from being prepared.
    await client.query('COMMIT');
  } finally {
    client.release();
  }
  expect(await pair.remains()).toEqual([]);
});

test('each result has the limit, and is named when it exceeds it', async () => {
  const cluster = pair.another({ maxIntermediateBytes: 2_000 });
  const tooLarge = { id: 'resultTooLarge', code: '54000', detail: expect.stringContaining('2000 bytes, which is maxIntermediateBytes') };
  const join = 'SELECT count(*) FROM orders a JOIN orders b ON a.total = b.id';
  await expect(cluster.query(join)).rejects.toMatchObject({ ...tooLarge, message: 'intermediate result "orders" is too large' });
  const inQuery = 'SELECT count(*) FROM orders WHERE id IN (SELECT id FROM orders ORDER BY id OFFSET 3)';
  await expect(cluster.query(inQuery)).rejects.toMatchObject({ ...tooLarge, message: 'intermediate result "subquery" is too large' });
  const last = 'SELECT rank() OVER (ORDER BY total, id), id FROM orders';
  await expect(cluster.query(last)).rejects.toMatchObject({ ...tooLarge, message: 'intermediate result "rows for the last step" is too large' });
  const few = 'SELECT count(*) FROM orders WHERE id IN (SELECT id FROM orders ORDER BY id LIMIT 20)';
  expect((await cluster.query(few)).rows).toEqual((await pair.plain.query(few)).rows);
  const client = await cluster.connect();
  await client.query('BEGIN');
  await expect(client.query(join)).rejects.toMatchObject(tooLarge);
  await client.query('ROLLBACK');
  client.release();
  expect(await pair.remains()).toEqual([]);
});

test('rows placed by hash are where the rows are that they join', async () => {
  const sql = 'SELECT a.id, b.tenant_id, count(*) FROM orders a JOIN orders b ON b.tenant_id = a.id AND b.id > 100 GROUP BY 1, 2';
  const explained = await pair.cluster.explain(sql);
  expect(explained.text).toContain('nodes by hash of');
  expect(sorted((await pair.cluster.query(sql)).rows)).toEqual(sorted((await pair.plain.query(sql)).rows));
});

function sorted(rows: readonly unknown[]): string[] {
  return rows.map((row) => JSON.stringify(row)).toSorted();
}

test('how much is sampled may depend on rows, but not in a transaction block', async () => {
  const sql = 'SELECT v.share, (SELECT count(*)::int FROM (SELECT 1 FROM orders TABLESAMPLE BERNOULLI (v.share)) s) AS n FROM (VALUES (0), (100)) v (share) ORDER BY 1';
  expect((await pair.cluster.query(sql)).rows).toEqual((await pair.plain.query(sql)).rows.map(({ share, n }) => ({ share, n })));
  const client = await pair.cluster.connect();
  await client.query('BEGIN');
  await expect(client.query(sql)).rejects.toMatchObject({ id: 'unsupportedQuery', hint: 'Run the query outside the transaction block.' });
  await client.query('ROLLBACK');
  client.release();
  expect(await pair.remains()).toEqual([]);
});
