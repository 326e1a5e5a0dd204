import { at, present } from '../../base/assert.ts';
import type { CatalogSnapshot, CatalogTable } from '../../catalog/catalog-snapshot.ts';
import { isLookupTable } from '../../catalog/unique-lookup.ts';
import type { NodeId, ShardId } from '../../catalog/ids.ts';
import { shardName } from '../../catalog/shard-name.ts';

/** A shard on a node; that of a reference table is on every one. */
export interface PlacedShard {
  readonly table: CatalogTable;
  readonly shardId: ShardId;
  readonly node: NodeId;
}

type Row = Readonly<Record<string, string | number | null>>;

/** What the catalog says, as rows with the columns of `input-columns.ts`. */
export const catalogRows: Readonly<Record<'nodes' | 'tables' | 'schemas' | 'shards' | 'placements' | 'shard_relations' | 'colocation_groups', (snapshot: CatalogSnapshot) => Row[]>> = {
  nodes: ({ nodes }) => nodes.map(({ id, host, port, database }) => ({ node_id: id, host, port, database })),
  tables: ({ tables, distributedSchemas, lookups }) => [...tables.values()].filter(({ oid }) => !isLookupTable({ lookups }, oid)).map((table) => ({
    relation: table.oid, kind: kindOf(table, distributedSchemas.has(table.schema)),
    distribution_column: table.kind === 'distributed' ? (table.distributionColumn?.name ?? null) : null,
    colocation_id: table.kind === 'distributed' ? table.colocationId : 0,
    shard_count: table.kind === 'distributed' ? table.shardIds.length : 1,
  })),
  schemas: ({ distributedSchemas }) => [...distributedSchemas].map(([name, colocation]) => ({ name, colocation_id: colocation })),
  shards: ({ tables, colocationGroups }) => [...tables.values()].flatMap((table): Row[] => {
    if (table.kind === 'reference') return [{ relation: table.oid, shard_id: table.shardId, hash_min: null, hash_max: null }];
    const { shardGroups } = present(colocationGroups.get(table.colocationId));
    const boundOf = (hash: number): string | null => (table.distributionColumn === undefined ? null : String(hash));
    return table.shardIds.map((shardId, i) => ({ relation: table.oid, shard_id: shardId, hash_min: boundOf(at(shardGroups, i).min), hash_max: boundOf(at(shardGroups, i).max) }));
  }),
  placements: (snapshot) => placedShards(snapshot).toSorted((a, b) => a.shardId - b.shardId || a.node - b.node).map(({ table, shardId, node }, i) => ({
    placement_id: i + 1, shard_id: shardId, node_id: node, schema: table.schema, name: shardName(table.name, shardId),
  })),
  shard_relations: ({ tables }) => [...tables.values()].flatMap((table) => {
    const names = new Set([table.name, ...table.indexes.map(({ name }) => name), ...table.constraints]);
    const ids = table.kind === 'reference' ? [table.shardId] : table.shardIds;
    return ids.flatMap((id) => [...names].map((name) => ({ schema: table.schema, name: shardName(name, id) })));
  }),
  colocation_groups: ({ colocationGroups }) => [...colocationGroups.values()].map(({ id, distributionType, shardGroups }) => ({ colocation_id: id, shard_count: shardGroups.length, distribution_type: distributionType ?? null })),
};

function kindOf(table: CatalogTable, inSchema: boolean): 'reference' | 'distributed' | 'schema' | 'single_shard' {
  if (table.kind === 'reference' || table.distributionColumn !== undefined) return table.kind;
  return inSchema ? 'schema' : 'single_shard';
}

/** Every shard of every table, on each of its nodes. */
export function placedShards({ tables, nodes, colocationGroups }: CatalogSnapshot): PlacedShard[] {
  return [...tables.values()].flatMap((table): PlacedShard[] => {
    if (table.kind === 'reference') return nodes.map(({ id }) => ({ table, shardId: table.shardId, node: id }));
    const { shardGroups } = present(colocationGroups.get(table.colocationId));
    return table.shardIds.map((shardId, i) => ({ table, shardId, node: at(shardGroups, i).node }));
  });
}
