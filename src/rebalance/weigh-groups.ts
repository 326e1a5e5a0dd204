import { at, present } from '../base/assert.ts';
import type { CatalogSnapshot, ShardGroup } from '../catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { ShardGroupId } from '../catalog/ids.ts';
import { shardName } from '../catalog/shard-name.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { quoteIdentifier, quoteQualified } from '../sql/identifiers.ts';
import { readLoad, type GroupLoad } from '../store/shard-load.ts';
import type { RebalanceStrategy, StrategyGroup } from './strategy.ts';

/** All shard groups of the catalog that have shards, with what is to be known of them: sizes are asked of the nodes, one statement each, the load of the coordinator database. */
export async function weighGroups(pools: NodePools, snapshot: CatalogSnapshot, { size, load }: Measures, options: CallOptions): Promise<StrategyGroup[]> {
  const groups = [...snapshot.colocationGroups.values()].flatMap(({ shardGroups }) => shardGroups);
  const shards = namedShards(snapshot);
  const byGroup = grouped(shards, ({ group }) => group.id);
  const [sizes, loads] = await Promise.all([
    size ? sizesOf(pools, shards, options) : new Map<number, number>(),
    load ? readLoad(pools.get(coordinatorNodeId), options) : new Map<ShardGroupId, GroupLoad>(),
  ]);
  return groups.filter(({ id }) => byGroup.has(id)).map(({ id, node }) => {
    const own = (byGroup.get(id) ?? []).map(({ shardId, table }) => ({ shardId, table, bytes: sizes.get(shardId) ?? 0 }));
    const { statements, rows } = loads.get(id) ?? { statements: 0, rows: 0 };
    return { shardGroupId: id, nodeId: node, shards: own, bytes: own.reduce((sum, { bytes }) => sum + bytes, 0), statements, rows };
  });
}

/** What is asked for; the rest is 0. */
interface Measures {
  readonly size: boolean;
  readonly load: boolean;
}

export function measuresOf(strategy: RebalanceStrategy): Measures {
  return { size: strategy === 'by_disk_size' || typeof strategy !== 'string', load: strategy === 'by_load' || typeof strategy !== 'string' };
}

interface NamedShard {
  readonly group: ShardGroup;
  readonly shardId: number;
  readonly table: string;
  readonly sql: string;
}

/** Of distributed tables, in order of their distribution. */
function namedShards(snapshot: CatalogSnapshot): NamedShard[] {
  const shards = [...snapshot.tables.values()].flatMap((table) => {
    if (table.kind !== 'distributed') return [];
    const { shardGroups } = present(snapshot.colocationGroups.get(table.colocationId), 'colocation group');
    return table.shardIds.map((shardId, i) => ({ group: at(shardGroups, i), shardId, table: (table.schema === 'public' ? [table.name] : [table.schema, table.name]).map(plainIdentifier).join('.'), sql: quoteQualified(table.schema, shardName(table.name, shardId)) }));
  });
  return shards.sort((a, b) => a.shardId - b.shardId);
}

/** Quoted where need be, but for keywords. */
function plainIdentifier(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : quoteIdentifier(name);
}

function grouped<Key>(shards: readonly NamedShard[], keyOf: (shard: NamedShard) => Key): Map<Key, NamedShard[]> {
  const found = new Map<Key, NamedShard[]>();
  for (const shard of shards) {
    const own = found.get(keyOf(shard));
    if (own === undefined) found.set(keyOf(shard), [shard]);
    else own.push(shard);
  }
  return found;
}

/** Of shards that are not there, since they move just now, nothing. */
async function sizesOf(pools: NodePools, shards: readonly NamedShard[], options: CallOptions): Promise<Map<number, number>> {
  const text = `SELECT coalesce(pg_catalog.pg_total_relation_size(pg_catalog.to_regclass(name)), 0) FROM pg_catalog.unnest($1::text[]) WITH ORDINALITY AS s (name, place) ORDER BY place`;
  const sizes = new Map<number, number>();
  const byNode = grouped(shards, ({ group }) => group.node);
  await Promise.all([...byNode].map(async ([node, own]) => {
    const { rows } = await pools.get(node).query({ text, values: [own.map(({ sql }) => sql)] }, options);
    for (const [i, { shardId }] of own.entries()) sizes.set(shardId, Number(rows[i]?.[0]));
  }));
  return sizes;
}
