import * as fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { walk } from '../../src/sql/ast.ts';
import { closeParameterGaps } from '../../src/sql/parameters.ts';
import { loadGrammar, parseOne } from '../../src/sql/parse.ts';

beforeAll(() => loadGrammar());

const piece = fc.oneof(
  fc.integer({ min: 1, max: 40 }).map((number) => `$${number}`),
  fc.constantFrom(`'$1'`, '"$2"', '$$ $3 $$', '$tag$ $4 $tag$', `E'\\'$5'`, '/* $6 */ 1', `'ä😀 $7'`, '-- $8\n2', `U&'\\0024 1'`, '"a$9"'),
);

test('gaps are closed, numbers in strings, names and comments stay', () => {
  fc.assert(fc.property(fc.array(piece, { minLength: 1, maxLength: 12 }), (pieces) => {
    const original = `SELECT ${pieces.join(', ')}`;
    const { text, numbers } = closeParameterGaps(original);
    const before = parametersOf(original);
    const after = parametersOf(text);
    expect(numbers).toEqual([...new Set(before)].sort((a, b) => a - b));
    expect(after.map((number) => numbers[number - 1])).toEqual(before);
    expect(new Set(after)).toEqual(new Set(numbers.map((_, i) => i + 1)));
    expect(withoutParameters(text, after)).toBe(withoutParameters(original, before));
  }), { numRuns: 1000 });
});

test('without parameters nothing changes', () => {
  expect(closeParameterGaps(`SELECT '$3', "$4"`)).toEqual({ text: `SELECT '$3', "$4"`, numbers: [] });
});

function parametersOf(sql: string): number[] {
  const numbers: number[] = [];
  walk(parseOne(sql).node, (kind, body) => {
    if (kind === 'ParamRef' && 'number' in body) numbers.push(Number(body.number));
    return undefined;
  });
  return numbers;
}

/** The text with each parameter, in order, as a question mark. */
function withoutParameters(sql: string, numbers: readonly number[]): string {
  const source = parseOne(sql);
  const places: number[] = [];
  walk(source.node, (kind, body) => {
    if (kind === 'ParamRef') places.push(source.source.index('location' in body ? Number(body.location) : 0));
    return undefined;
  });
  let result = '';
  let from = 0;
  for (const [i, place] of places.entries()) {
    result += `${sql.slice(from, place)}?`;
    from = place + `$${numbers[i]}`.length;
  }
  return result + sql.slice(from);
}
