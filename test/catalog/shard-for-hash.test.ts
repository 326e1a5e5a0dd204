import { expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import type { ColocationGroup } from '../../src/catalog/catalog-snapshot.ts';
import { colocationId, nodeId, shardGroupId } from '../../src/catalog/ids.ts';
import { shardGroupFor, tileHashSpace, type HashRange } from '../../src/catalog/shard-for-hash.ts';
import { Random } from '../oracle/random.ts';

const int32Min = -(2 ** 31);
const int32Max = 2 ** 31 - 1;

function colocationOf(ranges: readonly HashRange[]): ColocationGroup {
  const shardGroups = ranges.map((range, ordinal) => ({ ...range, id: shardGroupId(ordinal + 1), ordinal, node: nodeId(1) }));
  return { id: colocationId(1), hash: 'postgres', distributionType: 'bigint', shardGroups };
}

test.each([1, 2, 3, 7, 32, 100, 1000, 64_000])('%i slices tile the hash space as Citus cuts it', (count) => {
  const ranges = tileHashSpace(count);
  expect(ranges).toHaveLength(count);
  expect(at(ranges, 0).min).toBe(int32Min);
  expect(at(ranges, count - 1).max).toBe(int32Max);
  expect(ranges.findIndex(({ min }, index) => index > 0 && min !== at(ranges, index - 1).max + 1)).toBe(-1);
  const widths = new Set(ranges.slice(0, -1).map(({ min, max }) => max - min + 1));
  if (count > 1) expect([...widths]).toEqual([Math.floor(2 ** 32 / count)]);
});

test('the slices that Citus documents for 4 and 3 shards', () => {
  expect(tileHashSpace(4).map(({ min, max }) => [min, max])).toEqual([
    [-2147483648, -1073741825],
    [-1073741824, -1],
    [0, 1073741823],
    [1073741824, 2147483647],
  ]);
  expect(tileHashSpace(3).map(({ min, max }) => [min, max])).toEqual([
    [-2147483648, -715827884],
    [-715827883, 715827881],
    [715827882, 2147483647],
  ]);
});

test('every hash is found in its slice, at both ends of each, also when the slices are uneven', () => {
  const random = new Random(7);
  const cuts = [...new Set(Array.from({ length: 50 }, () => random.int(int32Min + 1, int32Max)))].sort((a, b) => a - b);
  const uneven = [int32Min, ...cuts].map((min, index) => ({ min, max: (cuts[index] ?? int32Max + 1) - 1 }));
  for (const ranges of [tileHashSpace(1), tileHashSpace(2), tileHashSpace(7), tileHashSpace(32), uneven]) {
    const colocation = colocationOf(ranges);
    for (const group of colocation.shardGroups) {
      expect(shardGroupFor(colocation, group.min)).toBe(group);
      expect(shardGroupFor(colocation, group.max)).toBe(group);
      expect(shardGroupFor(colocation, random.int(group.min, group.max))).toBe(group);
    }
  }
});

test('a gap in the slices is a bug, not a wrong shard', () => {
  const colocation = colocationOf([{ min: int32Min, max: -1 }, { min: 5, max: int32Max }]);
  expect(() => shardGroupFor(colocation, 2)).toThrow('no shard group');
});
