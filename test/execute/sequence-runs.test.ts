import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { blockSql, cutRuns, lastOf, runsOf } from '../../src/execute/write/sequence-runs.ts';

test('a block is its runs', () => {
  expect(blockSql([{ first: 7n, count: 3 }, { first: 9223372036854775806n, count: 2 }], { slot: 1, id: 5, step: 1n })).toBe('{1,5,1,7,3,9223372036854775806,2}');
});

test('runs are what the server tells', () => {
  const taken = runsOf([['16400', '-3', '5', '2'], ['16400', '-3', '-40', '1']]);
  expect(taken).toEqual({ oid: 16400, step: -3n, runs: [{ first: 5n, count: 2 }, { first: -40n, count: 1 }] });
  expect(lastOf(taken)).toBe('-40');
  expect(lastOf({ ...taken, runs: [{ first: 5n, count: 4 }] })).toBe('-4');
});

test('blocks have all values, each once and in order', () => {
  const cut = fc.record({ blocks: fc.integer({ min: 1, max: 9 }), size: fc.integer({ min: 1, max: 30 }), step: fc.constantFrom(1n, -1n, 7n), cuts: fc.array(fc.integer({ min: 1, max: 12 })) });
  fc.assert(fc.property(cut, ({ blocks, size, step, cuts }) => {
    const counts: number[] = [];
    for (let left = blocks * size, i = 0; left > 0; i += 1) {
      const count = Math.min(left, cuts[i] ?? left);
      counts.push(count);
      left -= count;
    }
    const runs = counts.map((count, i) => ({ first: BigInt(i) * 1000n, count }));
    const got = cutRuns({ oid: 1, step, runs }, { blocks, size });
    const values = (all: typeof runs): bigint[] => all.flatMap(({ first, count }) => Array.from({ length: count }, (_, i) => first + step * BigInt(i)));
    expect(got.map((block) => values(block).length)).toEqual(Array.from({ length: blocks }, () => size));
    expect(values(got.flat())).toEqual(values(runs));
  }));
});
