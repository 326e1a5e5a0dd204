import { setTimeout as delay } from 'node:timers/promises';
import { canceled } from '../base/abort.ts';
import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import { nodeId, shardGroupId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnections } from '../cluster/node-connection.ts';
import { isConnectionFailure } from '../cluster/translate-error.ts';
import { withSchema } from '../store/install.ts';
import { insertRebalance, listRebalances, type MoveOfRebalance, readMoves, readRebalance, type RebalanceState, requestStop, type StoredRebalance } from '../store/rebalances.ts';
import type { PlannedShardMove } from './plan-rebalance.ts';
import { type MoveOutcome, type RebalanceEvent, type RebalanceServices, type RebalanceSettings, runRebalance, statesOf } from './run-rebalance.ts';

export interface RebalanceInfo {
  readonly rebalanceId: string;
  readonly state: RebalanceState;
  readonly moves: readonly RebalanceMoveInfo[];
  readonly createdAt: Date;
  readonly finishedAt: Date | undefined;
}

export interface RebalanceMoveInfo extends Omit<PlannedShardMove, 'shards'> {
  readonly state: MoveOutcome;
  /** Of a move that has begun. */
  readonly jobId: string | undefined;
  /** As in the events of a move; of the last half second. */
  readonly progress: Readonly<Record<string, unknown>>;
  /** Why it failed. */
  readonly error: string | undefined;
}

export interface FollowOptions {
  /** Aborting it stops the rebalance; moves under way are undone before the call rejects. */
  readonly cancel?: AbortSignal | undefined;
  readonly onProgress?: ((event: RebalanceEvent) => void) | undefined;
}

const pollMs = 200;
/** How long the coordinator database may be away. */
const patienceMs = 60_000;

/** Rebalances as durable jobs: rows that any process carries on. */
export class Rebalances {
  constructor(private readonly services: RebalanceServices) {}

  /** Stores the moves; whoever carries it on makes them. `rebalanceInProgress`. */
  start(plan: readonly PlannedShardMove[], settings: RebalanceSettings): Promise<string> {
    const moves = plan.map(({ shardGroupId: group, shardId: shard, from, to, cost }) => ({ group: shardGroupId(group), shard, from: nodeId(from), to: nodeId(to), cost }));
    return insertRebalance(this.#coordinator, { moves, options: { ...settings } });
  }

  /** Works on it, or waits for who does, until it is over. `unknownJob`, `canceled`, `rebalanceIncomplete`. */
  async follow(id: string, { cancel, onProgress }: FollowOptions): Promise<void> {
    const onCancel = (): void => void requestStop(this.#coordinator, id).catch(() => undefined);
    cancel?.addEventListener('abort', onCancel);
    if (cancel?.aborted === true) onCancel();
    try {
      await this.#toEnd(id, onProgress);
    } finally {
      cancel?.removeEventListener('abort', onCancel);
    }
    const info = await this.read(id);
    if (info?.state === 'cancelled') throw cancel?.aborted === true ? canceled(cancel) : new ClusterError('canceled', `rebalance ${id} was cancelled`);
    if (info?.state === 'failed') throw incomplete(info);
  }

  /** Resolves when it has stopped. False when it is over, or there is none. */
  async stop(id: string): Promise<boolean> {
    if (!(await withSchema(this.#coordinator, () => requestStop(this.#coordinator, id)))) return false;
    await this.#toEnd(id, undefined);
    return true;
  }

  async list(which: 'all' | 'unfinished', options?: CallOptions): Promise<RebalanceInfo[]> {
    const stored = await listRebalances(this.#coordinator, which, options);
    return Promise.all(stored.map(async (rebalance) => infoOf(rebalance, await readMoves(this.#coordinator, rebalance.id, options))));
  }

  /** Undefined where there is none of this id. */
  async read(id: string, options?: CallOptions): Promise<RebalanceInfo | undefined> {
    const stored = await withSchema(this.#coordinator, () => readRebalance(this.#coordinator, id, options), options);
    return stored === undefined ? undefined : infoOf(stored, await readMoves(this.#coordinator, id, options));
  }

  /** Carries on what nobody works on. What goes wrong is met again the next time. */
  async carryOnAll(): Promise<void> {
    const { rows } = await this.#coordinator.query({ text: `SELECT pg_catalog.to_regclass('shardwright.rebalance') IS NOT NULL` });
    if (rows[0]?.[0] !== 't') return;
    for (const { id } of await listRebalances(this.#coordinator, 'unfinished')) {
      if (!this.services.leave.aborted) await runRebalance(this.services, id, undefined);
    }
  }

  async #toEnd(id: string, onProgress: FollowOptions['onProgress']): Promise<void> {
    const { leave } = this.services;
    for (let failingSince: number | undefined; ;) {
      try {
        await runRebalance(this.services, id, onProgress);
        const stored = await readRebalance(this.#coordinator, id);
        if (stored === undefined) throw new ClusterError('unknownJob', `rebalance ${id} does not exist`);
        if (stored.finishedAt !== undefined) return;
        failingSince = undefined;
      } catch (error) {
        failingSince ??= performance.now();
        if (leave.aborted || performance.now() - failingSince > patienceMs || !isConnectionFailure(error)) throw error;
      }
      await delay(pollMs, undefined, { signal: leave });
    }
  }

  get #coordinator(): NodeConnections {
    return this.services.pools.get(coordinatorNodeId);
  }
}

function infoOf(rebalance: StoredRebalance, begun: readonly MoveOfRebalance[]): RebalanceInfo {
  const states = statesOf(rebalance, begun);
  const isOver = rebalance.finishedAt !== undefined;
  const moves = rebalance.moves.map(({ group, shard, from, to, cost }, place): RebalanceMoveInfo => {
    const job = begun.find((move) => move.place === place);
    const state = states[place] ?? 'waiting';
    return {
      shardGroupId: group, shardId: shard, from, to, cost, state: isOver && state === 'waiting' ? 'failed' : state,
      jobId: job?.jobId, progress: job?.progress ?? {}, error: job?.error ?? rebalance.failures[place] ?? (isOver && state === 'waiting' ? 'the rebalance was cancelled' : undefined),
    };
  });
  return { rebalanceId: rebalance.id, state: rebalance.state, moves, createdAt: rebalance.createdAt, finishedAt: rebalance.finishedAt };
}

function incomplete({ rebalanceId, moves }: RebalanceInfo): ClusterError {
  const failed = moves.filter(({ state }) => state === 'failed');
  return new ClusterError('rebalanceIncomplete', `${failed.length} of ${moves.length} moves of rebalance ${rebalanceId} failed`, {
    detail: `${failed.map(({ shardGroupId: group, from, to, error }) => `Shard group ${group} from node ${from} to node ${to}: ${(error ?? 'unknown').replace(/\.$/, '')}`).join('. ')}.`,
    hint: 'The others were made. Rebalance again when this is settled.',
  });
}
