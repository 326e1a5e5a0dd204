import { ClusterError } from '../../base/errors.ts';
import type { CatalogTable, Column } from '../../catalog/catalog-snapshot.ts';
import type { CopyOptions } from './copy-options.ts';
import { addedColumns } from './added-columns.ts';

/**
 * Under the DEFAULT option any row may ask for any listed column's default: `unsupportedQuery` when that is one that the nodes
 * may not compute.
 */
export function refuseDefaultMarker(options: CopyOptions, table: CatalogTable, listed: readonly Column[]): void {
  if (options.default === undefined) return;
  const names = new Set(listed.map(({ name }) => name));
  const needed = addedColumns(table, []).find(({ column }) => names.has(column.name));
  if (needed === undefined) return;
  throw new ClusterError('unsupportedQuery', `cannot COPY with a DEFAULT marker into column "${needed.column.name}"`, {
    detail: 'Its default is a sequence of the coordinator database, or must be the same on all nodes.',
    hint: 'Leave out the option DEFAULT, or leave the column out of the column list.',
  });
}
