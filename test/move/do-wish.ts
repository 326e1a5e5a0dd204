import type { DdlContext } from '../../src/ddl/ddl-context.ts';
import type { NodeWish } from '../../src/move/add-node/add-node.ts';
import type { DistributionWish } from '../../src/move/distribute/begin-distribution.ts';
import type { Moves } from '../../src/move/moves.ts';
import type { MergeWish, MoveWish, SplitWish } from '../../src/move/new-job.ts';
import type { RunMoveOptions } from '../../src/move/run-move.ts';

/** What is to be done: a move, a split or a merge, a node to be added, or a table to be distributed. */
export type JobWish = MoveWish | SplitWish | MergeWish | NodeWish | DistributionWish;

export function doWish({ moves, context }: { readonly moves: Moves; readonly context: DdlContext }, wish: JobWish, options: RunMoveOptions): Promise<unknown> {
  if ('address' in wish) return moves.addNode(wish, options);
  if ('table' in wish) return moves.distribute(context, wish, options);
  if ('parts' in wish) return moves.split(wish, options);
  return 'groups' in wish ? moves.merge(wish, options) : moves.move(wish, options);
}
