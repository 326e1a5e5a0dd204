import type { CatalogTable } from '../catalog/catalog-snapshot.ts';
import type { ComparedRows } from './compared-rows.ts';

/** What of a table's rows is compared, and how they are told apart: by the first unique index over columns that are all NOT NULL. */
export function comparedRows({ columns, indexes }: CatalogTable): ComparedRows {
  const isKey = (name: string | undefined): name is string => columns.some((column) => column.name === name && column.notNull);
  const key = indexes.find((index) => index.unique && !index.partial && index.columns.every(isKey))?.columns.filter(isKey);
  return { columns: columns.map(({ name, type }) => ({ name, type: type.sql })), key };
}
