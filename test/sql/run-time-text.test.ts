import { beforeAll, expect, test } from 'vitest';
import { loadGrammar } from '../../src/sql/parse.ts';
import { runTimeText } from '../../src/sql/run-time-text.ts';

beforeAll(() => loadGrammar());

const told = (expression: string): unknown => {
  const made = runTimeText(expression);
  return made === undefined ? undefined : [made.statements.map(({ text }) => text), made.isWhole];
};

test.each([
  [`'SELECT 1; DROP TABLE a'`, ['SELECT 1', 'DROP TABLE a'], true],
  [`$q$SELECT 'x'$q$::text`, [`SELECT 'x'`], true],
  [`'DROP TABLE ' || 'a' || ';'`, ['DROP TABLE a'], true],
  [`'DROP TABLE ' || quote_ident('A b') || ' CASCADE'`, ['DROP TABLE "A b" CASCADE'], true],
  [`'DROP TABLE ' || name`, ['DROP TABLE stand_in'], false],
  [`'SELECT ' || quote_literal('it''s') || ', ' || quote_nullable(x)`, [`SELECT 'it''s', NULL`], false],
  [`format('SELECT %L, %s, 5 %% 2 FROM %I', 'a', 7, 'T')`, [`SELECT 'a', 7, 5 % 2 FROM "T"`], true],
  [`format('SELECT %2$I, %1$-5s FROM %I.%3$I', 'a', b, 'c')`, ['SELECT "stand_in", a FROM "stand_in"."c"'], false],
  [`pg_catalog.format('DELETE FROM %I WHERE %s', t, condition)`, ['DELETE FROM "stand_in" WHERE stand_in'], false],
] as const)('%s', (expression, statements, isWhole) => {
  expect(told(expression)).toEqual([statements, isWhole]);
});

test.each(['command', 'concat(\'SELECT \', 1, x)', 'lower(\'SELECT 1\')', 'a || b', `'no SQL'`, 'format(template, 1)', 'mine.format(\'SELECT 1\')', `(SELECT 'SELECT 1')`, ''])('nothing is told of %s', (expression) => {
  expect(told(expression)).toBeUndefined();
});
