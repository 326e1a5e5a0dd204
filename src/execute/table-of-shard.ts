import type { CatalogSnapshot, CatalogTable } from '../catalog/catalog-snapshot.ts';
import type { ShardId } from '../catalog/ids.ts';

/** The table that a shard belongs to. O(shards). */
export function tableOfShard(snapshot: CatalogSnapshot, id: ShardId): CatalogTable | undefined {
  for (const table of snapshot.tables.values()) {
    if (table.kind === 'reference' ? table.shardId === id : table.shardIds.includes(id)) return table;
  }
  return undefined;
}
