import { beforeAll, describe, expect, test } from 'vitest';
import { sameTree } from '../../src/sql/ast.ts';
import { deparseChecked } from '../../src/sql/deparse.ts';
import { loadGrammar, parseOne } from '../../src/sql/parse.ts';

beforeAll(() => loadGrammar());

describe('what the deparser would change is refused', () => {
  test.each([
    'SELECT a FROM t ORDER BY a FETCH FIRST 3 ROWS WITH TIES',
    'SELECT a FROM t GROUP BY DISTINCT ROLLUP (a), ROLLUP (b)',
    'SELECT (ARRAY[1, 2])[1] FROM t',
    "SELECT json_value(a, '$.x') FROM t",
    "SELECT * FROM json_table('[]', '$[*]' COLUMNS (k int PATH '$.k')) j",
  ])('%s', (sql) => {
    expect(deparseChecked(parseOne(sql).node)).toBeUndefined();
  });
});

describe('what comes back is the same statement', () => {
  test.each([
    'SELECT "Ünï"."select", a.*, $1::int8 FROM "Odd ""Schema"".x" AS "Ünï" (k), LATERAL (SELECT 1) q WHERE NOT (a OR b) AND c IS DISTINCT FROM d',
    "SELECT DISTINCT ON (a) a, count(*) FILTER (WHERE b > 'x''y\\') OVER (PARTITION BY c ORDER BY d DESC NULLS LAST ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
    'SELECT a FROM t GROUP BY GROUPING SETS ((a, b), (), ROLLUP (c)) HAVING max(a) > 1 ORDER BY 1 USING > LIMIT 3 OFFSET $2',
    'WITH RECURSIVE w (n) AS MATERIALIZED (SELECT 1 UNION ALL SELECT n + 1 FROM w) SELECT n COLLATE "C" FROM w FULL JOIN t USING (k) AS j',
    'SELECT (a).b[1:2], ROW(1, 2), (SELECT 1), x IN (1, 2), y = ANY ($1), CASE a WHEN 1 THEN 2 ELSE 3 END, - (-1), a -> \'b\' FROM t TABLESAMPLE BERNOULLI (5) REPEATABLE (1)',
    "SELECT interval '1' day, timestamp with time zone 'now', numeric(10, 2) '1.5', b'101', x'1F', 1e10, 0.10, U&'\\00E4', E'\\n', a AT TIME ZONE 'UTC', extract(year FROM d) FROM t",
  ])('%s', (sql) => {
    const { node } = parseOne(sql);
    const made = deparseChecked(node);
    expect(made).toBeDefined();
    expect(sameTree(parseOne(made?.text ?? '').node, node)).toBe(true);
  });
});
