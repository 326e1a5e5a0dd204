import type { CatalogSnapshot, CatalogTable } from './catalog-snapshot.ts';

/** Undefined when the table is no distributed or reference table any more. */
export function tableByOid({ tables }: CatalogSnapshot, oid: number): CatalogTable | undefined {
  for (const table of tables.values()) if (table.oid === oid) return table;
  return undefined;
}
