import type { Residual } from '../merge-plan.ts';
import { collateClause } from '../../sql/column-definitions.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';

/** A relation in SQL, in parentheses, with one row of NULLs in columns of these types. */
export function nullRow(columns: Residual['columns']): string {
  const list = columns.map((column) => `CAST(NULL AS ${column.typeSql})${collateClause(column)} AS ${quoteIdentifier(column.name)}`);
  return `(SELECT ${list.join(', ')})`;
}
