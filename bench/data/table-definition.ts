/** Where a table's rows go in the cluster. On one plain PostgreSQL it means nothing. */
export type TablePlacement =
  | { readonly kind: 'distributed'; readonly column: string; readonly colocateWith?: string }
  | { readonly kind: 'reference' };

/** A table of a data set: how to make it, empty, and how to place it. */
export interface TableDefinition {
  readonly name: string;
  readonly columns: readonly string[];
  /** CREATE TABLE and CREATE INDEX, one statement each. */
  readonly statements: readonly string[];
  readonly placement: TablePlacement;
}

/** `COPY clicks (company_id, id) FROM STDIN`: in text format, in the order of the definition's columns. */
export function copyStatement(table: TableDefinition): string {
  return `COPY ${table.name} (${table.columns.join(', ')}) FROM STDIN`;
}
