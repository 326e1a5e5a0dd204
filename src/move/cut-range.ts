import { at } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { HashRange } from '../catalog/shard-for-hash.ts';

/** `at`: the last hash of each part but the last one, in ascending order. `into`: so many parts, as equal as can be. */
export type Cut = { readonly at: readonly number[] } | { readonly into: number };

/** The parts of a range, in order. `invalidParameter` for hashes that are not in it, out of order or none, and for more parts than it has hashes, or fewer than two. */
export function cutRange({ min, max }: HashRange, cut: Cut): HashRange[] {
  const ends = [...('at' in cut ? cut.at : evenEnds({ min, max }, cut.into)), max];
  const isAscending = ends.every((end, i) => Number.isInteger(end) && (i === 0 ? min : at(ends, i - 1) + 1) <= end);
  if (ends.length < 2 || !isAscending) {
    throw new ClusterError('invalidParameter', `hashes from ${min} to ${max} cannot be cut so`, { detail: 'Points are the last hash of each part but the last one, in ascending order; no part may be empty, and there must be two at least.' });
  }
  return ends.map((end, i) => ({ min: i === 0 ? min : at(ends, i - 1) + 1, max: end }));
}

const partsMax = 1_000;

function evenEnds({ min, max }: HashRange, count: number): number[] {
  if (!Number.isInteger(count) || count < 2 || count > partsMax) throw new ClusterError('invalidParameter', `a shard group is split into 2 to ${partsMax} parts`, { detail: `It is ${count}.` });
  const width = (max - min + 1) / count;
  return Array.from({ length: count - 1 }, (_, i) => min + Math.floor(width * (i + 1)) - 1);
}

/** The part of one hash alone, and what is left on either side of it: one to three parts. */
export function cutOut({ min, max }: HashRange, hash: number): HashRange[] {
  const parts = [{ min, max: hash - 1 }, { min: hash, max: hash }, { min: hash + 1, max }];
  return parts.filter((part) => part.min <= part.max);
}
