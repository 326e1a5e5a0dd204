import { expect, test } from 'vitest';
import { LruMap } from '../../src/base/lru.ts';

test('forgets what was used longest ago', () => {
  const map = new LruMap<string, number>(3);
  for (const [i, key] of ['a', 'b', 'c'].entries()) map.set(key, i);
  expect(map.get('a')).toBe(0);
  map.set('d', 3);
  expect(['a', 'b', 'c', 'd'].map((key) => map.get(key))).toEqual([0, undefined, 2, 3]);
  expect(map.size).toBe(3);
});

test('and what is too heavy together', () => {
  const map = new LruMap<string, number>(100, { max: 10, of: (key) => key.length });
  map.set('aaaa', 1);
  map.set('bbbb', 2);
  expect(map.get('aaaa')).toBe(1);
  map.set('cc', 3);
  expect(map.size).toBe(3);
  map.set('ddd', 4);
  expect(['aaaa', 'bbbb', 'cc', 'ddd'].map((key) => map.get(key))).toEqual([1, undefined, 3, 4]);
  map.set('aaaa', 5);
  map.delete('cc');
  map.set('eee', 6);
  expect(map.size).toBe(3);
  map.set('x'.repeat(11), 7);
  expect(map.size).toBe(0);
  map.set('y', 8);
  map.clear();
  map.set('z'.repeat(10), 9);
  expect(map.get('z'.repeat(10))).toBe(9);
});
