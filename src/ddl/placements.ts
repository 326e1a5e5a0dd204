import { nodeId, shardId, type NodeId, type ShardId } from '../catalog/ids.ts';
import type { CatalogChange } from './change-catalog.ts';
import { onCoordinator } from './shell.ts';

/** A shard on a node. */
export interface Placement {
  readonly shard: ShardId;
  readonly node: NodeId;
}

/** Where a table's shards are, in order of their hash ranges; a reference table's is on every node. */
export async function readPlacements(change: CatalogChange, table: { readonly oid: number }): Promise<Placement[]> {
  const rows = await onCoordinator(
    change,
    `SELECT s.shard_id, coalesce(g.node_id, n.node_id) FROM shardwright.shard s
     LEFT JOIN shardwright.shard_group g USING (shard_group_id)
     LEFT JOIN shardwright.node n ON s.shard_group_id IS NULL
     WHERE s.relation = $1::oid ORDER BY g.ordinal, n.node_id`,
    [table.oid],
  );
  return rows.map(([shard, node]) => ({ shard: shardId(Number(shard)), node: nodeId(Number(node)) }));
}
