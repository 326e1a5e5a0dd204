import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { present } from '../../src/base/assert.ts';
import { type BothSides, openBothSides } from './both-sides.ts';

let open: BothSides | undefined;
beforeAll(async () => {
  open = await openBothSides();
});
afterAll(() => open?.[Symbol.asyncDispose]());

type Case = readonly [sql: string, ...values: unknown[]];

/** Statements that once gave a wrong row, or an error where PostgreSQL gives none, and their neighbours: now exact. */
const exact: readonly Case[] = [
  ['WITH RECURSIVE x AS (SELECT k FROM b), b AS (SELECT 1 AS k) SELECT count(*) FROM x'],
  ['WITH RECURSIVE w AS (SELECT k, id FROM a WHERE k = 3 UNION SELECT b.k, b.id FROM w JOIN b ON b.k = 3 AND b.id = w.id + 7) SELECT * FROM w'],
  ['SELECT count(*) FROM ch JOIN tx USING (k) WHERE ch.k = \'a  \' AND tx.k = \'a\''],
  ['SELECT count(*) FROM tx WHERE v <> $1::int AND k = $1::text', '01'],
  ['SELECT count(*) FROM tx WHERE k = $1::text AND v <> $1::int', '01'],
  ['SELECT sum(x + $1::int), $1 || \'\' FROM a', '01'],
  ['SELECT x + $1::int, $1 || \'\' || count(*) FROM a GROUP BY x + $1::int', '01'],
  ['SELECT $1::int, $1 || \'\' FROM a GROUP BY x HAVING max(s || $1) > \'s\'', '01'],
  ['SELECT coalesce(sum(x), 0) + 1 FROM a WHERE id < 0'],
  ['SELECT sum(x) + $2 FROM a WHERE id > $1', '3', 5],
  ['SELECT x, id FROM a ORDER BY id LIMIT $1 OFFSET $2', '9223372036854775807', 2],
  ['SELECT x AS q, count(*) FROM a GROUP BY ROLLUP (q)'],
  ['SELECT x AS q, s, count(*) FROM a GROUP BY GROUPING SETS ((q, 2), ())'],
  ['SELECT r.*, count(*) FROM a JOIN r ON r.id = a.x GROUP BY r.id'],
  ['SELECT upper(r.name), count(*) FROM a JOIN r ON r.id = a.x GROUP BY r.id, a.k + 1'],
  ['SELECT x, total(id) + 1 FROM a GROUP BY x'],
  ['SELECT other.sum(x), pg_catalog.sum(x) FROM a'],
  ['INSERT INTO tx (v, k) VALUES (1, true) RETURNING *'],
  ['INSERT INTO tx (v, k) VALUES (1, \'a\'::char(5)), (2, 07.50) RETURNING *'],
  ['INSERT INTO tx (v, k) VALUES ($1::int, $1) RETURNING *', '007'],
  ['INSERT INTO tx (v, k) VALUES ($1::int, $1 || \'x\') RETURNING *', '007'],
  ['INSERT INTO tx (v, k) VALUES ($1::int, \'c\'), (1, $1), (1, $1 || \'\') RETURNING *', '007'],
  ['INSERT INTO a (k, id, s) VALUES (1, $1::int, \'c\'), (2, 1000, $1), (3, 1000, $1), (4, 1000, $1), (5, 1000, $1) RETURNING *', '0070'],
  ['INSERT INTO a (id, k) VALUES (1000, 3.6), (1001, \'4\'), (1002, 2.5::float8), (1003, 10/4) RETURNING k, id'],
  ['INSERT INTO a (k, id) VALUES ($1::numeric, 901) RETURNING k', '3.6'],
  ['INSERT INTO a (k, id) VALUES (1 > 0, 901)'],
  ['INSERT INTO public.a (k, id) VALUES (3, 3), (4, 4) ON CONFLICT (k, id) DO UPDATE SET s = public.a.s RETURNING public.a.k'],
  ['SELECT count(*) FROM b AS j WHERE EXISTS (SELECT 1 FROM a JOIN other.a oa USING (k) AS j WHERE j.k = 3 AND a.k = 3)'],
  ['WITH RECURSIVE w AS (SELECT k, id FROM a WHERE id < 10 UNION SELECT b.k, b.id FROM w JOIN b ON b.id = w.id + 1) SELECT * FROM w'],
  ['SELECT count(*) FROM a NATURAL RIGHT JOIN json_to_recordset(\'[{"k":3},{"k":77}]\') AS j(k bigint) WHERE k > 2'],
  ['SELECT count(*) FROM a JOIN r TABLESAMPLE BERNOULLI (100) ON r.id = a.k'],
  ['SELECT count(*) FROM a, (SELECT * FROM r ORDER BY id OFFSET 3) z WHERE z.id = a.k'],
  ['SELECT count(DISTINCT a) FROM a'],
  ['SELECT k, id FROM a ORDER BY (x, id), k'],
  ['SELECT x, id FROM a ORDER BY id LIMIT $1::numeric', '4.5'],
  ['WITH q AS (INSERT INTO loc SELECT k, id FROM a RETURNING *) SELECT count(*) FROM q'],
  // Equal without being the same: a hash of the one says nothing of the other.
  ['SELECT tx.v, ci.v FROM tx JOIN ci ON tx.k = ci.t'],
  ['SELECT tx.v, ci.v FROM tx LEFT JOIN ci ON tx.k = ci.t AND ci.t = $1', 'B'],
  ['SELECT tx.v FROM tx JOIN ci ON tx.k = ci.t WHERE ci.t = \'A\''],
  ['SELECT tx.v FROM tx JOIN ci ON tx.k = ci.t WHERE ci.t IN (\'B\')'],
  ['SELECT tx.v FROM tx JOIN ci ON tx.k = ci.t WHERE ci.t = ANY ($1)', '{B,c}'],
  ['SELECT tx.v FROM tx JOIN (SELECT t FROM ci ORDER BY v LIMIT 4) s ON tx.k = s.t WHERE s.t = \'A\''],
  ['SELECT tx.v FROM tx JOIN (SELECT t FROM ci ORDER BY v LIMIT 4) s ON tx.k = s.t WHERE s.t = \'B\''],
  ['SELECT tx.v FROM tx JOIN (SELECT t FROM ci ORDER BY v LIMIT 4) s ON tx.k = s.t WHERE s.t = \'C\''],
  ['SELECT tx.v FROM tx JOIN ci ON tx.k = ci.t JOIN tx AS other ON other.k = ci.t'],
  ['SELECT v FROM tx WHERE k IN (SELECT t FROM ci WHERE t = \'B\')'],
  ['SELECT v FROM tx WHERE EXISTS (SELECT FROM ci WHERE ci.t = tx.k AND ci.t = \'C\')'],
  ['SELECT tx.k, count(*) FROM tx JOIN ci ON tx.k = ci.t GROUP BY t, tx.k HAVING t = \'B\''],
  ['INSERT INTO tx SELECT t, v FROM ci WHERE k = \'k2\' AND t = \'b\' RETURNING *'],
  ['UPDATE tx SET v = 0 FROM ci WHERE tx.k = ci.t AND ci.t = \'B\' RETURNING tx.k'],
  ['MERGE INTO tx USING (SELECT t, count(*) AS n FROM ci GROUP BY t) s ON tx.k = s.t WHEN MATCHED THEN UPDATE SET v = tx.v + n'],
  ['DELETE FROM tx USING ci WHERE tx.k = ci.t AND ci.t = \'B\' RETURNING tx.k, tx.v'],
];

/** Statements that once gave a wrong row and have no exact plan: refused. */
const refused: readonly Case[] = [
  ['SELECT count(*) FROM other.a WHERE EXISTS (SELECT 1 FROM public.a WHERE public.a.k = other.a.k AND public.a.k = 3)'],
  ['SELECT count(*) FROM public.a WHERE EXISTS (SELECT 1 FROM b AS a WHERE a.k = public.a.k AND a.id = public.a.id)'],
  ['WITH q AS (INSERT INTO loc SELECT k, id FROM a RETURNING *) UPDATE loc SET k = 1'],
  ['SELECT k FROM loc TABLESAMPLE BERNOULLI ((SELECT count(*) + 40 FROM a))'],
  ['VALUES (1), (2) LIMIT (SELECT count(*) FROM a)'],
  ['INSERT INTO a (k, id, x) (VALUES (3, 900, 5), (4, 901, 6))'],
  ['MERGE INTO r USING (VALUES (1)) v (k) ON r.id = v.k WHEN MATCHED THEN UPDATE SET name = random()::text'],
  ['MERGE INTO tx USING (SELECT t, count(*) AS n FROM ci GROUP BY t) s ON tx.k = s.t WHEN NOT MATCHED THEN INSERT VALUES (s.t, s.n)'],
];

function named([sql, ...values]: Case): { readonly sql: string; readonly values: readonly unknown[] } {
  return { sql, values };
}

describe('exact', () => {
  test.each(exact.map(named))('$sql', async ({ sql, values }) => {
    const { plain, cluster } = await present(open).run([sql], values);
    expect(cluster).toEqual(plain);
  });
});

describe('refused', () => {
  test.each(refused.map(named))('$sql', async ({ sql, values }) => {
    const { cluster } = await present(open).run([sql], values);
    expect(cluster.error).toBe('refused');
  });
});

describe('names on the search path', () => {
  test('a local table that hides a distributed one is seen', async () => {
    const { plain, cluster } = await present(open).run(['CREATE TABLE early.b (k int)', 'SET LOCAL search_path = early, public', 'SELECT count(*) FROM b'], []);
    expect(plain.rows).toEqual(['["0"]']);
    expect(cluster.error).toBe('refused');
  });

  test('a temporary table may not bear the name of a distributed one', async () => {
    const { cluster } = await present(open).run(['SET LOCAL search_path = early', 'CREATE TEMPORARY TABLE a (k int)'], []);
    expect(cluster.error).toBe('refused');
    const { cluster: other } = await present(open).run(['CREATE TEMPORARY TABLE mine (k int)', 'SELECT count(*) FROM mine'], []);
    expect(other.rows).toEqual(['["0"]']);
  });

  test('functions before PostgreSQL\'s own are not taken for them', async () => {
    const { cluster } = await present(open).run(['SET LOCAL search_path = public, other, pg_catalog', 'SELECT sum(x) FROM a'], []);
    expect(cluster.error).toBe('refused');
  });

  test('a schema in front that does not have the name is harmless', async () => {
    const { plain, cluster } = await present(open).run(['SET LOCAL search_path = early, public', 'SELECT count(*) FROM b'], []);
    expect(cluster).toEqual(plain);
  });
});
