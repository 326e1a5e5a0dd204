import { doWish, type JobWish } from './do-wish.ts';
import { openMoves } from './fault-moves.ts';

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
  openMoves(coordinator, 'child').then(({ moves, context }) => doWish({ moves, context }, wish, { onStep })).catch((error: unknown) => process.send?.(String(error)));
});
