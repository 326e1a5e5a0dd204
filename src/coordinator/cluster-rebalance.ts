import { throwIfAborted } from '../base/abort.ts';
import { nodeId, shardGroupId } from '../catalog/ids.ts';
import type { MoveLimits } from '../move/move-context.ts';
import type { Moves } from '../move/moves.ts';
import type { MoveEvent } from '../move/run-move.ts';
import type { PlannedShardMove, RebalancePlanOptions } from '../rebalance/plan-rebalance.ts';

export interface RebalanceOptions extends RebalancePlanOptions, Partial<MoveLimits> {
  /** As of `moveShardGroup`, for each move. */
  readonly onProgress?: ((event: MoveEvent) => void) | undefined;
}

/** One move after the other; what was moved before one that fails stays moved. */
export async function makeMoves(moves: Moves, plan: readonly PlannedShardMove[], { signal, onProgress, drainTimeoutMs, retainMs }: RebalanceOptions): Promise<void> {
  const limits = { ...(drainTimeoutMs === undefined ? {} : { drainTimeoutMs }), ...(retainMs === undefined ? {} : { retainMs }) };
  for (const { shardGroupId: group, from, to } of plan) {
    throwIfAborted(signal);
    await moves.move({ group: shardGroupId(group), from: nodeId(from), to: nodeId(to), limits }, { cancel: signal, onProgress });
  }
}
