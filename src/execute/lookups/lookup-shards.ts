import { at, present } from '../../base/assert.ts';
import type { CatalogSnapshot, DistributedTable } from '../../catalog/catalog-snapshot.ts';
import type { NodeId } from '../../catalog/ids.ts';
import { tableByOid } from '../../catalog/table-by-oid.ts';
import type { UniqueLookup } from '../../catalog/unique-lookup.ts';
import { placerOf } from '../../plan/prune.ts';
import { shardSql } from '../../plan/shard-template.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import type { StatementScope } from '../statement-scope.ts';
import { placeValues } from '../write/place-values.ts';
import type { LookupKey } from './lookup-change.ts';

/** A shard of a lookup table. */
export interface LookupShard {
  readonly node: NodeId;
  readonly sql: string;
  /** Of the lookup, then the distribution column, quoted. */
  readonly columns: readonly string[];
  /** Their types, fit for a cast. */
  readonly types: readonly string[];
}

/** The lookup table of a lookup. */
export function lookupTableOf(snapshot: CatalogSnapshot, { lookupTable }: UniqueLookup): DistributedTable {
  const table = tableByOid(snapshot, lookupTable);
  return present(table?.kind === 'distributed' ? table : undefined, 'lookup table');
}

export function lookupShard(snapshot: CatalogSnapshot, table: DistributedTable, ordinal: number): LookupShard {
  const { node } = at(placerOf(table, snapshot).group.shardGroups, ordinal);
  return {
    node, sql: shardSql(table, ordinal),
    columns: table.columns.map(({ name }) => quoteIdentifier(name)), types: table.columns.map(({ type }) => type.sql),
  };
}

/** The ordinals of the shards in which keys are. Asks the coordinator database for what only a server can hash. */
export function placeKeys(scope: Pick<StatementScope, 'run'>, { snapshot, table }: { readonly snapshot: CatalogSnapshot; readonly table: DistributedTable }, keys: readonly LookupKey[]): Promise<readonly number[]> {
  return placeValues(scope, { table, placer: placerOf(table, snapshot) }, keys.map((key) => at(key, 0)));
}

/** `keys` as rows, for FROM: their columns are called as the table's. */
export function keyRows({ columns, types }: LookupShard): string {
  return `ROWS FROM (${types.map((type, i) => `pg_catalog.unnest($${i + 1}::${type}[])`).join(', ')}) AS k (${columns.join(', ')})`;
}

/** The parameters of `keyRows`: an array for each column. */
export function keyArrays({ columns }: LookupShard, keys: readonly LookupKey[]): readonly (readonly string[])[] {
  return columns.map((_, i) => keys.map((key) => at(key, i)));
}
