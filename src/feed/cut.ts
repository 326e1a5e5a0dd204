import { assert } from '../base/assert.ts';
import { nodeId, type NodeId } from '../catalog/ids.ts';

/**
 * The cut-over of a move, split or merge, as it stands in the log of each node that it is made on: a message in the transaction itself, so behind the last change of a shard that goes and before
 * the first of one that comes.
 */
export interface Cut {
  readonly job: string;
  /** Ids of those feeds that heed it: each has a slot on all of the nodes. */
  readonly feeds: readonly string[];
  /** Nodes that rows go away from. */
  readonly from: readonly NodeId[];
  readonly to: readonly NodeId[];
}

/** Of messages that tell of cut-overs. */
export const cutPrefix = 'shardwright_feed';

export function cutMessage(cut: Cut): string {
  return JSON.stringify(cut);
}

export function readCut(message: string): Cut {
  const cut: unknown = JSON.parse(message);
  assert(typeof cut === 'object' && cut !== null && 'job' in cut && 'feeds' in cut && 'from' in cut && 'to' in cut, 'a message of a cut-over is not understood');
  const { job, feeds, from, to } = cut as { job: string; feeds: string[]; from: number[]; to: number[] };
  return { job, feeds, from: from.map(nodeId), to: to.map(nodeId) };
}
