import type { DataRow } from '../copy-text.ts';
import type { TpchWorld } from './tpch-world.ts';
import { nations, regions } from './tpch-words.ts';

const streams = { regionComment: 11, nationComment: 12 } as const;
const commentLength = { min: 31, max: 115 } as const;

/** The five regions: the same at every scale but for their comments. */
export function regionRows({ comments }: TpchWorld): DataRow[] {
  return regions.map((name, key) => [key, name, comments.commentAt(streams.regionComment, key, commentLength)]);
}

/** The 25 nations. */
export function nationRows({ comments }: TpchWorld): DataRow[] {
  return nations.map(([name, region], key) => [key, name, region, comments.commentAt(streams.nationComment, key, commentLength)]);
}
