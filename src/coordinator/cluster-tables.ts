import { at, present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot, CatalogTable, DistributedTable, HashFamily } from '../catalog/catalog-snapshot.ts';
import { isLookupTable } from '../catalog/unique-lookup.ts';
import { shardGroupFor } from '../catalog/shard-for-hash.ts';
import { shardName } from '../catalog/shard-name.ts';
import { lookupTableOf } from '../execute/lookups/lookup-shards.ts';
import { findTable } from '../execute/find-table.ts';
import { type AskCoordinator, askServerHash } from '../execute/server-hash.ts';
import { placerOf } from '../plan/prune.ts';

/** A distributed or reference table, as `cluster.tables()` lists it. */
export interface TableInfo {
  readonly schema: string;
  readonly name: string;
  readonly kind: 'distributed' | 'reference';
  /** Undefined for reference tables, and for single-shard tables, whose `shardCount` is 1. */
  readonly distributionColumn: string | undefined;
  readonly colocationId: number | undefined;
  readonly shardCount: number;
  readonly hash: HashFamily | undefined;
}

/** One shard, as `cluster.shards()` lists it: a reference table's once for each node. */
export interface ShardInfo {
  readonly shardId: number;
  readonly schema: string;
  readonly table: string;
  /** The shard's own name on its node. */
  readonly name: string;
  /** `host:port/database`. */
  readonly node: string;
  readonly nodeId: number;
  readonly shardGroupId: number | undefined;
  /** Of the hash, both inclusive; undefined for reference tables. */
  readonly min: number | undefined;
  readonly max: number | undefined;
}

export function listTables(snapshot: CatalogSnapshot): TableInfo[] {
  return [...snapshot.tables.values()].filter(({ oid }) => !isLookupTable(snapshot, oid)).map((table) => ({
    schema: table.schema,
    name: table.name,
    kind: table.kind,
    distributionColumn: table.kind === 'distributed' ? table.distributionColumn?.name : undefined,
    colocationId: table.kind === 'distributed' ? table.colocationId : undefined,
    shardCount: table.kind === 'distributed' ? table.shardIds.length : 1,
    hash: table.kind === 'distributed' && table.distributionColumn !== undefined ? snapshot.colocationGroups.get(table.colocationId)?.hash : undefined,
  }));
}

export function listShards(snapshot: CatalogSnapshot): ShardInfo[] {
  return [...snapshot.tables.values()].flatMap((table) => (table.kind === 'distributed' ? distributedShards(table, snapshot) : referenceShards(table, snapshot)));
}

function distributedShards(table: DistributedTable, snapshot: CatalogSnapshot): ShardInfo[] {
  const group = present(snapshot.colocationGroups.get(table.colocationId));
  return table.shardIds.map((shardId, i) => {
    const { id, min, max, node } = at(group.shardGroups, i);
    return { shardId, schema: table.schema, table: table.name, name: shardName(table.name, shardId), node: nodeName(snapshot, node), nodeId: node, shardGroupId: id, min, max };
  });
}

function referenceShards(table: CatalogTable & { kind: 'reference' }, snapshot: CatalogSnapshot): ShardInfo[] {
  const { shardId, schema, name } = table;
  return snapshot.nodes.map(({ id }) => ({
    shardId, schema, table: name, name: shardName(name, shardId), node: nodeName(snapshot, id), nodeId: id, shardGroupId: undefined, min: undefined, max: undefined,
  }));
}

function nodeName(snapshot: CatalogSnapshot, id: number): string {
  const node = snapshot.nodes.find((candidate) => candidate.id === id);
  return node === undefined ? `node ${id}` : `${node.host}:${node.port}/${node.database}`;
}

/** All that have rows themselves, or the one named. */
export function tablesToVerify(snapshot: CatalogSnapshot, name: string | undefined): CatalogTable[] {
  if (name === undefined) return [...snapshot.tables.values()].filter(({ partitioned }) => !partitioned);
  const table = findTable(snapshot, name);
  return [table, ...snapshot.lookups.flatMap((lookup) => (lookup.table === table.oid ? lookupTableOf(snapshot, lookup) : []))];
}

interface NamedValue {
  readonly table: string;
  readonly value: unknown;
}

/** The shard that holds, or would hold, the rows with this distribution value. */
export async function locateShard(snapshot: CatalogSnapshot, named: NamedValue, ask: AskCoordinator): Promise<ShardInfo> {
  const table = findTable(snapshot, named.table);
  if (table.kind === 'reference') return at(referenceShards(table, snapshot), 0);
  if (table.distributionColumn === undefined) return at(distributedShards(table, snapshot), 0);
  return (await locateValue(snapshot, named, ask)).shard;
}

/** The same for a distributed table, and the hash of the value. `invalidParameter` for a reference or single-shard table. */
export async function locateValue(snapshot: CatalogSnapshot, { table: name, value }: NamedValue, ask: AskCoordinator): Promise<{ readonly shard: ShardInfo; readonly hash: number }> {
  const table = findTable(snapshot, name);
  if (table.kind === 'reference') throw new ClusterError('invalidParameter', `reference table "${table.name}" is on every node`);
  const { distributionColumn } = table;
  if (distributionColumn === undefined) throw new ClusterError('invalidParameter', `table "${table.name}" has no distribution column`, { detail: 'All of its rows are in one shard.' });
  if (value === null || value === undefined) {
    throw new ClusterError('distributionValueMissing', `the value of distribution column "${distributionColumn.name}" must not be null`, { column: distributionColumn.name, table: table.name });
  }
  const placer = placerOf(table, snapshot);
  const known = placer.type?.hashOf(value, placer.group.hash);
  const hash = present(known ?? (await askServerHash(placer, table, value, ask)) ?? undefined, 'hash');
  const { ordinal } = shardGroupFor(placer.group, hash);
  return { shard: at(distributedShards(table, snapshot), ordinal), hash };
}
