import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import { tableByOid } from '../catalog/table-by-oid.ts';
import { lookupTableOf } from '../execute/lookups/lookup-shards.ts';

/** A unique lookup, as `cluster.lookups()` lists it. */
export interface LookupInfo {
  /** What errors call the constraint. */
  readonly name: string;
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly string[];
  /** False while it is built: call `createUniqueLookup()` again where that has been broken off. */
  readonly valid: boolean;
  /** The table of schema `shardwright` that has its keys: `shards()` tells where they are. */
  readonly lookupTable: string;
}

/** In the order in which they were made. */
export function listLookups(snapshot: CatalogSnapshot): LookupInfo[] {
  return snapshot.lookups.flatMap((lookup) => {
    const table = tableByOid(snapshot, lookup.table);
    if (table === undefined) return [];
    return [{ name: lookup.name, schema: table.schema, table: table.name, columns: lookup.columns, valid: lookup.valid, lookupTable: lookupTableOf(snapshot, lookup).name }];
  });
}

/** Names of columns as a caller gives them: one, several, or the text of an array. */
export function columnsOf(given: string | readonly string[]): readonly string[] {
  if (typeof given !== 'string') return given;
  return /^\{.*\}$/.test(given) ? given.slice(1, -1).split(',') : [given];
}
