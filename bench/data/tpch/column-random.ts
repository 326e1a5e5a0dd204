import type { RandomSource } from '../random.ts';

export type NonEmpty<T> = readonly [T, ...T[]];

/** The random values of one column: the value of a row depends on its position alone, not on the rows before it. */
export interface ColumnRandom {
  /** An integer from `low` to `high`, both included, all equally likely. */
  between(position: number, low: number, high: number): number;
  pick<T>(position: number, list: NonEmpty<T>): T;
}

/** `stream` must be the column's own: two columns of one stream would have the same values. */
export function columnRandom(random: RandomSource, stream: number): ColumnRandom {
  return {
    between: (position, low, high) => low + random.belowAt(stream, position, high - low + 1),
    pick: (position, list) => list[random.belowAt(stream, position, list.length)] ?? list[0],
  };
}
