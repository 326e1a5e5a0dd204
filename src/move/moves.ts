import { at } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import type { NodeId, ShardGroupId } from '../catalog/ids.ts';
import { type JobGroup, listJobs, readJob, requestCancel, type StoredJob } from '../store/jobs.ts';
import type { MoveLimits, MoveServices } from './move-context.ts';
import { carryOn, doJob, type JobWish, throwIfUndone } from './do-job.ts';
import { readRange } from './moved-tables.ts';
import { isOver, type MoveState, readState } from './move-state.ts';
import { runMove, type RunMoveOptions } from './run-move.ts';

export interface MoveWish {
  readonly group: ShardGroupId;
  readonly from: NodeId;
  readonly to: NodeId;
  readonly limits: Partial<MoveLimits>;
}

/** A shard group of a job: the hashes from `min` to `max`, on a node. */
export interface JobShardGroup {
  readonly shardGroupId: number;
  readonly nodeId: number;
  readonly min: number;
  readonly max: number;
}

/** A move, split or merge as `cluster.jobs()` lists it. */
export interface JobInfo {
  readonly jobId: string;
  readonly kind: 'move' | 'split' | 'merge';
  readonly state: MoveState;
  /** Shard groups that it takes, and those that come in their place. */
  readonly sources: readonly JobShardGroup[];
  readonly targets: readonly JobShardGroup[];
  /** Of the first of each: the shard group, and ids of the nodes. */
  readonly shardGroupId: number;
  readonly from: number;
  readonly to: number;
  /** As in the events of a move; of the last half second. */
  readonly progress: Readonly<Record<string, unknown>>;
  /** Why it was undone. */
  readonly error: string | undefined;
  readonly createdAt: Date;
  readonly changedAt: Date;
}

/** The moves that one process makes, and those that it finds. */
export class Moves {
  /** `leave`: aborted when the process stops working. */
  constructor(
    private readonly services: MoveServices,
    private readonly leave: AbortSignal,
  ) {}

  async move({ group, from, to, limits }: MoveWish, options: RunMoveOptions): Promise<string> {
    const { min, max } = await readRange(this.#coordinator, group);
    return this.#do({ kind: 'move', sources: [{ group, node: from, min, max }], targets: [{ group, node: to, min, max }], limits }, options);
  }

  #do(wish: JobWish, options: RunMoveOptions): Promise<string> {
    return doJob(this.services, wish, { ...options, leave: this.leave });
  }

  async list(which: 'all' | 'unfinished', options?: CallOptions): Promise<JobInfo[]> {
    return (await listJobs(this.#coordinator, which, options)).map(infoOf);
  }

  /** Resolves when the move is undone. `unknownJob` when it is over; `moveInProgress` when it cannot be given up any more, and is made instead. */
  async cancel(id: string, options: RunMoveOptions): Promise<void> {
    await requestCancel(this.#coordinator, id);
    const { state } = await carryOn(this.services, id, { ...options, leave: this.leave });
    if (state === 'undone') return;
    throw new ClusterError('moveInProgress', `job ${id} was past its cut-over and is done`, { hint: 'undoMove() moves the shard group back.' });
  }

  /** Carries on a move that nobody works on, or waits for it. */
  async resume(id: string, options: RunMoveOptions): Promise<void> {
    throwIfUndone(id, await carryOn(this.services, id, { ...options, leave: this.leave }), options.cancel);
  }

  /** Gives a move up, or moves the shard group back when it was made. */
  async undo(id: string, options: RunMoveOptions): Promise<void> {
    const job = await readJob(this.#coordinator, id);
    if (!isOver(readState(job.state))) {
      await requestCancel(this.#coordinator, id);
      await carryOn(this.services, id, { ...options, leave: this.leave });
    }
    const { state, kind, sources, targets } = await readJob(this.#coordinator, id);
    if (state === 'done') await this.#do({ kind, sources: targets, targets: sources, limits: {} }, options);
  }

  /** Carries on what nobody works on, one after the other. What goes wrong is met again the next time. */
  async carryOnAll(): Promise<void> {
    const { rows } = await this.#coordinator.query({ text: `SELECT pg_catalog.to_regclass('shardwright.job') IS NOT NULL` });
    if (rows[0]?.[0] !== 't') return;
    for (const { id } of await listJobs(this.#coordinator, 'unfinished')) {
      if (!this.leave.aborted) await runMove(this.services, id, { leave: this.leave }).catch(() => undefined);
    }
  }

  get #coordinator(): ReturnType<MoveServices['pools']['get']> {
    return this.services.pools.get(coordinatorNodeId);
  }
}

function infoOf({ id, kind, state, sources, targets, progress, error, createdAt, changedAt }: StoredJob): JobInfo {
  const { group, node } = at(sources, 0);
  return {
    jobId: id, kind, state: readState(state), shardGroupId: group, from: node, to: at(targets, 0).node, sources: sources.map(jobGroup), targets: targets.map(jobGroup),
    progress, error, createdAt, changedAt,
  };
}

function jobGroup({ group, node, min, max }: JobGroup): JobShardGroup {
  return { shardGroupId: group, nodeId: node, min, max };
}
