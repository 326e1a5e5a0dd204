import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { cutOut, cutRange } from '../../src/move/cut-range.ts';

const whole = { min: -(2 ** 31), max: 2 ** 31 - 1 };
const range = fc.tuple(fc.integer(whole), fc.integer(whole)).map(([a, b]) => ({ min: Math.min(a, b), max: Math.max(a, b) }));

test('a range is cut behind each point', () => {
  expect(cutRange(whole, { at: [-1, 0] })).toEqual([{ min: whole.min, max: -1 }, { min: 0, max: 0 }, { min: 1, max: whole.max }]);
});

test('parts of equal cuts tile the range and differ by one hash at most', () => {
  fc.assert(fc.property(range, fc.integer({ min: 2, max: 40 }), ({ min, max }, into) => {
    fc.pre(max - min + 1 >= into);
    const parts = cutRange({ min, max }, { into });
    expect(parts).toHaveLength(into);
    for (const [i, part] of parts.entries()) expect(part.min).toBe(i === 0 ? min : at(parts, i - 1).max + 1);
    expect(parts.at(-1)?.max).toBe(max);
    const sizes = parts.map((part) => part.max - part.min);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
  }));
});

test.each([[{ at: [] }], [{ at: [5, 5] }], [{ at: [6, 5] }], [{ at: [10] }], [{ at: [-1] }], [{ at: [0.5] }], [{ into: 1 }], [{ into: 12 }], [{ into: 2.5 }], [{ into: 1e6 }]])('%j does not cut the hashes from 0 to 10', (cut) => {
  expect(() => cutRange({ min: 0, max: 10 }, cut)).toThrow(expect.objectContaining({ id: 'invalidParameter' }) as Error);
});

test('a hash is cut out in one to three parts', () => {
  expect(cutOut({ min: 0, max: 9 }, 4)).toEqual([{ min: 0, max: 3 }, { min: 4, max: 4 }, { min: 5, max: 9 }]);
  expect(cutOut({ min: 0, max: 9 }, 0)).toEqual([{ min: 0, max: 0 }, { min: 1, max: 9 }]);
  expect(cutOut({ min: 0, max: 9 }, 9)).toEqual([{ min: 0, max: 8 }, { min: 9, max: 9 }]);
  expect(cutOut({ min: 7, max: 7 }, 7)).toEqual([{ min: 7, max: 7 }]);
});
