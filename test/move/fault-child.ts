import type { NodeWish } from '../../src/move/add-node/add-node.ts';
import type { Moves } from '../../src/move/moves.ts';
import type { MergeWish, MoveWish, SplitWish } from '../../src/move/new-job.ts';
import type { RunMoveOptions } from '../../src/move/run-move.ts';
import { openMoves } from './fault-moves.ts';

/** What is to be done: a move, a split or a merge, or a node to be added. */
export type JobWish = MoveWish | SplitWish | MergeWish | NodeWish;

export interface MoveTask {
  readonly coordinator: string;
  readonly wish: JobWish;
  /** Where it stops for ever. */
  readonly step: string;
}

/** A process that is to be killed: it moves a shard group up to a step, says so, and waits. */
process.once('message', (message) => {
  const { coordinator, wish, step } = message as MoveTask;
  const onStep = async (reached: string): Promise<void> => {
    if (reached !== step) return;
    process.send?.('reached');
    await new Promise(() => undefined);
  };
  openMoves(coordinator, 'child').then(({ moves }) => doWish(moves, wish, { onStep })).catch((error: unknown) => process.send?.(String(error)));
});

export function doWish(moves: Moves, wish: JobWish, options: RunMoveOptions): Promise<unknown> {
  if ('address' in wish) return moves.addNode(wish, options);
  if ('parts' in wish) return moves.split(wish, options);
  return 'groups' in wish ? moves.merge(wish, options) : moves.move(wish, options);
}
