import * as fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { literalShape } from '../../src/sql/literal-shape.ts';
import { loadGrammar, parseStatements } from '../../src/sql/parse.ts';
import { scanTokens } from '../../src/sql/scan.ts';

beforeAll(() => loadGrammar());

/** What texts are made of, and what could be taken for something else in them. */
const pieces = [
  'a', 'e', 'n', 'u&', 'U&', 'x', 'select', '"', '"a"', '""', `'`, `''`, `'a'`, `'it''s'`, `'é'`, 'é', '1', '23', '007', '2147483647', '2147483648', '9223372036854775807', '9223372036854775808', '1.5', '.5', '1.', '1e5', '0x1f', '1_000', '.', '$', '$1',
  '$$', '-', '--', '/', '*', '/*', '*/', '+', '=', '<', '>', '@', '!', '|', ':', '::', ',', '(', ')', '[', ']', ';', ' ', '\n', '\t', '\\', '\\n', '_', '%', '&', '?', '#', '~', '^', '\v', '\u00a0',
];

test('the literals of a text are tokens of PostgreSQL\'s scanner, all numbers and strings of them', () => {
  fc.assert(fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 12 }), (parts) => {
    const text = parts.join('');
    const shape = literalShape(text);
    if (shape === undefined) return;
    const theirs = scanned(text);
    if (theirs === undefined) return;
    const literals = theirs.filter((token) => /^['\d]/.test(token.text));
    expect(shape.literals.map(({ start, end }) => ({ start, end }))).toEqual(literals.map(({ start, end }) => ({ start, end })));
  }), { numRuns: 30_000 });
});

/** Undefined for what is no SQL at all. */
function scanned(text: string): ReturnType<typeof scanTokens> | undefined {
  try {
    return scanTokens(text);
  } catch {
    return undefined;
  }
}

test.each([
  [`SELECT 1`, `SELECT 2147483648`], [`SELECT 1`, `SELECT 1.0`], [`SELECT 1`, `SELECT '1'`], [`SELECT '1'`, `SELECT '1', '2'`], [`SELECT a-1`, `SELECT a- 1`],
])('%s and %s are of two shapes', (one, other) => {
  expect(literalShape(one)?.skeleton).not.toBe(literalShape(other)?.skeleton);
});

test.each([
  [`SELECT E'a'`], [`SELECT B'1'`], [`SELECT N'a'`], [`SELECT U&'a'`], [`SELECT U& 'a' FROM t WHERE x = E'\\n'`], [`SELECT 'a'\n'b'`], [`SELECT 'a\\'`], [`SELECT 1 -- one`], ['SELECT /* 1 */ 2'], ['SELECT $$1$$'], ['SELECT $1, 2'], ['SELECT 1e5'], ['SELECT .5'], ['SELECT 1.'],
  ['SELECT 0x1F'], ['SELECT 1_000'], ['SELECT 9223372036854775808'], ['SELECT a'], [''], [`SELECT 'a`],
])('%s has none', (text) => {
  expect(literalShape(text)).toBeUndefined();
});

test('what a literal says is what the grammar reads', () => {
  const text = `INSERT INTO t VALUES (1, -2147483647, 3000000000, 1.50, 'it''s', 'é "x" 5', '')`;
  const shape = literalShape(text);
  expect(shape?.literals.map(({ kind, value }) => [kind, value])).toEqual([['integer', '1'], ['integer', '2147483647'], ['bigint', '3000000000'], ['decimal', '1.50'], ['string', `it's`], ['string', 'é "x" 5'], ['string', '']]);
  const constants = [...JSON.stringify(parseStatements(text)[0]?.node).matchAll(/"sval":\{"sval":("[^}]*")\}|"fval":\{"fval":"([^"]*)"\}|"ival":\{"ival":(-?\d+)\}/g)].map(([, string, decimal, integer]) => (string === undefined ? (decimal ?? integer) : (JSON.parse(string) as string))).filter((value) => value !== '');
  expect(constants).toEqual(['1', '-2147483647', '3000000000', '1.50', `it's`, 'é "x" 5']);
});
