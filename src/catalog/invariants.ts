import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot, CatalogTable, ColocationGroup } from './catalog-snapshot.ts';
import type { NodeId } from './ids.ts';

const int32Min = -(2 ** 31);
const int32Max = 2 ** 31 - 1;

/**
 * `catalogCorrupt` unless every colocation group tiles the hash space on known nodes, every table has one shard in each shard group, and single-shard tables
 * are in groups of one shard group that are for them alone.
 */
export function checkInvariants(snapshot: CatalogSnapshot): void {
  const nodes = new Set(snapshot.nodes.map((node) => node.id));
  for (const group of snapshot.colocationGroups.values()) checkGroup(group, nodes);
  for (const table of snapshot.tables.values()) checkTable(table, snapshot);
}

function checkGroup(group: ColocationGroup, nodes: ReadonlySet<NodeId>): void {
  let next = int32Min;
  for (const [i, slice] of group.shardGroups.entries()) {
    if (slice.ordinal !== i) throw corrupt(`shard group ${slice.id} has ordinal ${slice.ordinal} where ${i} was expected`);
    if (slice.min !== next || slice.max < slice.min) {
      throw corrupt(`shard group ${slice.id} covers ${slice.min} to ${slice.max} where a slice from ${next} was expected`);
    }
    if (!nodes.has(slice.node)) throw corrupt(`shard group ${slice.id} is on node ${slice.node}, which does not exist`);
    next = slice.max + 1;
  }
  if (next !== int32Max + 1) throw corrupt(`the shard groups of colocation group ${group.id} end before ${next}`);
  if (group.distributionType === undefined && group.shardGroups.length > 1) throw corrupt(`colocation group ${group.id} of single-shard tables has ${group.shardGroups.length} shard groups`);
}

function checkTable(table: CatalogTable, snapshot: CatalogSnapshot): void {
  if (table.kind === 'reference') return;
  const name = `${table.schema}.${table.name}`;
  const group = snapshot.colocationGroups.get(table.colocationId);
  if (group === undefined) throw corrupt(`table ${name} is in colocation group ${table.colocationId}, which does not exist`);
  if (table.shardIds.length !== group.shardGroups.length) {
    throw corrupt(`table ${name} has ${table.shardIds.length} shards and its colocation group ${group.shardGroups.length}`);
  }
  if ((table.distributionColumn === undefined) === (group.distributionType === undefined)) return;
  throw corrupt(`table ${name} ${table.distributionColumn === undefined ? 'has no' : 'has a'} distribution column, unlike other tables of colocation group ${group.id}`);
}

function corrupt(what: string): ClusterError {
  return new ClusterError('catalogCorrupt', what, { hint: 'Repair the tables of schema "shardwright" in the coordinator database.' });
}
