import * as fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { walk } from '../../src/sql/ast.ts';
import { loadGrammar, parseOne, parseStatements } from '../../src/sql/parse.ts';
import { scanTokens, tokenAt } from '../../src/sql/scan.ts';

beforeAll(() => loadGrammar());

const text = fc.string({ unit: fc.constantFrom('a', 'é', '漢', '😀', '"', "'", '$', '/', '*', '-', ' ', ';', '\\') , maxLength: 8 });
const literal = text.map((value) => `'${value.replaceAll("'", "''")}'`);
const comment = text.map((value) => `/* ${value.replaceAll('/', ' ')} */`);

test('tokens lie where they stand, whatever characters come before', () => {
  fc.assert(fc.property(fc.array(fc.tuple(literal, comment), { minLength: 1, maxLength: 6 }), (items) => {
    const sql = `SELECT ${items.map(([value, before]) => `${before}${value}`).join(' , ')}`;
    const tokens = scanTokens(sql);
    expect(tokens.filter((token) => token.text.startsWith("'")).map((token) => token.text)).toEqual(items.map(([value]) => value));
    for (const token of tokens) expect(sql.slice(token.start, token.end)).toBe(token.text);
    expect(tokens.every((token, i) => tokenAt(tokens, token.start) === i)).toBe(true);
  }), { numRuns: 1000 });
});

test('the parser\'s locations are those of the tokens', () => {
  fc.assert(fc.property(fc.array(fc.tuple(literal, comment), { minLength: 1, maxLength: 6 }), (items) => {
    const statement = parseOne(`SELECT ${items.map(([value, before]) => `${before}${value}`).join(', ')}`);
    const found: string[] = [];
    walk(statement.node, (kind, body) => {
      if (kind !== 'A_Const' || !('location' in body)) return undefined;
      const start = statement.source.index(Number(body.location));
      const [token] = scanTokens(statement.text.slice(start));
      found.push(token?.text ?? '');
      return undefined;
    });
    expect(found).toEqual(items.map(([value]) => value));
  }), { numRuns: 500 });
});

test('a text of several statements is cut at the right characters', () => {
  fc.assert(fc.property(fc.array(fc.tuple(literal, comment), { minLength: 2, maxLength: 5 }), (items) => {
    const parts = items.map(([value, before]) => `SELECT ${before} ${value}`);
    expect(parseStatements(parts.join(' ; ')).map((statement) => statement.text)).toEqual(parts);
  }), { numRuns: 500 });
});

test('a syntax error\'s position counts characters', () => {
  expect(() => parseOne(`SELECT '😀ä' FROM FROM`)).toThrow(expect.objectContaining({ code: '42601', position: '18' }));
});

test('the tokens of a long text are remembered while others are scanned', () => {
  const long = `SELECT ${'1 + '.repeat(40_000)}1`;
  const tokens = scanTokens(long);
  for (const other of ['SELECT 1', 'SELECT 2']) scanTokens(other);
  expect(scanTokens(long)).toBe(tokens);
});
