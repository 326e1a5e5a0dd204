import { sqlStateOf } from '../base/errors.ts';
import type { CatalogSnapshot, CatalogTable } from '../catalog/catalog-snapshot.ts';

/** A local table's row that refers to a distributed or reference table: the coordinator database finds no row in its shell, and says that there is none. The error itself gets a hint. */
export function tellOfShell(error: object, { tables }: Pick<CatalogSnapshot, 'tables'>): void {
  if (sqlStateOf(error) !== '23503' || !('table' in error) || !('detail' in error)) return;
  const named = /is not present in table "(.*)"\.$/s.exec(String(error.detail))?.[1];
  const known = (name: unknown, schema?: unknown): CatalogTable | undefined => [...tables.values()].find((table) => table.name === name && (schema === undefined || table.schema === schema));
  const referenced = named === undefined ? undefined : known(named);
  const schema = 'schema' in error ? error.schema : undefined;
  if (referenced === undefined || (referenced.kind === 'reference' && referenced.shellIsCopy) || known(error.table, schema) !== undefined) return;
  const kind = referenced.kind === 'reference' ? 'a reference table' : 'distributed';
  Object.assign(error, { hint: `Table "${referenced.name}" is ${kind}, and its rows are on the nodes: before "${String(error.table)}" takes rows that refer to it, ${referenced.kind === 'reference' ? 'drop its foreign key and add it again through the cluster, make it a reference table, or distribute it' : 'distribute it as well'}.` });
}
