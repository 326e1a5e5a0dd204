import type { CatalogSnapshot, CatalogTable, DistributedTable } from './catalog-snapshot.ts';
import { tableByOid } from './table-by-oid.ts';

/**
 * A unique constraint over all shards of a table, on columns without its distribution column. A distributed table of its own, the lookup table, has the keys, placed by their first column, and for each the distribution value
 * of its row; so it also tells in which shard the row is.
 */
export interface UniqueLookup {
  readonly id: number;
  /** What errors call the constraint. */
  readonly name: string;
  /** OID of the shell of the table that it is of. */
  readonly table: number;
  /** OIDs of the shells of the tables that have its rows: `table` itself, and all partitions below it. */
  readonly tables: ReadonlySet<number>;
  /** OID of the shell of its lookup table, whose columns are `columns` and the distribution column, under the same names. */
  readonly lookupTable: number;
  /** Names of the table's columns, in order. */
  readonly columns: readonly string[];
  /** Whether every row is in it. While it is built it is written, but not read. */
  readonly valid: boolean;
  /** OIDs of the shells of all tables to which a write may change the table's rows: itself, its partitions, those from which a foreign key's action reaches any of them, and all that is partitioned together with these. */
  readonly writtenThrough: ReadonlySet<number>;
}

/** Whether a table is the library's own, for a lookup. */
export function isLookupTable({ lookups }: { readonly lookups: readonly UniqueLookup[] }, oid: number): boolean {
  return lookups.some(({ lookupTable }) => lookupTable === oid);
}

/** Those which a write to one of these tables may have to keep. */
export function lookupsWrittenThrough(lookups: readonly UniqueLookup[], tables: readonly CatalogTable[]): readonly UniqueLookup[] {
  return lookups.length === 0 ? lookups : lookups.filter(({ writtenThrough }) => tables.some(({ oid }) => writtenThrough.has(oid)));
}

/** The tables in which its rows are: the table that it is of, or the partitions that are not partitioned themselves; in order of OIDs. */
export function leavesOf(snapshot: CatalogSnapshot, { tables }: UniqueLookup): DistributedTable[] {
  return [...tables].sort((a, b) => a - b).flatMap((oid) => {
    const table = tableByOid(snapshot, oid);
    return table?.kind === 'distributed' && !table.partitioned ? [table] : [];
  });
}
