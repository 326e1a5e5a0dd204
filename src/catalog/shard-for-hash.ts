import { assert } from '../base/assert.ts';
import type { ColocationGroup, ShardGroup } from './catalog-snapshot.ts';

/** The shard group whose slice holds an int32 hash. Binary search: O(log shard groups), no allocation. */
export function shardGroupFor(colocation: Pick<ColocationGroup, 'shardGroups'>, hash: number): ShardGroup {
  const groups = colocation.shardGroups;
  let low = 0;
  let high = groups.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((groups[middle]?.min ?? 0) <= hash) low = middle;
    else high = middle - 1;
  }
  const group = groups[low];
  assert(group !== undefined && group.min <= hash && hash <= group.max, `no shard group holds hash ${hash}`);
  return group;
}

export interface HashRange {
  /** Both inclusive, int32. */
  readonly min: number;
  readonly max: number;
}

/** Cuts int32 into `count` slices as Citus does: equal ones, and the last takes the remainder. */
export function tileHashSpace(count: number): HashRange[] {
  assert(Number.isInteger(count) && count > 0 && count <= 2 ** 31, `cannot cut the hash space into ${count} slices`);
  const width = Math.floor(2 ** 32 / count);
  return Array.from({ length: count }, (_, index) => {
    const min = -(2 ** 31) + index * width;
    return { min, max: index === count - 1 ? 2 ** 31 - 1 : min + width - 1 };
  });
}
