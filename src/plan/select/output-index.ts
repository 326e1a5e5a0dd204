import type { Node, SelectStmt } from '@pgsql/types';
import { nameParts, sameTree } from '../../sql/ast.ts';

/**
 * The output column that an ORDER BY or GROUP BY item means by PostgreSQL's rules: a position, an output name (ORDER BY only), or
 * the expression of a select list item. From 0; undefined when it is none. `names`: of all output columns, stars expanded.
 */
export function outputIndex(item: Node, statement: SelectStmt, names: readonly string[]): number | undefined {
  if ('A_Const' in item && item.A_Const.ival !== undefined) return (item.A_Const.ival.ival ?? 0) - 1;
  const bare = bareName(item);
  if (bare !== undefined) {
    const index = names.indexOf(bare);
    if (index >= 0) return index;
  }
  return expressionIndex(item, statement, names.length);
}

/** The position of an equal expression in a select list without stars. */
export function expressionIndex(item: Node, statement: SelectStmt, columns: number): number | undefined {
  const targets = statement.targetList ?? [];
  if (targets.length !== columns) return undefined;
  const index = targets.findIndex((target) => {
    const value = 'ResTarget' in target ? target.ResTarget.val : undefined;
    return value !== undefined && sameTree(value, item);
  });
  return index < 0 ? undefined : index;
}

export function bareName(item: Node): string | undefined {
  const parts = 'ColumnRef' in item ? nameParts(item.ColumnRef.fields) : [];
  return parts.length === 1 && parts[0] !== '*' ? parts[0] : undefined;
}
