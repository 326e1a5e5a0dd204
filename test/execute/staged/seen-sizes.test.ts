import { afterAll, beforeAll, expect, test } from 'vitest';
import { type StagedCluster, startStaged } from './start-staged.ts';

let pair: StagedCluster;
beforeAll(async () => {
  pair = await startStaged();
  for (const side of [pair.cluster, pair.plain]) {
    await side.query('CREATE TABLE large (k int, v int, filling text)');
    await side.query('CREATE TABLE small (k int, w int)');
  }
  await pair.cluster.createDistributedTable('large', 'k', { shardCount: 4, colocateWith: 'none' });
  await pair.cluster.createDistributedTable('small', 'k', { shardCount: 4, colocateWith: 'none' });
  for (const side of [pair.cluster, pair.plain]) {
    await side.query(`INSERT INTO large VALUES ${Array.from({ length: 12_000 }, (_, i) => `(${i}, ${i % 500}, '${'x'.repeat(200)}')`).join(', ')}`);
    await side.query(`INSERT INTO small VALUES ${Array.from({ length: 500 }, (_, i) => `(${i}, ${i})`).join(', ')}`);
  }
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

test.each([
  ['a table', 'SELECT count(*), max(length(l.filling)) FROM large l JOIN small s ON s.w = l.v', 'Of: large', 'Of: small'],
  ['a table, by a parameter', 'SELECT count(*), max(length(l.filling)) FROM large l JOIN small s ON s.w = l.v WHERE l.v >= $1', 'Of: large', 'Of: small'],
])('%s that turns out large is put elsewhere the next time', async (_, sql, wrong, right) => {
  // Believes that the large table has no rows to speak of.
  const cluster = pair.another({ tuning: { adjustEstimate: ({ rows, width }) => (width > 10 ? { rows: 0, width } : { rows: rows + 2_000, width }) } });
  const values = sql.includes('$1') ? [0] : [];
  const expected = await pair.plain.query(sql, values);
  expect((await cluster.explain(sql, values)).text).toContain(wrong);
  expect((await cluster.query(sql, values)).rows).toEqual(expected.rows);
  const after = (await cluster.explain(sql, values)).text;
  expect(after).toContain(right);
  expect(after).not.toContain(wrong);
  expect((await cluster.query(sql, values)).rows).toEqual(expected.rows);
  // A plan by what was seen stays.
  expect((await cluster.explain(sql, values)).text).toBe(after);
});

test('a query that turns out large', async () => {
  const cluster = pair.another();
  const sql = 'SELECT count(*) FROM (SELECT max(filling) AS f, k FROM large GROUP BY k % 100000, k) q JOIN orders o ON o.id = q.k';
  const expected = await pair.plain.query(sql);
  const plans = [];
  for (let i = 0; i < 3; i += 1) {
    plans.push((await cluster.explain(sql)).text);
    expect((await cluster.query(sql)).rows).toEqual(expected.rows);
  }
  expect(plans[2]).toBe(plans[1]);
});

test('what is believed and true is left alone', async () => {
  const sql = 'SELECT count(*), max(length(l.filling)) FROM large l JOIN small s ON s.w = l.v';
  const before = (await pair.cluster.explain(sql)).text;
  expect(before).toContain('Of: small');
  await pair.cluster.query(sql);
  expect((await pair.cluster.explain(sql)).text).toBe(before);
});
