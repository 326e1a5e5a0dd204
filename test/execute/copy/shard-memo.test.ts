import { expect, test } from 'vitest';
import { ShardMemo } from '../../../src/execute/copy/shard-memo.ts';

test('answers for the very bytes that were stored, or not at all', () => {
  const memo = new ShardMemo();
  const keys = Array.from({ length: 20_000 }, (_, i) => (i % 2 === 0 ? `tenant-${i}` : String(i)));
  const ordinals = new Map(keys.map((key, i) => [key, i % 32]));
  let hits = 0;
  for (const key of [...keys, ...keys.toReversed(), ...keys.slice(0, 50), ...keys.slice(0, 50)]) {
    const bytes = Buffer.from(`xx${key}yy`);
    const found = memo.find(bytes, 2, bytes.length - 2);
    if (found >= 0) hits += 1;
    expect([-1, ordinals.get(key)]).toContain(found);
    if (found < 0) memo.store(bytes, 2, bytes.length - 2, ordinals.get(key) ?? -1);
  }
  expect(hits).toBeGreaterThan(1000);
});

test('does not keep long keys, and knows the empty one', () => {
  const memo = new ShardMemo();
  const long = Buffer.alloc(41, 0x61);
  expect(memo.find(long, 0, 41)).toBe(-1);
  memo.store(long, 0, 41, 3);
  expect(memo.find(long, 0, 41)).toBe(-1);
  expect(memo.find(long, 0, 0)).toBe(-1);
  memo.store(long, 0, 0, 5);
  expect(memo.find(long, 7, 7)).toBe(5);
});
