import type { NodeId } from '../catalog/ids.ts';

export interface ScheduledMove {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly state: 'waiting' | 'running' | 'over';
}

/** How many moves are under way at once. */
export interface RebalanceLimits {
  /** In all. */
  readonly parallel: number;
  /** From one node, and to one node. */
  readonly parallelPerNode: number;
}

/** Places of the moves that may begin now: the first ones, in order, that keep to the limits together with those that run. */
export function movesToStart(moves: readonly ScheduledMove[], { parallel, parallelPerNode }: RebalanceLimits): number[] {
  const running = moves.filter(({ state }) => state === 'running');
  const started: number[] = [];
  for (const [place, move] of moves.entries()) {
    if (running.length >= parallel) break;
    if (move.state !== 'waiting') continue;
    const leaving = running.filter(({ from }) => from === move.from).length;
    const coming = running.filter(({ to }) => to === move.to).length;
    if (leaving >= parallelPerNode || coming >= parallelPerNode) continue;
    running.push(move);
    started.push(place);
  }
  return started;
}
