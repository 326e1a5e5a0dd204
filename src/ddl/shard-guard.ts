import { at } from '../base/assert.ts';
import type { ColocationGroup } from '../catalog/catalog-snapshot.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import type { DistributionColumn } from './check-distribution-column.ts';
import type { ShardWish } from './render-shard.ts';
import type { TableDefinition } from './table-definition.ts';

interface Guarded {
  readonly group: Pick<ColocationGroup, 'hash' | 'shardGroups'>;
  readonly ordinal: number;
}

/** The hashes that belong to a shard, where its server can tell them: not of family murmur3, of partitioned tables, whose partitions do, and of single-shard tables. */
export function guardOf({ partitionKey }: TableDefinition, distribution: Pick<DistributionColumn, 'column' | 'type'> | undefined, { group, ordinal }: Guarded): ShardWish['hash'] {
  if (distribution === undefined || group.hash !== 'postgres' || partitionKey !== null) return undefined;
  return { sql: distribution.type.hashSql(quoteIdentifier(distribution.column.name)), range: at(group.shardGroups, ordinal) };
}
