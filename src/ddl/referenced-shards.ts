import { present } from '../base/assert.ts';
import { shardId, type ShardId } from '../catalog/ids.ts';
import type { TableDefinition } from './table-definition.ts';

/** The shards that foreign keys of the shard with this ordinal refer to, the one that it is a partition of, and those whose indexes belong to one of its that is not valid, by the OID of the other table. */
export function referencedShards(table: TableDefinition, ordinal: number): Map<number, ShardId> {
  const shards = new Map<number, ShardId>();
  const related = (table.constraints ?? []).flatMap(({ foreign }) => (foreign === null ? [] : [foreign.table]));
  if (table.partitionOf !== null) related.push(table.partitionOf.table);
  related.push(...(table.indexes ?? []).flatMap(({ parts }) => (parts ?? []).map((part) => part.table)));
  for (const { oid, distribution } of related) {
    if (distribution !== null) shards.set(oid, shardId(present(distribution.shardIds[distribution.kind === 'reference' ? 0 : ordinal])));
  }
  return shards;
}
