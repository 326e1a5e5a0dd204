import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot, ClusterNode, ShardGroup } from '../catalog/catalog-snapshot.ts';
import type { NodeId, ShardGroupId } from '../catalog/ids.ts';
import { isAtAddress } from '../catalog/node-address.ts';
import type { ReferenceTableTransfer } from '../move/add-node/add-node.ts';
import type { MoveLimits } from '../move/move-context.ts';
import type { MoveEvent } from '../move/run-move.ts';

export interface MoveOptions extends Partial<MoveLimits> {
  /** Gives the move up, unless it is past its cut-over; it is undone before the call rejects with `canceled`. */
  readonly signal?: AbortSignal | undefined;
  /** Called when a state begins, and about twice a second meanwhile. */
  readonly onProgress?: ((event: MoveEvent) => void) | undefined;
}

export interface AddNodeOptions extends Omit<MoveOptions, 'retainMs'> {
  /** `'online'` by default: the reference tables are copied while they are read and written. `'block_writes'`: in the transaction that adds the node, while nobody can use them. */
  readonly referenceTables?: ReferenceTableTransfer | undefined;
}

/** A move that was made. */
export interface MovedShardGroup {
  readonly jobId: string;
  readonly shardGroupId: number;
  /** Ids of the nodes. */
  readonly from: number;
  readonly to: number;
}

/** The shard group that a shard belongs to. `invalidParameter` for a shard that there is not, or of a reference table. */
export function shardGroupOf(snapshot: CatalogSnapshot, shardId: number): ShardGroup {
  for (const table of snapshot.tables.values()) {
    if (table.kind === 'reference' && table.shardId === shardId) {
      throw new ClusterError('invalidParameter', `shard ${shardId} is of reference table "${table.name}", which is on every node`);
    }
    const place = table.kind === 'distributed' ? table.shardIds.findIndex((id) => id === shardId) : -1;
    const group = table.kind === 'distributed' ? snapshot.colocationGroups.get(table.colocationId)?.shardGroups[place] : undefined;
    if (group !== undefined) return group;
  }
  throw new ClusterError('invalidParameter', `shard ${shardId} does not exist`, { hint: 'cluster.shards() lists them.' });
}

/** `undefinedNode`. */
export function nodeAt(snapshot: CatalogSnapshot, where: number | { readonly host: string; readonly port: number; readonly database: string }): NodeId {
  const isIt = (node: ClusterNode): boolean =>
    typeof where === 'number' ? node.id === where : isAtAddress(node, where);
  const found = snapshot.nodes.find(isIt);
  if (found !== undefined) return found.id;
  throw new ClusterError('undefinedNode', `node ${typeof where === 'number' ? where : `${where.host}:${where.port}/${where.database}`} does not exist`);
}

export function movedGroup(jobId: string, { group, from, to }: { readonly group: ShardGroupId; readonly from: NodeId; readonly to: NodeId }): MovedShardGroup {
  return { jobId, shardGroupId: group, from, to };
}
