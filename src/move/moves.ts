import { at } from '../base/assert.ts';
import { throwIfAborted } from '../base/abort.ts';
import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { ClusterNode } from '../catalog/catalog-snapshot.ts';
import { addressName } from '../catalog/node-address.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import { type JobGroup, type JobKind, listJobs, readJob, requestCancel, type StoredJob } from '../store/jobs.ts';
import type { DdlContext } from '../ddl/ddl-context.ts';
import { releaseCopiesAlone } from '../ddl/release-copies.ts';
import { loadGrammar } from '../sql/parse.ts';
import { addNode, type NodeWish } from './add-node/add-node.ts';
import { nodeOfJob } from './add-node/node-of-job.ts';
import { beginDistribution, type DistributionWish } from './distribute/begin-distribution.ts';
import type { MoveServices } from './move-context.ts';
import { carryOn, doJob, type JobWish, leftToUndo, throwIfUndone } from './do-job.ts';
import { participles } from './steps/preflight.ts';
import { isKnown, isOver, readState, type StoredState } from './move-state.ts';
import { type JobPlan, type MergeWish, type MoveWish, planMerge, planMove, planSplit, planUndo, type SplitWish } from './new-job.ts';
import { readMovedGroups } from './read-groups.ts';
import { type PreflightReport, preflightReport } from './preflight/preflight-check.ts';
import { preflightWish, runPreflight } from './preflight/run-preflight.ts';
import { runMove, type RunMoveOptions } from './run-move.ts';

/** A shard group of a job: the hashes from `min` to `max`, on a node. */
export interface JobShardGroup {
  readonly shardGroupId: number;
  readonly nodeId: number;
  readonly min: number;
  readonly max: number;
}

/** A move, split or merge, a node that is being added, or a table that is distributed while it is written to, as `cluster.jobs()` lists it. */
export interface JobInfo {
  readonly jobId: string;
  readonly kind: JobKind;
  /** The table that is distributed, as it was called at the beginning; undefined of other jobs. */
  readonly table: { readonly schema: string; readonly name: string } | undefined;
  /** What it does next; one that this version does not know is of a newer one, which alone carries the job on, cancels and undoes it. */
  readonly state: StoredState;
  /** Shard groups that it takes, and those that come in their place; none of a node that is added. A table that is distributed takes none, and comes to the others. */
  readonly sources: readonly JobShardGroup[];
  readonly targets: readonly JobShardGroup[];
  /** Of the first of each: the shard group, and ids of the nodes. Of a node that is added, `to` is that node, and `from` the one that its reference tables are copied from, if there are any. */
  readonly shardGroupId: number | undefined;
  readonly from: number | undefined;
  readonly to: number;
  /** Of a node that is added: `host:port/database`. */
  readonly address: string | undefined;
  /** As in the events of a move; of the last half second. */
  readonly progress: Readonly<Record<string, unknown>>;
  /** Why it was undone. */
  readonly error: string | undefined;
  readonly createdAt: Date;
  readonly changedAt: Date;
}

interface Limited {
  /** As by default where there are none; and what else is to be kept with the job. */
  readonly limits?: JobWish['limits'] | undefined;
}

/** The jobs that one process does, and those that it finds: moves, splits and merges, and nodes that are added. */
export class Moves {
  /** `leave`: aborted when the process stops working. */
  constructor(
    private readonly services: MoveServices,
    private readonly leave: AbortSignal,
  ) {}

  /** Resolves to the job's id, as the next two do to the job. */
  async move({ limits, ...wish }: MoveWish & Limited, options: RunMoveOptions): Promise<string> {
    return this.#do(await planMove(this.#coordinator, wish), limits, options);
  }

  async split({ limits, ...wish }: SplitWish & Limited, options: RunMoveOptions): Promise<JobInfo> {
    return this.#done(await this.#do(await planSplit(this.#coordinator, wish), limits, options));
  }

  async merge({ limits, ...wish }: MergeWish & Limited, options: RunMoveOptions): Promise<JobInfo> {
    return this.#done(await this.#do(await planMerge(this.#coordinator, wish), limits, options));
  }

  /** Resolves when the node is in the catalog. */
  addNode(wish: NodeWish, options: RunMoveOptions): Promise<ClusterNode> {
    return addNode(this.services, wish, { ...options, leave: this.leave });
  }

  /**
   * Distributes a local table while it is read and written. Resolves to the job's id. `moveInProgress` when it is being distributed already, or a shard group that it would come to is moved; `moveRefused`, `moveUndone`, and what
   * `createDistributedTable` throws.
   */
  async distribute(context: DdlContext, wish: DistributionWish, options: RunMoveOptions): Promise<string> {
    throwIfAborted(options.cancel);
    await this.list('unfinished');
    const id = await beginDistribution(context, wish, { signal: options.cancel });
    throwIfUndone(id, await carryOn(this.services, id, { ...options, leave: this.leave }), options.cancel);
    await releaseCopiesAlone(context);
    return id;
  }

  #do(plan: JobPlan, limits: JobWish['limits'] | undefined = {}, options: RunMoveOptions): Promise<string> {
    return doJob(this.services, { ...plan, limits }, { ...options, leave: this.leave });
  }

  async #done(id: string): Promise<JobInfo> {
    return infoOf(await readJob(this.#coordinator, id));
  }

  /** What the move, split or merge would find. Reads only. `moveRefused` when the shard group has no tables; and what `split` and `merge` refuse by the wish alone. */
  async preflight(wish: MoveWish | SplitWish | MergeWish, options: CallOptions): Promise<PreflightReport> {
    await loadGrammar();
    const { pools } = this.services;
    const job = await this.#plan(wish);
    const { checks, bytes } = await runPreflight(pools, preflightWish(job, await readMovedGroups(pools, job, options)), options);
    return preflightReport(checks, bytes, participles[job.kind]);
  }

  #plan(wish: MoveWish | SplitWish | MergeWish): Promise<JobPlan> {
    if ('parts' in wish) return planSplit(this.#coordinator, wish);
    return 'groups' in wish ? planMerge(this.#coordinator, wish) : planMove(this.#coordinator, wish);
  }

  async list(which: 'all' | 'unfinished', options?: CallOptions): Promise<JobInfo[]> {
    return (await listJobs(this.#coordinator, which, options)).map(infoOf);
  }

  /** Resolves when the move is undone. `unknownJob` when it is over; `moveInProgress` when it cannot be given up any more, and is made instead, or when it is of a newer version. */
  async cancel(id: string, options: RunMoveOptions): Promise<void> {
    const job = await readJob(this.#coordinator, id);
    readState(job);
    await requestCancel(this.#coordinator, id);
    const { state, error } = await carryOn(this.services, id, { ...options, leave: this.leave });
    if (state === 'undone') return;
    if (state === 'undo') throw leftToUndo(id, error);
    throw new ClusterError('moveInProgress', `job ${id} was past its cut-over and is done`, { hint: waysBack[job.kind] });
  }

  /** Carries on a move that nobody works on, or waits for it. */
  async resume(id: string, options: RunMoveOptions): Promise<void> {
    throwIfUndone(id, await carryOn(this.services, id, { ...options, leave: this.leave }), options.cancel);
  }

  /** Gives a job up, or takes it back when it was done. */
  async undo(id: string, options: RunMoveOptions): Promise<void> {
    const job = await readJob(this.#coordinator, id);
    if (!isOver(readState(job))) {
      await requestCancel(this.#coordinator, id);
      await carryOn(this.services, id, { ...options, leave: this.leave });
    }
    const ended = await readJob(this.#coordinator, id);
    if (ended.state === 'done' && ended.distributed !== undefined) {
      throw new ClusterError('moveRefused', `job ${id} has distributed table "${ended.distributed.name}"`, { detail: 'Its rows are on the nodes.', hint: 'undistributeTable() brings them back.' });
    }
    if (ended.state === 'done') await this.#do(await planUndo(this.#coordinator, ended), {}, options);
  }

  /** Carries on what nobody works on, one after the other. What goes wrong is met again the next time. */
  async carryOnAll(): Promise<void> {
    const { rows } = await this.#coordinator.query({ text: `SELECT pg_catalog.to_regclass('shardwright.job') IS NOT NULL` });
    if (rows[0]?.[0] !== 't') return;
    for (const { id, state } of await listJobs(this.#coordinator, 'unfinished')) {
      if (!this.leave.aborted && isKnown(state)) await runMove(this.services, id, { leave: this.leave }).catch(() => undefined);
    }
  }

  get #coordinator(): ReturnType<MoveServices['pools']['get']> {
    return this.services.pools.get(coordinatorNodeId);
  }
}

const waysBack: Readonly<Record<JobKind, string>> = {
  move: 'undoMove() moves the shard group back.', split: 'undoMove() merges the parts.', merge: 'undoMove() splits it again.', add_node: 'removeNode() takes the node out again.',
  distribute: 'undistributeTable() brings the rows back.',
};

function infoOf(job: StoredJob): JobInfo {
  const { id, kind, state, sources, targets, distributed, progress, error, createdAt, changedAt } = job;
  const isNode = kind === 'add_node';
  return {
    jobId: id, kind, table: distributed === undefined ? undefined : { schema: distributed.schema, name: distributed.name }, state, shardGroupId: isNode ? undefined : at(sources, 0).group, from: sources[0]?.node, to: at(targets, 0).node, address: isNode ? addressName(nodeOfJob(job)) : undefined,
    sources: isNode || distributed !== undefined ? [] : sources.map(jobGroup), targets: isNode ? [] : targets.map(jobGroup), progress, error, createdAt, changedAt,
  };
}

function jobGroup({ group, node, min, max }: JobGroup): JobShardGroup {
  return { shardGroupId: group, nodeId: node, min, max };
}
