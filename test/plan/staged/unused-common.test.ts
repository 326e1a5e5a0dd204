import { expect, test } from 'vitest';
import { withoutUnusedCommon } from '../../../src/plan/staged/unused-common.ts';
import { parseOne } from '../../../src/sql/parse.ts';

const without = (sql: string): string => withoutUnusedCommon(parseOne(sql)).text;

test('common table expressions that nothing reads are left out', () => {
  expect(without('WITH a AS (SELECT 1), b AS (SELECT 2) SELECT * FROM b')).toBe('WITH b AS (SELECT 2) SELECT * FROM b');
  expect(without('WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM t')).toBe(' SELECT * FROM t');
  expect(without('WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM b')).toBe('WITH a AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM b');
  expect(without('WITH a AS (DELETE FROM t), b AS (SELECT 1) SELECT 2')).toBe('WITH a AS (DELETE FROM t) SELECT 2');
});

test('a name means the nearest WITH that defines it', () => {
  expect(without('WITH a AS (SELECT 1) SELECT * FROM (WITH a AS (SELECT 2) SELECT * FROM a) s')).toBe(' SELECT * FROM (WITH a AS (SELECT 2) SELECT * FROM a) s');
  expect(without('WITH a AS (SELECT 1), b AS (WITH a AS (SELECT 2) SELECT * FROM a) SELECT * FROM b')).toBe('WITH b AS (WITH a AS (SELECT 2) SELECT * FROM a) SELECT * FROM b');
  const within = 'WITH a AS (SELECT 1) SELECT * FROM (WITH a AS (SELECT * FROM a) SELECT * FROM a) s';
  expect(without(within)).toBe(within);
  const beside = 'WITH a AS (SELECT 1) SELECT * FROM (WITH a AS (SELECT 2) SELECT * FROM a) s, a';
  expect(without(beside)).toBe(beside);
});

test('without RECURSIVE a name does not mean itself or one behind it', () => {
  expect(without('WITH b AS (SELECT * FROM a), a AS (SELECT 1) SELECT * FROM b')).toBe('WITH b AS (SELECT * FROM a) SELECT * FROM b');
  const nested = 'WITH a AS (SELECT 1) SELECT * FROM (WITH b AS (SELECT * FROM a), a AS (SELECT 2) SELECT * FROM b, a) s';
  expect(without(nested)).toBe(nested);
  const recursive = 'WITH RECURSIVE b AS (SELECT * FROM a), a AS (SELECT 1) SELECT * FROM b';
  expect(without(recursive)).toBe(recursive);
  expect(without('WITH a AS (SELECT 1) SELECT * FROM (WITH RECURSIVE b AS (SELECT * FROM a), a AS (SELECT 2) SELECT * FROM b) s'))
    .toBe(' SELECT * FROM (WITH RECURSIVE b AS (SELECT * FROM a), a AS (SELECT 2) SELECT * FROM b) s');
});

const counting = '(n, m) AS (SELECT 1, 2 UNION ALL SELECT n + 1, m FROM r WHERE n < 3)';
const ends = ['SEARCH DEPTH FIRST BY n SET o', 'SEARCH BREADTH FIRST BY n, m SET set', 'CYCLE n, m SET o USING p', `CYCLE n SET o TO 'yes' DEFAULT 'no' USING p`, 'SEARCH DEPTH FIRST BY n SET o CYCLE n SET q USING p'];

test.each(ends)('recursive ones that end with %s', (end) => {
  expect(without(`WITH RECURSIVE r${counting} ${end} SELECT 1`)).toBe(' SELECT 1');
  expect(without(`WITH RECURSIVE r${counting} ${end}, a AS (SELECT 1) SELECT * FROM a`)).toBe('WITH RECURSIVE a AS (SELECT 1) SELECT * FROM a');
  expect(without(`WITH RECURSIVE a AS (SELECT 1), r${counting} ${end} SELECT * FROM r`)).toBe(`WITH RECURSIVE r${counting} ${end} SELECT * FROM r`);
});
