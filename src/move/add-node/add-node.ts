import { canceled, throwIfAborted } from '../../base/abort.ts';
import { ClusterError } from '../../base/errors.ts';
import type { ClusterNode } from '../../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import { isAtAddress } from '../../catalog/node-address.ts';
import type { NodeId } from '../../catalog/ids.ts';
import { withConnection } from '../../cluster/with-connection.ts';
import { checkNewNode } from '../../ddl/join-node.ts';
import { checkHosts, newNodeId, newShardIds, type NodeAddress, readNodes } from '../../store/catalog-changes.ts';
import { insertJob, listJobs, type NewJob, readJob, referenceTables, type StoredJob } from '../../store/jobs.ts';
import { carryOn, leftToUndo } from '../do-job.ts';
import type { MoveLimits, MoveServices } from '../move-context.ts';
import type { MoveEnd, RunMoveOptions } from '../run-move.ts';
import { nodeOfJob, type NodeJobOptions } from './node-of-job.ts';

/** How the reference tables come to a new node: copied while they are written, or while nobody can use them, which needs no replication slot. */
export type ReferenceTableTransfer = 'online' | 'block_writes';

export interface NodeWish {
  readonly address: NodeAddress;
  readonly referenceTables?: ReferenceTableTransfer | undefined;
  readonly limits?: Partial<MoveLimits> | undefined;
}

/**
 * Adds a server to the cluster, as a durable job: it has all types, functions and other objects beside tables then, and a copy of every reference table. One that is being added at that address is carried on; others are waited for.
 * When it fails nothing is left of it. Errors: those of `checkNewNode`; `unsupportedNode` when an object differs; `moveRefused`, `moveUndone`, `canceled`.
 */
export async function addNode(services: MoveServices, wish: NodeWish, options: RunMoveOptions = {}): Promise<ClusterNode> {
  for (let waited: MoveEnd | undefined; ;) {
    throwIfAborted(options.cancel);
    const unfinished = await listNodeJobs(services);
    const same = unfinished.find((job) => isAtAddress(nodeOfJob(job), wish.address));
    const job = same ?? (await startJob(services, wish, options));
    if (job !== undefined && job.state !== 'undo') {
      throwIfNotAdded(job.id, await carryOn(services, job.id, options), options.cancel);
      return nodeOfJob(job);
    }
    // Another node comes first, and the end of what was given up before.
    const other = job ?? (await listNodeJobs(services))[0];
    if (other === undefined || (job === undefined && isAtAddress(nodeOfJob(other), wish.address))) continue;
    if (waited?.state === 'undo') throw leftToUndo(other.id, waited.error);
    waited = await carryOn(services, other.id, { leave: options.leave });
  }
}

async function listNodeJobs({ pools }: MoveServices): Promise<StoredJob[]> {
  return (await listJobs(pools.get(coordinatorNodeId), 'unfinished')).filter(({ kind }) => kind === 'add_node');
}

/** Checks the server before anything is stored. Undefined when another node is being added. */
async function startJob(services: MoveServices, { address, referenceTables: transfer = 'online', limits = {} }: NodeWish, { cancel = new AbortController().signal }: RunMoveOptions): Promise<StoredJob | undefined> {
  const { pools, clusterId } = services;
  const coordinator = pools.get(coordinatorNodeId);
  await checkHosts({ coordinator }, undefined, address);
  const node: ClusterNode = { ...address, id: await newNodeId(coordinator) };
  using _admitted = services.admitNodes([node]);
  await withConnection(coordinator, cancel, (own) => withConnection(pools.get(node.id), cancel, (connection) => checkNewNode({ coordinator: own, clusterId, signal: cancel }, connection, node)));
  const plan = transfer === 'online' ? await planCopies(services, node.id) : planAtOnce(node.id);
  const job: NewJob = { ...plan, kind: 'add_node', state: 'preflight', options: { ...limits, node: address } satisfies Partial<MoveLimits> & NodeJobOptions };
  try {
    return await readJob(coordinator, await insertJob(coordinator, job));
  } catch (error) {
    if (error instanceof ClusterError && error.id === 'moveInProgress') return undefined;
    throw error;
  }
}

/** From the first node. Where there is none, or no reference table, there is nothing to copy. */
async function planCopies({ pools }: MoveServices, node: NodeId): Promise<Pick<NewJob, 'sources' | 'targets'>> {
  const coordinator = pools.get(coordinatorNodeId);
  const [source] = await readNodes({ coordinator });
  const { rows } = await coordinator.query({ text: 'SELECT relation::oid FROM shardwright.shard WHERE shard_group_id IS NULL ORDER BY shard_id' });
  if (source === undefined || rows.length === 0) return planAtOnce(node);
  const ids = await newShardIds(coordinator, rows.length);
  const whole = { group: referenceTables, min: 0, max: 0 };
  return { sources: [{ ...whole, node: source.id }], targets: [{ ...whole, node, shards: Object.fromEntries(rows.map(([oid], i) => [oid ?? '', ids[i] as (typeof ids)[number]])) }] };
}

function planAtOnce(node: NodeId): Pick<NewJob, 'sources' | 'targets'> {
  return { sources: [], targets: [{ group: referenceTables, node, min: 0, max: 0 }] };
}

function throwIfNotAdded(id: string, { state, error }: MoveEnd, cancel: AbortSignal | undefined): void {
  if (state === 'undo') throw leftToUndo(id, error);
  if (state !== 'undone') return;
  if (cancel?.aborted === true) throw canceled(cancel);
  if (error instanceof Error) throw error;
  throw new ClusterError('moveUndone', `job ${id} was undone: ${String(error)}`);
}
