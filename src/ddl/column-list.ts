import { quoteIdentifier } from '../sql/identifiers.ts';
import type { TableDefinition } from './table-definition.ts';

/** The columns whose values are stored, quoted, for COPY; generated ones are computed anew. */
export function columnList(table: TableDefinition): string {
  const stored = table.columns.filter(({ generated }) => generated === null);
  return stored.map(({ name }) => quoteIdentifier(name)).join(', ');
}
