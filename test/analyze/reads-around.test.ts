import { beforeAll, expect, test } from 'vitest';
import { analyzeSelect } from '../../src/analyze/analyze-statement.ts';
import type { FromTree, Query } from '../../src/analyze/query-level.ts';
import { readsAround } from '../../src/analyze/reads-around.ts';
import { RelationNames } from '../../src/analyze/relation-names.ts';
import { present } from '../../src/base/assert.ts';
import { loadGrammar, parseOne } from '../../src/sql/parse.ts';
import { oddSnapshot } from '../sql/odd-snapshot.ts';

beforeAll(() => loadGrammar());

/** `orders` and `"Orders"` have the columns `k` and `"Val"`; `local` is not known. */
test.each([
  ['SELECT (SELECT max(k) FROM orders) FROM "Orders" o', false],
  ['SELECT (SELECT max(o.k) FROM orders) FROM "Orders" o', true],
  ['SELECT (SELECT o.k) FROM "Orders" o', true],
  ['SELECT (SELECT 1) FROM "Orders" o', false],
  ['SELECT k FROM "Orders" o WHERE EXISTS (SELECT FROM orders WHERE orders.k = o.k)', true],
  ['SELECT k FROM "Orders" o WHERE EXISTS (SELECT FROM orders i WHERE i.k = k)', false],
  ['SELECT k FROM "Orders" o WHERE EXISTS (SELECT FROM orders o WHERE o.k = 1)', false],
  // Only a server knows whether `local` has the column.
  ['SELECT k FROM "Orders" o WHERE EXISTS (SELECT FROM local WHERE k = 1)', true],
  ['SELECT k FROM "Orders" o WHERE EXISTS (SELECT FROM local l WHERE l.k = 1)', false],
  ['SELECT k FROM "Orders" o WHERE k IN (SELECT k FROM orders ORDER BY k)', false],
  ['SELECT k FROM "Orders" o WHERE k IN (SELECT k + 1 AS next FROM orders ORDER BY next)', false],
  ['SELECT k FROM "Orders" o WHERE k IN (SELECT k FROM orders UNION SELECT o."Val")', true],
  ['SELECT k FROM "Orders" o WHERE k IN (SELECT k FROM orders WHERE "Val" IN (SELECT k FROM orders i WHERE i.k = orders.k))', false],
  ['SELECT k FROM "Orders" o WHERE k IN (SELECT k FROM orders WHERE "Val" IN (SELECT k FROM orders i WHERE i.k = o.k))', true],
  ['SELECT k FROM "Orders" o WHERE k IN (WITH c AS (SELECT k FROM orders) SELECT k FROM c)', false],
  ['SELECT k FROM "Orders" o WHERE k IN (WITH c AS (SELECT o.k FROM orders) SELECT k FROM c)', true],
  ['SELECT k FROM "Orders" o WHERE (SELECT count(o.*) FROM orders) = 1', true],
  ['SELECT k FROM "Orders" o WHERE (SELECT count(i.*) FROM orders i) = 1', false],
  ['SELECT k FROM "Orders" o WHERE (SELECT count(o) FROM orders) = 1', true],
  ['SELECT k FROM "Orders" o WHERE k IN (SELECT x FROM generate_series(1, o.k) x)', true],
  ['SELECT k FROM "Orders" o WHERE k IN (SELECT k FROM orders i JOIN orders j USING (k))', false],
  ['SELECT k FROM "Orders" o WHERE k IN (SELECT i.k FROM orders i JOIN orders j ON j.k = o.k)', true],
  ['SELECT s.k FROM "Orders" o, LATERAL (SELECT o.k) s', true],
  ['SELECT s.k FROM "Orders" o, (SELECT k FROM orders) s', false],
  ['SELECT k FROM "Orders" o WHERE k = (SELECT x.k FROM (SELECT o.k) x)', true],
  ['SELECT k FROM "Orders" o GROUP BY k HAVING count(*) > (SELECT max(i.k) FROM orders i GROUP BY o.k)', true],
])('%s: %s', (sql, expected) => {
  const { node } = parseOne(sql);
  const { query } = analyzeSelect(present('SelectStmt' in node ? node.SelectStmt : undefined), new RelationNames(oddSnapshot(), ['public']));
  expect(readsAround(inner(query))).toBe(expected);
});

/** The first query in an expression, or else the last of the FROM list. */
function inner(query: Query): Query {
  const select = present(query.kind === 'select' ? query : undefined);
  return select.sublinks[0]?.query ?? present(queryIn(select.from));
}

function queryIn(tree: FromTree): Query | undefined {
  if (tree.kind === 'join') return queryIn(tree.right) ?? queryIn(tree.left);
  return tree.kind === 'query' ? tree.query : undefined;
}
