import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import type { NodeId } from '../catalog/ids.ts';
import { type Cut, cutOut, cutRange } from '../move/cut-range.ts';
import type { MoveLimits } from '../move/move-context.ts';
import type { JobInfo, JobShardGroup, Moves } from '../move/moves.ts';
import type { MergeWish, MoveWish, SplitWish } from '../move/new-job.ts';
import type { MoveEvent } from '../move/run-move.ts';
import { shardGroupOf } from './cluster-moves.ts';
import type { ShardInfo } from './cluster-tables.ts';

/** Where a shard group is cut: give one of `at` and `into`. */
export interface SplitOptions {
  /** The last hash of each part but the last one, in ascending order: `[-1, 1000]` makes three. */
  readonly at?: readonly number[] | undefined;
  /** Into so many parts, as equal as can be. */
  readonly into?: number | undefined;
}

/** A split or merge that was made. */
export interface ReplacedShardGroups {
  readonly jobId: string;
  /** What has come, in order of hashes. Their shards have new ids: `cluster.shards()`. */
  readonly shardGroups: readonly JobShardGroup[];
}

/** A value that has its shard group for itself. */
export interface IsolatedTenant {
  /** Undefined when there was nothing to do. */
  readonly jobId: string | undefined;
  /** The table's shard that has the rows. */
  readonly shard: ShardInfo;
}

interface Doing {
  readonly moves: Moves;
  readonly snapshot: CatalogSnapshot;
  readonly limits: Partial<MoveLimits>;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((event: MoveEvent) => void) | undefined;
}

/** `nodes`: of the parts in order; where the shard group is when there are none. */
export interface SplitOf extends SplitOptions {
  readonly shardId: number;
  readonly nodes: readonly NodeId[] | undefined;
}

/** `invalidParameter`. */
export async function splitShards(doing: Doing, split: SplitOf): Promise<ReplacedShardGroups> {
  return replaced(await doing.moves.split({ ...splitWish(doing.snapshot, split), limits: doing.limits }, optionsOf(doing)));
}

/** `invalidParameter`. */
export function splitWish(snapshot: CatalogSnapshot, { shardId, at: points, into, nodes }: SplitOf): SplitWish {
  const group = shardGroupOf(snapshot, shardId);
  const parts = cutRange(group, cutOf(points, into));
  if (nodes !== undefined && nodes.length !== parts.length) throw new ClusterError('invalidParameter', `${parts.length} parts cannot be on ${nodes.length} nodes`, { hint: 'Name a node for each part, the same one several times if need be.' });
  return { group: group.id, parts: parts.map((part, i) => ({ ...part, node: nodes?.[i] })) };
}

function cutOf(points: readonly number[] | undefined, into: number | undefined): Cut {
  if (points !== undefined && into === undefined) return { at: points };
  if (points === undefined && into !== undefined) return { into };
  throw new ClusterError('invalidParameter', 'a split needs either "at" or "into"');
}

export async function mergeShards(doing: Doing, merge: MergeOf): Promise<ReplacedShardGroups> {
  return replaced(await doing.moves.merge({ ...mergeWish(doing.snapshot, merge), limits: doing.limits }, optionsOf(doing)));
}

/** A shard of each of two neighbours; `to`: where the first one is when it is undefined. */
export interface MergeOf {
  readonly shardIds: readonly number[];
  readonly to: NodeId | undefined;
}

export function mergeWish(snapshot: CatalogSnapshot, { shardIds, to }: MergeOf): MergeWish {
  return { groups: shardIds.map((id) => shardGroupOf(snapshot, id).id), to };
}

export interface Tenant {
  /** The shard where the value is. */
  readonly shardId: number;
  readonly hash: number;
  readonly to: NodeId | undefined;
}

/** Returns the job; undefined when there was nothing to do. */
export async function isolate(doing: Doing, tenant: Tenant): Promise<string | undefined> {
  const { moves, limits } = doing;
  const wish = isolationWish(doing.snapshot, tenant);
  if (wish === undefined) return undefined;
  return 'parts' in wish ? (await moves.split({ ...wish, limits }, optionsOf(doing))).jobId : moves.move({ ...wish, limits }, optionsOf(doing));
}

/** The part of the one hash goes to a node, what is left on either side stays where it is. A hash that has its shard group for itself is moved; undefined when it is there already. */
export function isolationWish(snapshot: CatalogSnapshot, { shardId, hash, to }: Tenant): SplitWish | MoveWish | undefined {
  const { node, ...group } = shardGroupOf(snapshot, shardId);
  const parts = cutOut(group, hash).map((part) => ({ ...part, node: part.min <= hash && hash <= part.max ? to : undefined }));
  if (parts.length > 1) return { group: group.id, parts };
  return to === undefined || to === node ? undefined : { group: group.id, from: node, to };
}

function optionsOf({ signal, onProgress }: Doing): { cancel: AbortSignal | undefined; onProgress: Doing['onProgress'] } {
  return { cancel: signal, onProgress };
}

function replaced({ jobId, targets }: JobInfo): ReplacedShardGroups {
  return { jobId, shardGroups: targets };
}
