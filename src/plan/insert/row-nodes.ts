import type { InsertStmt, Node } from '@pgsql/types';
import { holds } from '../../sql/ast.ts';

/** The values of the rows; one row without any for DEFAULT VALUES. */
export function rowNodes(insert: InsertStmt): readonly (readonly Node[])[] {
  const select = insert.selectStmt !== undefined && 'SelectStmt' in insert.selectStmt ? insert.selectStmt.SelectStmt : undefined;
  if (select === undefined) return [[]];
  return (select.valuesLists ?? []).map((row) => ('List' in row ? (row.List.items ?? []) : []));
}

/** The keyword DEFAULT. */
export function isDefault(node: Node | undefined): boolean {
  return node !== undefined && 'SetToDefault' in node;
}

export function hasSubquery(node: Node): boolean {
  return holds(node, 'SubLink');
}

/** Calls a function, or has a subquery that may. */
export function hasCall(node: unknown): boolean {
  return holds(node, 'FuncCall', 'SubLink');
}
