import type { NodeWish } from '../../src/move/add-node/add-node.ts';
import type { Moves } from '../../src/move/moves.ts';
import type { MergeWish, MoveWish, SplitWish } from '../../src/move/new-job.ts';
import type { RunMoveOptions } from '../../src/move/run-move.ts';

/** What is to be done: a move, a split or a merge, or a node to be added. */
export type JobWish = MoveWish | SplitWish | MergeWish | NodeWish;

export function doWish(moves: Moves, wish: JobWish, options: RunMoveOptions): Promise<unknown> {
  if ('address' in wish) return moves.addNode(wish, options);
  if ('parts' in wish) return moves.split(wish, options);
  return 'groups' in wish ? moves.merge(wish, options) : moves.move(wish, options);
}
