import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import { type NodeId, nodeId, shardGroupId } from '../catalog/ids.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { type PlannedMove, planMoves } from './plan-moves.ts';
import { completeStrategy, type RebalanceStrategy, type StrategyGroup, type StrategyShard } from './strategy.ts';
import { measuresOf, weighGroups } from './weigh-groups.ts';

export interface RebalancePlanOptions {
  /** `by_disk_size` by default; `by_load` needs what was counted for a while. */
  readonly strategy?: RebalanceStrategy | undefined;
  /** How far from its share a node may be, as a part of it: 0.1 by default. Nothing is planned while all nodes are nearer. `Infinity`: only what may not stay where it is. */
  readonly threshold?: number | undefined;
  /** As many as it takes by default. */
  readonly maxMoves?: number | undefined;
  /** Only shard groups with shards of this table are looked at. */
  readonly table?: string | undefined;
  /** Measures the shards whatever the strategy. */
  readonly sizes?: boolean | undefined;
  /** Ids of shards whose groups stay where they are. */
  readonly excludedShardIds?: readonly number[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A move that would make nodes more alike. */
export interface PlannedShardMove {
  readonly shardGroupId: number;
  /** A shard of the group, for `moveShardGroup`. */
  readonly shardId: number;
  /** All of them, with bytes where those were measured: else 0. */
  readonly shards: readonly StrategyShard[];
  /** Ids of the nodes. */
  readonly from: number;
  readonly to: number;
  /** As the strategy has it: 1, bytes, or statements and a hundredth of their rows. */
  readonly cost: number;
}

interface Planning extends RebalancePlanOptions {
  readonly pools: NodePools;
  readonly snapshot: CatalogSnapshot;
  /** Of `table`. */
  readonly shardIds?: readonly number[] | undefined;
  /** A node that is to have nothing. */
  readonly drained?: NodeId | undefined;
}

/** `noNodes` when shards of the drained node have nowhere to go; `invalidParameter`. */
export async function planRebalance(planning: Planning): Promise<PlannedShardMove[]> {
  const { pools, snapshot, drained, strategy = 'by_disk_size', threshold = 0.1, maxMoves = Infinity, signal } = planning;
  if (!(threshold >= 0)) throw new ClusterError('invalidParameter', 'threshold must not be negative');
  if (!(maxMoves >= 0)) throw new ClusterError('invalidParameter', 'maxMoves must not be negative');
  const { cost, capacity, allowed } = completeStrategy(strategy);
  const weighed = await weighGroups(pools, snapshot, { ...measuresOf(strategy), ...(planning.sizes === true ? { size: true } : {}) }, { signal });
  const groups = planning.shardIds === undefined ? weighed : weighed.filter(({ shards }) => shards.some(({ shardId }) => planning.shardIds?.includes(shardId) === true));
  if (drained !== undefined && snapshot.nodes.length < 2 && groups.length > 0) throw new ClusterError('noNodes', 'there is no other node', { hint: 'Add one with addNode().' });
  const movable = groups.filter(isMovable(planning));
  const byId = new Map(movable.map((group) => [group.shardGroupId, group]));
  const nodes = new Map(snapshot.nodes.map((node) => [node.id, node]));
  const moves = planMoves({
    groups: movable.map((group) => ({ id: shardGroupId(group.shardGroupId), node: nodeId(group.nodeId), cost: cost(group) })),
    nodes: snapshot.nodes.map((node) => ({ id: node.id, capacity: node.id === drained ? 0 : capacity(node) })),
    // Of a drained node's shards all go that can, and no others.
    threshold: drained === undefined ? threshold : Infinity,
    movesMax: maxMoves,
    allowed: (id, to) => {
      const [group, node] = [byId.get(id), nodes.get(to)];
      if (group === undefined || node === undefined || to === drained) return false;
      return (drained !== undefined && group.nodeId !== drained && group.nodeId === to) || allowed(group, node);
    },
  });
  return atOnce(moves).map(({ group, from, to, cost: weight }) => ({ shardGroupId: group, from, to, cost: weight, ...shardsOf(byId.get(group)) }));
}

/** Those without a shard hold nothing. */
function isMovable({ excludedShardIds = [] }: Planning): (group: StrategyGroup) => boolean {
  return ({ shards }) => shards.length > 0 && !shards.some(({ shardId }) => excludedShardIds.includes(shardId));
}

function shardsOf(group: StrategyGroup | undefined): Pick<PlannedShardMove, 'shardId' | 'shards'> {
  return { shardId: group?.shards[0]?.shardId ?? 0, shards: group?.shards ?? [] };
}

/** Several moves of one shard group as one, in the place of the first; none when it would come back. */
function atOnce(moves: readonly PlannedMove[]): PlannedMove[] {
  const byGroup = new Map<number, PlannedMove>();
  for (const move of moves) {
    const first = byGroup.get(move.group);
    byGroup.set(move.group, first === undefined ? move : { ...first, to: move.to });
  }
  return [...byGroup.values()].filter(({ from, to }) => from !== to);
}
