import { seededRandom, type RandomSource } from '../random.ts';
import { commentPool, type CommentPool } from './comment-pool.ts';
import { tpchSize, type TpchSize } from './tpch-size.ts';

/** What the rows of all tables are made from: the same for the same seed and scale. */
export interface TpchWorld {
  readonly size: TpchSize;
  readonly random: RandomSource;
  readonly comments: CommentPool;
}

export function tpchWorld(scale: number, seed: number): TpchWorld {
  const random = seededRandom(seed);
  return { size: tpchSize(scale), random, comments: commentPool(random) };
}
