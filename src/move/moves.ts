import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import { listJobs, readJob, requestCancel, type StoredJob } from '../store/jobs.ts';
import type { MoveServices } from './move-context.ts';
import { carryOn, type MoveWish, moveShardGroup, throwIfUndone } from './move-shard-group.ts';
import { isOver, type MoveState, readState } from './move-state.ts';
import { runMove, type RunMoveOptions } from './run-move.ts';

/** A move as `cluster.jobs()` lists it. */
export interface JobInfo {
  readonly jobId: string;
  readonly state: MoveState;
  readonly shardGroupId: number;
  /** Ids of the nodes. */
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

  move(wish: MoveWish, options: RunMoveOptions): Promise<string> {
    return moveShardGroup(this.services, wish, { ...options, leave: this.leave });
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
    const { state, shardGroup: group, source, target } = await readJob(this.#coordinator, id);
    if (state === 'done') await this.move({ group, from: target, to: source, limits: {} }, options);
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

function infoOf({ id, state, shardGroup, source, target, progress, error, createdAt, changedAt }: StoredJob): JobInfo {
  return { jobId: id, state: readState(state), shardGroupId: shardGroup, from: source, to: target, progress, error, createdAt, changedAt };
}
