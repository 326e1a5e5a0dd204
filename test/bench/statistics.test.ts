import { describe, expect, it } from 'vitest';
import { median, quantile } from '../../bench/harness/statistics.ts';

describe('median', () => {
  it('is the middle value, by size and not by text', () => expect(median([10, 9, 100])).toBe(10));
  it('is the mean of the middle two', () => expect(median([4, 1, 3, 2])).toBe(2.5));
  it('is the one value, and NaN of none', () => {
    expect(median([7])).toBe(7);
    expect(median([])).toBeNaN();
  });
  it('leaves its input as it is', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
  });
});

describe('quantile', () => {
  it('interpolates', () => expect(quantile([0, 10, 20, 30, 40], 0.9)).toBeCloseTo(36));
  it('has the ends', () => expect([quantile([1, 2, 3], 0), quantile([1, 2, 3], 1)]).toEqual([1, 3]));
});
