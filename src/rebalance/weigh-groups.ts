import { at, present } from '../base/assert.ts';
import type { CatalogSnapshot, ShardGroup } from '../catalog/catalog-snapshot.ts';
import type { NodeId, ShardGroupId } from '../catalog/ids.ts';
import { shardName } from '../catalog/shard-name.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import type { WeighedGroup } from './plan-moves.ts';

/** What is made even: how many shard groups a node has, or how many bytes they take with indexes and large values. */
export type RebalanceStrategy = 'by_shard_count' | 'by_disk_size';

/** All shard groups of the catalog with their costs. Sizes are asked of the nodes, one statement each. */
export async function weighGroups(pools: NodePools, snapshot: CatalogSnapshot, strategy: RebalanceStrategy, options: CallOptions): Promise<WeighedGroup[]> {
  const groups = [...snapshot.colocationGroups.values()].flatMap(({ shardGroups }) => shardGroups);
  if (strategy === 'by_shard_count') return groups.map(({ id, node }) => ({ id, node, cost: 1 }));
  const sizes = await sizesOf(pools, shardsByNode(snapshot), options);
  return groups.map(({ id, node }) => ({ id, node, cost: sizes.get(id) ?? 0 }));
}

interface NamedShard {
  readonly group: ShardGroup;
  readonly sql: string;
}

function shardsByNode(snapshot: CatalogSnapshot): Map<NodeId, NamedShard[]> {
  const shards = new Map<NodeId, NamedShard[]>();
  for (const table of snapshot.tables.values()) {
    if (table.kind !== 'distributed') continue;
    const { shardGroups } = present(snapshot.colocationGroups.get(table.colocationId), 'colocation group');
    for (const [i, id] of table.shardIds.entries()) {
      const group = at(shardGroups, i);
      shards.set(group.node, [...(shards.get(group.node) ?? []), { group, sql: quoteQualified(table.schema, shardName(table.name, id)) }]);
    }
  }
  return shards;
}

/** Of shards that are not there, since they move just now, nothing. */
async function sizesOf(pools: NodePools, shards: ReadonlyMap<NodeId, readonly NamedShard[]>, options: CallOptions): Promise<Map<ShardGroupId, number>> {
  const text = `SELECT coalesce(pg_catalog.pg_total_relation_size(pg_catalog.to_regclass(name)), 0) FROM pg_catalog.unnest($1::text[]) WITH ORDINALITY AS s (name, place) ORDER BY place`;
  const sizes = new Map<ShardGroupId, number>();
  await Promise.all([...shards].map(async ([node, list]) => {
    const { rows } = await pools.get(node).query({ text, values: [list.map(({ sql }) => sql)] }, options);
    for (const [i, { group }] of list.entries()) sizes.set(group.id, (sizes.get(group.id) ?? 0) + Number(rows[i]?.[0]));
  }));
  return sizes;
}
