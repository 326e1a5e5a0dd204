import { quoteIdentifier } from './identifiers.ts';

export interface DefinedColumn {
  readonly name: string;
  /** Qualified, quoted, with modifier. */
  readonly typeSql: string;
  /** As SQL names it; undefined for the type's own, and for types without. */
  readonly collation: string | undefined;
}

/** As between the parentheses of CREATE TABLE, or behind a function of records. */
export function columnDefinitions(columns: readonly DefinedColumn[]): string {
  return columns.map((column) => `${quoteIdentifier(column.name)} ${column.typeSql}${collateClause(column)}`).join(', ');
}

export function collateClause({ collation }: Pick<DefinedColumn, 'collation'>): string {
  return collation === undefined || collation === '"default"' ? '' : ` COLLATE ${collation}`;
}
