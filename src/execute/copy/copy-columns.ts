import { ClusterError } from '../../base/errors.ts';
import type { CatalogTable, Column } from '../../catalog/catalog-snapshot.ts';
import type { CopyStatement } from './copy-statement.ts';

/** The columns that a COPY of the table reads or writes, in their order in the data. `undefinedColumn`. */
export function copyColumns(copy: CopyStatement, table: CatalogTable): Column[] {
  const listed = copy.subject.kind === 'table' ? copy.subject.columns : undefined;
  if (listed === undefined) return table.columns.filter(({ generated }) => !generated);
  return listed.map((name) => {
    const column = table.columns.find((candidate) => candidate.name === name);
    if (column !== undefined) return column;
    throw new ClusterError('undefinedColumn', `column "${name}" of relation "${table.name}" does not exist`);
  });
}
