import { throwIfAborted } from '../base/abort.ts';
import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import { type NodeId, nodeId, type ShardGroupId, shardGroupId } from '../catalog/ids.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import type { MoveLimits } from '../move/move-context.ts';
import type { Moves } from '../move/moves.ts';
import type { MoveEvent } from '../move/run-move.ts';
import { type PlannedMove, planMoves } from '../rebalance/plan-moves.ts';
import { type RebalanceStrategy, weighGroups } from '../rebalance/weigh-groups.ts';

export interface RebalancePlanOptions {
  /** `by_disk_size` by default. */
  readonly strategy?: RebalanceStrategy | undefined;
  /** How far from its share a node may be, as a part of it: 0.1 by default. Nothing is planned while all nodes are nearer. */
  readonly threshold?: number | undefined;
  /** As many as it takes by default. */
  readonly maxMoves?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface RebalanceOptions extends RebalancePlanOptions, Partial<MoveLimits> {
  /** As of `moveShardGroup`, for each move. */
  readonly onProgress?: ((event: MoveEvent) => void) | undefined;
}

/** A move that would make nodes more alike. */
export interface PlannedShardMove {
  readonly shardGroupId: number;
  /** A shard of the group, for `moveShardGroup`. */
  readonly shardId: number;
  /** Ids of the nodes. */
  readonly from: number;
  readonly to: number;
  /** 1, or bytes. */
  readonly cost: number;
}

interface Planning extends RebalancePlanOptions {
  readonly pools: NodePools;
  readonly snapshot: CatalogSnapshot;
  /** A node that is to have nothing. */
  readonly drained?: NodeId | undefined;
}

/** `noNodes` when shards of the drained node have nowhere to go. */
export async function planRebalance(planning: Planning): Promise<PlannedShardMove[]> {
  const { pools, snapshot, drained, strategy = 'by_disk_size', threshold = 0.1, maxMoves = Infinity, signal } = planning;
  if (!(threshold >= 0)) throw new ClusterError('invalidParameter', 'threshold must not be negative');
  const groups = await weighGroups(pools, snapshot, strategy, { signal });
  if (drained !== undefined && snapshot.nodes.length < 2 && groups.length > 0) throw new ClusterError('noNodes', 'there is no other node', { hint: 'Add one with addNode().' });
  const nodes = snapshot.nodes.map(({ id }) => ({ id, capacity: id === drained ? 0 : 1 }));
  const fixed = groupsOfPartitions(snapshot);
  const allowed = (group: ShardGroupId, node: NodeId): boolean => node !== drained && !fixed.has(group);
  // Of a drained node's shards all go that can, and no others.
  const moves = planMoves({ groups: groups.filter(({ id }) => !fixed.has(id)), nodes, threshold: drained === undefined ? threshold : Infinity, movesMax: maxMoves, allowed });
  return moves.map((move) => plannedMove(snapshot, move));
}

/** Shard groups with partitioned tables cannot be moved yet. */
function groupsOfPartitions(snapshot: CatalogSnapshot): Set<ShardGroupId> {
  const tables = [...snapshot.tables.values()].filter((table) => table.kind === 'distributed' && table.partitioned);
  return new Set(tables.flatMap((table) => (table.kind === 'distributed' ? (snapshot.colocationGroups.get(table.colocationId)?.shardGroups ?? []) : [])).map(({ id }) => id));
}

function plannedMove(snapshot: CatalogSnapshot, { group, from, to, cost }: PlannedMove): PlannedShardMove {
  for (const table of snapshot.tables.values()) {
    if (table.kind !== 'distributed') continue;
    const place = snapshot.colocationGroups.get(table.colocationId)?.shardGroups.findIndex(({ id }) => id === group) ?? -1;
    const shardId = table.shardIds[place];
    if (shardId !== undefined) return { shardGroupId: group, shardId, from, to, cost };
  }
  throw new ClusterError('catalogCorrupt', `shard group ${group} has no shards`);
}

/** One move after the other; what was moved before one that fails stays moved. */
export async function makeMoves(moves: Moves, plan: readonly PlannedShardMove[], { signal, onProgress, drainTimeoutMs, retainMs }: RebalanceOptions): Promise<void> {
  const limits = { ...(drainTimeoutMs === undefined ? {} : { drainTimeoutMs }), ...(retainMs === undefined ? {} : { retainMs }) };
  for (const { shardGroupId: group, from, to } of plan) {
    throwIfAborted(signal);
    await moves.move({ group: shardGroupId(group), from: nodeId(from), to: nodeId(to), limits }, { cancel: signal, onProgress });
  }
}
