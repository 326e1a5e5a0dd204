import { setTimeout as delay } from 'node:timers/promises';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { withConnection } from '../cluster/with-connection.ts';
import type { MoveLimits } from '../move/move-context.ts';
import { isKnown, isOver, isUndoable } from '../move/move-state.ts';
import type { Moves } from '../move/moves.ts';
import type { MoveEvent } from '../move/run-move.ts';
import { requestCancel } from '../store/jobs.ts';
import { finishRebalance, type MoveOfRebalance, readMoves, readRebalance, type RebalanceState, storeFailure, type StoredMove, type StoredRebalance } from '../store/rebalances.ts';
import { movesToStart, type RebalanceLimits } from './moves-to-start.ts';

/** How far a rebalance is: an event of one of its moves. */
export interface RebalanceEvent extends MoveEvent {
  readonly rebalanceId: string;
  readonly shardGroupId: number;
  /** Ids of the nodes. */
  readonly from: number;
  readonly to: number;
  /** Of all moves of the rebalance: so many are over, of so many. */
  readonly movesOver: number;
  readonly movesTotal: number;
}

export interface RebalanceServices {
  readonly pools: NodePools;
  readonly clusterId: string;
  readonly moves: Moves;
  /** Aborted when the process stops working; the rebalance stays as it is then, for another. */
  readonly leave: AbortSignal;
}

/** As it is stored. */
export type RebalanceSettings = RebalanceLimits & Partial<MoveLimits>;

type OnProgress = ((event: RebalanceEvent) => void) | undefined;

const pollMs = 200;

/**
 * Carries a rebalance on until it is over. One process at a time; false when another one works on it. A move that fails does not keep the others from being made. Throws when it cannot go on, or is told to leave: all its moves
 * have stopped then, in this process.
 */
export function runRebalance(services: RebalanceServices, id: string, onProgress: OnProgress): Promise<boolean> {
  return withConnection(services.pools.get(coordinatorNodeId), services.leave, async (claim) => {
    const key = `shardwright rebalance ${services.clusterId} ${id}`;
    const lock = (name: string): Promise<boolean> =>
      claim.query({ text: `SELECT pg_catalog.${name}(pg_catalog.hashtextextended($1, 0))`, values: [key] }).then(({ rows }) => rows[0]?.[0] === 't');
    if (!(await lock('pg_try_advisory_lock'))) return false;
    const run = new RebalanceRun(services, claim, { id, onProgress });
    try {
      await run.toEnd();
    } finally {
      await run.end();
      // A connection that is lost has no lock any more.
      await lock('pg_advisory_unlock').catch(() => false);
    }
    return true;
  });
}

class RebalanceRun {
  /** Those that this process works on, by place. They never reject. */
  readonly #running = new Map<number, Promise<void>>();
  #isLeft = false;
  #over = 0;

  constructor(
    private readonly services: RebalanceServices,
    private readonly claim: NodeConnection,
    private readonly how: { readonly id: string; readonly onProgress: OnProgress },
  ) {}

  async toEnd(): Promise<void> {
    const { claim, how: { id }, services: { leave } } = this;
    for (;;) {
      leave.throwIfAborted();
      const rebalance = await readRebalance(claim, id);
      if (rebalance === undefined || rebalance.finishedAt !== undefined) return;
      const begun = await readMoves(claim, id);
      const states = statesOf(rebalance, begun);
      this.#over = states.filter((state) => state !== 'waiting' && state !== 'running').length;
      const end = this.#running.size > 0 ? undefined : endOf(rebalance.state, states);
      if (end !== undefined && (await finishRebalance(claim, id, { from: rebalance.state, to: end }))) return;
      if (rebalance.state === 'cancelling') await this.#cancel(begun);
      this.#start(rebalance, begun, states);
      await Promise.race([delay(pollMs, undefined, { signal: leave }), ...this.#running.values()]);
    }
  }

  /** Waits for what is under way here. */
  async end(): Promise<void> {
    this.#isLeft = true;
    await Promise.all(this.#running.values());
  }

  /** Moves that a process has left are carried on, whatever the limits. */
  #start(rebalance: StoredRebalance, begun: readonly MoveOfRebalance[], states: readonly MoveOutcome[]): void {
    for (const { place, jobId } of begun) {
      if (states[place] === 'running') this.#work(place, rebalance, (onProgress) => this.services.moves.resume(jobId, { onProgress }));
    }
    if (rebalance.state !== 'running') return;
    const { parallel, parallelPerNode, ...limits } = rebalance.options as unknown as RebalanceSettings;
    const scheduled = rebalance.moves.map(({ from, to }, place) => ({ from, to, state: this.#running.has(place) ? ('running' as const) : scheduledState(states[place]) }));
    for (const place of movesToStart(scheduled, { parallel, parallelPerNode })) {
      this.#work(place, rebalance, (onProgress, { group, from, to }) => this.services.moves.move({ group, from, to, limits: { ...limits, rebalance: rebalance.id, place } }, { onProgress }));
    }
  }

  #work(place: number, { moves, id }: StoredRebalance, work: (onProgress: (event: MoveEvent) => void, move: StoredMove) => Promise<unknown>): void {
    const move = moves[place];
    if (move === undefined || this.#running.has(place)) return;
    const { group, from, to } = move;
    const onProgress = (event: MoveEvent): void =>
      this.how.onProgress?.({ ...event, rebalanceId: id, shardGroupId: group, from, to, movesOver: this.#over, movesTotal: moves.length });
    const working = work(onProgress, move).then(() => undefined, (error: unknown) => this.#afterFailure(place, error)).finally(() => this.#running.delete(place));
    this.#running.set(place, working);
  }

  /** The job has its own error. Where there is none, the move could not begin. */
  async #afterFailure(place: number, error: unknown): Promise<void> {
    if (this.services.leave.aborted || this.#isLeft) return;
    try {
      const begun = await readMoves(this.claim, this.how.id);
      if (!begun.some((move) => move.place === place)) await storeFailure(this.claim, this.how.id, { place, error: error instanceof Error ? error.message : String(error) });
    } catch {
      // The connection is lost: the run ends, and another finds the move not begun.
    }
  }

  async #cancel(begun: readonly MoveOfRebalance[]): Promise<void> {
    for (const { jobId, state } of begun) {
      // One that has come to its end meanwhile needs no cancelling, and one of a newer version is left to that.
      if (isKnown(state) && !isOver(state) && isUndoable(state)) await requestCancel(this.claim, jobId).catch(() => undefined);
    }
  }
}

/** How a move of a rebalance is. A move whose old shards are kept, or cannot be dropped yet, is done. */
export type MoveOutcome = 'waiting' | 'running' | 'done' | 'failed';

/** By place. */
export function statesOf({ moves, failures }: StoredRebalance, begun: readonly MoveOfRebalance[]): MoveOutcome[] {
  const byPlace = new Map(begun.map((move) => [move.place, move.state]));
  return moves.map((_, place) => {
    const state = byPlace.get(place);
    if (state === undefined) return failures[place] === undefined ? 'waiting' : 'failed';
    if (state === 'undone') return 'failed';
    return ['done', 'retain', 'clean_up'].includes(state) ? 'done' : 'running';
  });
}

function scheduledState(state: MoveOutcome | undefined): 'waiting' | 'running' | 'over' {
  return state === 'waiting' || state === 'running' ? state : 'over';
}

function endOf(state: RebalanceState, moves: readonly MoveOutcome[]): RebalanceState | undefined {
  if (moves.includes('running')) return undefined;
  if (state === 'cancelling') return 'cancelled';
  if (moves.includes('waiting')) return undefined;
  return moves.includes('failed') ? 'failed' : 'finished';
}
