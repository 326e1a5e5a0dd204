import type { SentColumn } from '../analyze/result-table.ts';
import type { RawRow } from '../cluster/node-connection.ts';
import { collateClause } from '../sql/column-definitions.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';

/**
 * Rows as a relation in SQL, in parentheses: one array parameter of text per column from `$first` on, whose values get their types and
 * collations back.
 */
export function arraysSql(columns: readonly SentColumn[], { first, rows }: { readonly first: number; readonly rows: number }): string {
  if (columns.length === 0) return `(SELECT FROM pg_catalog.generate_series(1, ${rows}))`;
  const names = columns.map((_, i) => `c${i + 1}`).join(', ');
  const arrays = columns.map((_, i) => `$${first + i}::text[]`).join(', ');
  const list = columns.map((column, i) => `CAST(u.c${i + 1} AS ${column.typeSql})${collateClause(column)} AS ${quoteIdentifier(column.name)}`).join(', ');
  return `(SELECT ${list} FROM unnest(${arrays}) AS u(${names}))`;
}

/** The values of its parameters. */
export function arraysOf(columns: readonly SentColumn[], rows: readonly RawRow[]): (string | null)[][] {
  return columns.map((_, i) => rows.map((row) => row[i] ?? null));
}
