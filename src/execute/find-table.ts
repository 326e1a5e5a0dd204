import { RelationNames } from '../analyze/relation-names.ts';
import { ClusterError } from '../base/errors.ts';
import type { CatalogSnapshot, CatalogTable } from '../catalog/catalog-snapshot.ts';

/** The table that a possibly qualified and quoted name means; `undefinedTable` and `notDistributed` apart is the server's to tell. */
export function findTable(snapshot: CatalogSnapshot, name: string): CatalogTable {
  const parts = nameParts(name);
  const table = new RelationNames(snapshot, snapshot.server.searchPath).resolve(parts.at(-2), parts.at(-1) ?? '');
  if (table !== undefined) return table;
  throw new ClusterError('notDistributed', `table ${name} is neither distributed nor a reference table`, { hint: 'Call createDistributedTable() first.' });
}

/** `a.b`, `"A"."b"` → parts, folded to lower case where not quoted. */
function nameParts(name: string): string[] {
  const parts = name.match(/"(?:[^"]|"")*"|[^."]+/g) ?? [name];
  return parts.map((part) => (part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part.trim().toLowerCase()));
}
