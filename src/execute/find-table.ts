import { RelationNames } from '../analyze/relation-names.ts';
import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot, CatalogTable } from '../catalog/catalog-snapshot.ts';
import { namePartsOf } from '../sql/identifiers.ts';

/** The table that a possibly qualified and quoted name means; `undefinedTable` and `notDistributed` apart is the server's to tell. */
export function findTable(snapshot: CatalogSnapshot, name: string): CatalogTable {
  const parts = namePartsOf(name);
  const table = new RelationNames(snapshot, snapshot.server.searchPath).resolve(parts.at(-2), parts.at(-1) ?? '');
  if (table !== undefined) return table;
  throw new ClusterError('notDistributed', `table ${name} is neither distributed nor a reference table`, { hint: 'Call createDistributedTable() first.' });
}
