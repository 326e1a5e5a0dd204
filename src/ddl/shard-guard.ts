import { at } from '../base/assert.ts';
import type { ColocationGroup } from '../catalog/catalog-snapshot.ts';
import type { DistributionType } from '../catalog/hash/distribution-type.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import type { ShardWish } from './render-shard.ts';
import type { TableDefinition } from './table-definition.ts';

interface HashedColumn {
  readonly column: { readonly name: string };
  readonly type: DistributionType;
}

interface Guarded {
  readonly group: Pick<ColocationGroup, 'hash' | 'shardGroups'>;
  readonly ordinal: number;
}

/** The hashes that belong to a shard, where its server can tell them: not of family murmur3, of partitioned tables, whose partitions do, and of single-shard tables. */
export function guardOf({ partitionKey }: TableDefinition, distribution: HashedColumn | undefined, { group, ordinal }: Guarded): ShardWish['hash'] {
  if (distribution === undefined || group.hash !== 'postgres' || partitionKey !== null) return undefined;
  return { sql: distribution.type.hashSql(quoteIdentifier(distribution.column.name)), range: at(group.shardGroups, ordinal) };
}
