import { afterAll, beforeAll, expect, test } from 'vitest';
import { type StagedCluster, startStaged } from './start-staged.ts';

let pair: StagedCluster;
beforeAll(async () => {
  pair = await startStaged();
  for (const side of [pair.cluster, pair.plain]) {
    await side.query('CREATE TABLE keys (id int, k bigint, name text); CREATE TABLE sold (id int, k int, other int, qty int); CREATE INDEX ON sold (k); CREATE INDEX ON sold (qty, other)');
  }
  for (const table of ['keys', 'sold']) await pair.cluster.createDistributedTable(table, 'id', { shardCount: 4, colocateWith: 'none' });
  for (const side of [pair.cluster, pair.plain]) {
    await side.query(`INSERT INTO keys VALUES ${Array.from({ length: 300 }, (_, i) => `(${i}, ${i % 60 === 0 ? 'NULL' : String(i)}, 'n${i % 50}')`).join(', ')}`);
    await side.query(`INSERT INTO sold VALUES ${Array.from({ length: 3_000 }, (_, i) => `(${i}, ${i % 7 === 0 ? 'NULL' : String(i % 400)}, ${i % 400}, ${i % 9})`).join(', ')}`);
  }
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

/** Believes that all rows of a table are very many, and those that a condition leaves very few. */
function few(estimate: { readonly rows: number; readonly width: number }): { readonly rows: number; readonly width: number } {
  return { ...estimate, rows: estimate.rows < 150 ? 5 : 1_000_000 };
}

test.each([
  ['a column that an index begins with', 'k', '= ANY (ARRAY(SELECT'],
  ['a column that an index has behind another', 'other', 'IN (SELECT'],
])('rows are found by a few keys of %s', async (_, column, form) => {
  const cluster = pair.another({ tuning: { adjustEstimate: few } });
  const sql = `SELECT id, name FROM keys WHERE k IN (SELECT k FROM keys WHERE name LIKE 'n1%') AND id > (SELECT sum(s.qty) FROM sold s WHERE s.${column} = keys.k) ORDER BY id`;
  const expected = await pair.plain.query(sql);
  const { text } = await cluster.explain(sql);
  expect(text).toContain(form);
  expect((await cluster.query(sql)).rows).toEqual(expected.rows);
  expect(expected.rows.length).toBeGreaterThan(10);
});
