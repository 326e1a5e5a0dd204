import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RawRow } from '../../../src/cluster/node-connection.ts';
import { mergeComplete } from '../../../src/execute/merge/merge-complete.ts';
import type { Combine, MergePlan } from '../../../src/plan/merge-plan.ts';
import { gather, mergeBothWays, mergeStreams } from './merging.ts';

function combined(combines: readonly Combine[], groupTypes: readonly number[] = []): MergePlan {
  return { kind: 'combine_aggregates', input: gather, groupTypes, combines };
}

/** The value over a column of partial results. */
function combine(kind: Combine, column: readonly (string | null)[]): string | null | undefined {
  return mergeComplete(combined([kind]), [column.map((text) => [text])], [])?.[0]?.[0];
}

const sum = (typeOid: number, zero = false): Combine => ({ kind: 'sum', column: 0, typeOid, zero });
const extreme = (kind: 'least' | 'greatest', typeOid: number): Combine => ({ kind, column: 0, typeOid, collationIsC: true });

const kinds: readonly Combine[] = [
  sum(20), sum(1700), sum(700), sum(701), sum(1186), extreme('least', 20), extreme('greatest', 25),
  { kind: 'bool_and', column: 0 }, { kind: 'bool_or', column: 0 }, { kind: 'bit_and', column: 0 }, { kind: 'bit_or', column: 0 }, { kind: 'bit_xor', column: 0 },
  { kind: 'numeric_average', sum: 0, count: 1 }, { kind: 'float_average', sum: 0, count: 1 },
  { kind: 'numeric_deviation', count: 1, sum: 0, squares: 0, form: 'var_pop' }, { kind: 'float_deviation', count: 1, sum: 0, squares: 0, form: 'stddev_samp' },
  { kind: 'any', column: 0 },
];

test('of no rows, and of nothing but NULLs, aggregates are NULL and counts are zero', async () => {
  const all = [...kinds, sum(20, true), { kind: 'count_distinct', column: 0, typeOid: 20, filter: undefined } as const];
  const expected = [[...kinds.map(() => null), '0', '0']];
  expect(await mergeBothWays(combined(all), [])).toEqual(expected);
  expect(await mergeBothWays(combined(all), [[], []])).toEqual(expected);
  expect(await mergeBothWays(combined(all), [[[null, '0']], [[null, '0']]])).toEqual(expected);
  expect(await mergeBothWays(combined(all, [23]), [])).toEqual([]);
});

describe('sum', () => {
  test('of bigints is exact', () => {
    const bigint = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    const summand = fc.oneof(bigint, fc.bigInt({ min: -(10n ** 15n), max: 10n ** 15n }), fc.constantFrom(999_999_999_999_999n, -999_999_999_999_999n, null));
    fc.assert(
      fc.property(fc.array(summand, { minLength: 1, maxLength: 30 }), (summands) => {
        const known = summands.filter((value) => value !== null);
        const total = known.reduce((a, b) => a + b, 0n);
        const run = (): unknown => combine(sum(20), summands.map((value) => (value === null ? null : String(value))));
        if (BigInt.asIntN(64, total) === total) expect(run()).toBe(known.length === 0 ? null : String(total));
        else expect(run).toThrow(expect.objectContaining({ message: 'bigint out of range', code: '22003' }));
      }),
      { numRuns: 500, examples: [[[2n ** 63n - 1n]], [[2n ** 63n - 1n, 1n]], [[2n ** 63n - 1n, 1n, -1n]], [[-(2n ** 63n), -1n]], [[0n, null]]] },
    );
  });

  test('of many numbers just below a double\'s limit', () => {
    expect(combine(sum(20), Array.from({ length: 1001 }, () => '999999999999999'))).toBe(String(999_999_999_999_999n * 1001n));
    expect(combine(sum(20), Array.from({ length: 1001 }, () => '-99999999999999'))).toBe(String(-99_999_999_999_999n * 1001n));
  });

  test('of numerics keeps the largest scale', () => {
    expect(combine(sum(1700), ['1.50', null, '-1.5'])).toBe('0.00');
    expect(combine(sum(1700), ['1', 'NaN'])).toBe('NaN');
    expect(combine(sum(1700), ['Infinity', '-Infinity'])).toBe('NaN');
    expect(combine(sum(1700), ['99999999999999999999999999', '0.00000000000000000001'])).toBe('99999999999999999999999999.00000000000000000001');
  });

  test('of floats', () => {
    expect(combine(sum(701), ['0.1', '0.2', null])).toBe('0.30000000000000004');
    expect(combine(sum(700), ['0.1', '0.2'])).toBe('0.3');
    expect(combine(sum(700), ['16777216', '1'])).toBe('1.6777216e+07');
    expect(combine(sum(701), ['Infinity', '-Infinity'])).toBe('NaN');
    expect(() => combine(sum(701), ['1.7e308', '1.7e308'])).toThrow(expect.objectContaining({ message: 'value out of range: overflow', code: '22003' }));
    expect(() => combine(sum(700), ['3e38', '3e38'])).toThrow('value out of range: overflow');
  });

  test('of intervals', () => {
    expect(combine(sum(1186), ['1 year 2 mons', null, '-3 days', '04:05:06.7'])).toBe('1 year 2 mons -3 days +04:05:06.7');
  });
});

test('least and greatest by the order of the type', () => {
  expect(combine(extreme('least', 23), ['10', null, '9', '-1'])).toBe('-1');
  expect(combine(extreme('greatest', 23), ['10', null, '9', '-1'])).toBe('10');
  expect(combine(extreme('greatest', 25), ['10', '9', '\u{10000}', '\uffff'])).toBe('\u{10000}');
  expect(combine(extreme('greatest', 701), ['Infinity', 'NaN', '1'])).toBe('NaN');
  expect(combine(extreme('least', 701), ['NaN', '1'])).toBe('1');
  expect(combine(extreme('least', 1082), ['2024-01-02', '0044-03-15 BC', 'infinity'])).toBe('0044-03-15 BC');
  expect(combine(extreme('least', 1700), ['1.0', '1.00'])).toBe('1.0');
});

function of(kind: 'bool_and' | 'bool_or' | 'bit_and' | 'bit_or' | 'bit_xor', column: (string | null)[]): unknown {
  return combine({ kind, column: 0 }, column);
}

test('booleans and bits', () => {
  expect([of('bool_and', ['t', null, 't']), of('bool_and', ['t', 'f', 't']), of('bool_and', ['f'])]).toEqual(['t', 'f', 'f']);
  expect([of('bool_or', ['f', null, 'f']), of('bool_or', ['f', 't', 'f']), of('bool_or', ['t'])]).toEqual(['f', 't', 't']);
  expect([of('bit_and', ['-1', null, '12', '10']), of('bit_or', ['12', '10', null]), of('bit_xor', ['12', '10'])]).toEqual(['8', '14', '6']);
  expect([of('bit_and', ['-8', '-4']), of('bit_or', ['-9223372036854775808', '1']), of('bit_xor', ['-1', '9223372036854775807'])])
    .toEqual(['-8', '-9223372036854775807', '-9223372036854775808']);
});

test('any is the first value that is not NULL', () => {
  expect(combine({ kind: 'any', column: 0 }, [null, 'b', 'a'])).toBe('b');
});

test('count_distinct sees values, not texts, and heeds its filter', () => {
  const rows: RawRow[] = [['1.0', 't'], ['1.00', 't'], ['2', 't'], ['3', 'f'], ['4', null], [null, 't']];
  const count = (filter: number | undefined): unknown => mergeComplete(combined([{ kind: 'count_distinct', column: 0, typeOid: 1700, filter }]), [rows], []);
  expect(count(undefined)).toEqual([['4']]);
  expect(count(1)).toEqual([['2']]);
});

test('groups by value, NULL a group of its own; shows the first text', async () => {
  const plan = combined([{ ...sum(20), column: 2 } as Combine, { kind: 'any', column: 2 }], [1700, 25]);
  const sets: RawRow[][] = [[['1.0', 'a', '1'], [null, 'a', '2']], [['1.00', 'a', '4'], ['1', null, '8'], [null, 'a', '16']], [[null, null, '32'], ['1', 'b', '64']]];
  const expected = [['1.0', 'a', '5', '1'], [null, 'a', '18', '2'], ['1', null, '8', '8'], [null, null, '32', '32'], ['1', 'b', '64', '64']];
  expect(mergeComplete(plan, sets, [])).toEqual(expected);
  expect(await mergeStreams(plan, [sets.flat()], { batchRows: 2 })).toEqual(expected);
});

test('aggregates of groups do not mix', () => {
  const cell = fc.constantFrom('a', 'b', 'c', null);
  fc.assert(
    fc.property(fc.array(fc.tuple(cell, cell, fc.integer({ min: -9, max: 9 }))), fc.constantFrom(1, 2), (cells, width) => {
      const rows: RawRow[] = cells.map(([a, b, value]) => (width === 1 ? [a, String(value)] : [a, b, String(value)]));
      const totals = new Map<string, number>();
      for (const row of rows) {
        const key = JSON.stringify(row.slice(0, width));
        totals.set(key, (totals.get(key) ?? 0) + Number(row[width]));
      }
      const result = mergeComplete(combined([{ ...sum(20), column: width } as Combine], Array.from({ length: width }, () => 25)), [rows], []);
      expect(result?.map((row) => [JSON.stringify(row.slice(0, width)), Number(row[width])])).toEqual([...totals]);
    }),
  );
});
