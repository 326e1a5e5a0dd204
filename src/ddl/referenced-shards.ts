import { present } from '../base/assert.ts';
import { shardId, type ShardId } from '../catalog/ids.ts';
import type { TableDefinition } from './table-definition.ts';

/** The shards that foreign keys of the shard with this ordinal refer to, by the OID of the other table. */
export function referencedShards(table: TableDefinition, ordinal: number): Map<number, ShardId> {
  const shards = new Map<number, ShardId>();
  for (const { foreign } of table.constraints ?? []) {
    const distribution = foreign?.table.distribution;
    if (foreign === null || distribution === null || distribution === undefined) continue;
    shards.set(foreign.table.oid, shardId(present(distribution.shardIds[distribution.kind === 'reference' ? 0 : ordinal])));
  }
  return shards;
}
