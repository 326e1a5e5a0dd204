import { at } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import { type NodeId, nodeId, type ShardGroupId, shardGroupId } from '../catalog/ids.ts';
import type { HashRange } from '../catalog/shard-for-hash.ts';
import type { NodeConnections, RawRow } from '../cluster/node-connection.ts';
import { newShardGroupIds, newShardIds } from '../store/catalog-changes.ts';
import type { JobGroup, JobTarget, NewJob, StoredJob } from '../store/jobs.ts';

type Coordinator = Pick<NodeConnections, 'query'>;

/** What a job does: the shard groups that it takes, and those that come in their place. */
export type JobPlan = Pick<NewJob, 'kind' | 'sources' | 'targets'>;

export interface MoveWish {
  readonly group: ShardGroupId;
  /** Where it must be. */
  readonly from: NodeId;
  readonly to: NodeId;
}

export interface SplitWish {
  readonly group: ShardGroupId;
  /** In order; together they have the group's hashes. Undefined: on the node where the group is. */
  readonly parts: readonly (HashRange & { readonly node: NodeId | undefined })[];
}

export interface MergeWish {
  /** Neighbours, in any order. */
  readonly groups: readonly ShardGroupId[];
  /** Undefined: to the first one's node. */
  readonly to: NodeId | undefined;
}

/** All of these throw `moveRefused` when a shard group does not exist. */
export async function planMove(coordinator: Coordinator, { group, from, to }: MoveWish): Promise<JobPlan> {
  const { min, max } = at(await readGroups(coordinator, [group]), 0);
  const source = { group, node: from, min, max };
  return { kind: 'move', sources: [source], targets: [{ ...source, node: to }] };
}

/** `invalidParameter` when the parts are not the group's hashes. */
export async function planSplit(coordinator: Coordinator, { group, parts }: SplitWish): Promise<JobPlan> {
  const sources = await readGroups(coordinator, [group]);
  const { min, max, node, hashed } = at(sources, 0);
  if (!hashed) throw new ClusterError('invalidParameter', `shard group ${group} cannot be split`, { detail: 'Its tables have no distribution column, whose hashes could be divided.' });
  const isTiling = parts.every((part, i) => part.min <= part.max && part.min === (i === 0 ? min : at(parts, i - 1).max + 1)) && parts.at(-1)?.max === max;
  if (!isTiling) throw new ClusterError('invalidParameter', `the parts are not shard group ${group}`, { detail: `Its hashes are those from ${min} to ${max}.` });
  return { kind: 'split', sources, targets: await newTargets(coordinator, group, parts.map((part) => ({ ...part, node: part.node ?? node }))) };
}

/** `invalidParameter` when they are no neighbours in one colocation group. */
export async function planMerge(coordinator: Coordinator, { groups, to }: MergeWish): Promise<JobPlan> {
  const sources = (await readGroups(coordinator, groups)).toSorted((a, b) => a.min - b.min);
  const areNeighbours = sources.every(({ min, colocation }, i) => i === 0 || (at(sources, i - 1).max + 1 === min && at(sources, i - 1).colocation === colocation));
  if (!areNeighbours || new Set(groups).size < 2) {
    throw new ClusterError('invalidParameter', `shard groups ${groups.join(' and ')} are not neighbours`, { detail: 'Only those of co-located tables can be merged, where the hashes of one begin behind those of the other.' });
  }
  const node = to ?? at(sources.filter(({ group }) => group === groups[0]), 0).node;
  const whole = { min: at(sources, 0).min, max: at(sources, sources.length - 1).max, node };
  return { kind: 'merge', sources, targets: await newTargets(coordinator, at(sources, 0).group, [whole]) };
}

/** What undoes a job that is done: the shard groups that it made, wherever they are by now, give way to such as it took. */
export async function planUndo(coordinator: Coordinator, { kind, sources, targets }: Pick<StoredJob, 'kind' | 'sources' | 'targets'>): Promise<JobPlan> {
  if (kind === 'move') return { kind, sources: targets, targets: sources };
  if (kind === 'add_node') throw new ClusterError('moveRefused', 'the node was added', { hint: 'removeNode() takes it out again.' });
  const made = await readGroups(coordinator, targets.map(({ group }) => group));
  return { kind: kind === 'split' ? 'merge' : 'split', sources: made, targets: await newTargets(coordinator, at(made, 0).group, sources) };
}

/** In the order given. */
async function readGroups(coordinator: Coordinator, groups: readonly ShardGroupId[]): Promise<FoundGroup[]> {
  const text = 'SELECT shard_group_id, node_id, hash_min, hash_max, colocation_id, distribution_type IS NOT NULL FROM shardwright.shard_group JOIN shardwright.colocation_group USING (colocation_id) WHERE shard_group_id = ANY ($1::integer[])';
  const { rows } = await coordinator.query({ text, values: [`{${groups.join(',')}}`] });
  const found = rows.map(groupOf);
  return groups.map((id) => {
    const group = found.find((one) => one.group === id);
    if (group !== undefined) return group;
    throw new ClusterError('moveRefused', `shard group ${id} does not exist`, { detail: 'It was split or merged, or its tables were dropped.', hint: 'cluster.shards() lists what there is.' });
  });
}

interface FoundGroup extends JobGroup {
  readonly colocation: number;
  /** Whether its tables have a distribution column. */
  readonly hashed: boolean;
}

function groupOf(row: RawRow): FoundGroup {
  const [group = 0, node = 0, min = 0, max = 0, colocation = 0] = row.slice(0, 5).map(Number);
  return { group: shardGroupId(group), node: nodeId(node), min, max, colocation, hashed: row[5] === 't' };
}

/** Shard groups with new ids, and new ids for the shards of all tables that the given group has. */
async function newTargets(coordinator: Coordinator, like: ShardGroupId, parts: readonly (HashRange & { readonly node: NodeId })[]): Promise<JobTarget[]> {
  const { rows } = await coordinator.query({ text: 'SELECT relation::oid FROM shardwright.shard WHERE shard_group_id = $1 ORDER BY shard_id', values: [like] });
  const groups = await newShardGroupIds(coordinator, parts.length);
  const ids = await newShardIds(coordinator, parts.length * rows.length);
  return parts.map(({ min, max, node }, part) => ({
    group: at(groups, part), node, min, max,
    shards: Object.fromEntries(rows.map(([oid], i) => [oid ?? '', at(ids, part * rows.length + i)])),
  }));
}
