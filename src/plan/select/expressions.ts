import type { Node, SelectStmt } from '@pgsql/types';
import { groupedExpression, groupItems } from '../../analyze/place-query.ts';
import type { Scope } from '../../analyze/scope.ts';
import { resolveColumn } from '../../analyze/scope.ts';
import { nameParts, replaceNodes } from '../../sql/ast.ts';
import { bareName } from './output-index.ts';
import { gatheredAlias } from './residual.ts';

/** GROUP BY items as expressions: positions and output names resolved as PostgreSQL does (an input column goes first). */
export function groupExpressions(statement: SelectStmt, scope: Scope): Node[] {
  return groupItems(statement).map((item) => namedExpression(item, statement, scope));
}

function namedExpression(item: Node, statement: SelectStmt, scope: Scope): Node {
  if ('GroupingSet' in item) {
    const { content, ...set } = item.GroupingSet;
    const items = content?.map((inner) => namedExpression(groupedExpression(inner, statement), statement, scope));
    return { GroupingSet: { ...set, ...(items === undefined ? {} : { content: items }) } };
  }
  if ('RowExpr' in item) {
    const { args, ...row } = item.RowExpr;
    const items = args?.map((inner) => namedExpression(groupedExpression(inner, statement), statement, scope));
    return { RowExpr: { ...row, ...(items === undefined ? {} : { args: items }) } };
  }
  const name = bareName(item);
  if (name === undefined || ('ColumnRef' in item && resolveColumn(scope, item.ColumnRef.fields) !== undefined)) return item;
  for (const target of statement.targetList ?? []) {
    if ('ResTarget' in target && target.ResTarget.name === name && target.ResTarget.val !== undefined) return target.ResTarget.val;
  }
  return item;
}

/** The expression with resolved columns by their ids, so that `x` and `t.x` compare equal. */
export function canonicalExpression(node: Node, scope: Scope): Node {
  return replaceNodes(node, (inner) => {
    if (!('ColumnRef' in inner)) return undefined;
    const column = resolveColumn(scope, inner.ColumnRef.fields);
    return column === undefined ? undefined : { ColumnRef: { fields: [{ Integer: { ival: column.id } }] } };
  });
}

/**
 * The statement with `replace` applied to its select list, grouping, HAVING, windows and ORDER BY. ORDER BY items that are output names stay.
 */
export function substituted(statement: SelectStmt, names: readonly string[], replace: (node: Node) => Node | undefined): SelectStmt {
  const { targetList, groupClause, havingClause, sortClause, windowClause, distinctClause, ...rest } = statement;
  const keepNames = (item: Node): Node => {
    if (!('SortBy' in item) || item.SortBy.node === undefined) return item;
    const name = bareName(item.SortBy.node);
    return name !== undefined && names.includes(name) ? item : replaceNodes(item, replace);
  };
  return {
    ...rest,
    ...(targetList === undefined ? {} : { targetList: replaceNodes(targetList, replace) }),
    ...(groupClause === undefined ? {} : { groupClause: replaceNodes(groupClause, replace) }),
    ...(havingClause === undefined ? {} : { havingClause: replaceNodes(havingClause, replace) }),
    ...(sortClause === undefined ? {} : { sortClause: sortClause.map(keepNames) }),
    ...(windowClause === undefined ? {} : { windowClause: replaceNodes(windowClause, replace) }),
    ...(distinctClause === undefined ? {} : { distinctClause: replaceNodes(distinctClause, replace) }),
  };
}

/**
 * Column references that still mean the query's own tables after a substitution, each once. Undefined when a subquery or a star is left:
 * those cannot be computed above the gather.
 */
export function foreignReferences(statement: SelectStmt, names: readonly string[]): Node[] | undefined {
  const { targetList, havingClause, sortClause, windowClause, distinctClause } = statement;
  const sorted = (sortClause ?? []).filter((item) => {
    const name = 'SortBy' in item && item.SortBy.node !== undefined ? bareName(item.SortBy.node) : undefined;
    return name === undefined || !names.includes(name);
  });
  const found = new Map<string, Node>();
  const complete = collect([targetList, havingClause, sorted, windowClause, distinctClause], found);
  return complete ? [...found.values()] : undefined;
}

function collect(tree: unknown, found: Map<string, Node>): boolean {
  if (Array.isArray(tree)) return tree.every((item) => collect(item, found));
  if (typeof tree !== 'object' || tree === null) return true;
  if ('SubLink' in tree) return false;
  if ('ColumnRef' in tree) {
    const node = tree as Node & { ColumnRef: { fields?: Node[] } };
    const parts = nameParts(node.ColumnRef.fields);
    if (parts.at(-1) === '*') return false;
    if (parts[0] !== gatheredAlias) found.set(JSON.stringify(parts), { ColumnRef: { fields: node.ColumnRef.fields ?? [] } });
    return true;
  }
  return Object.values(tree).every((value) => collect(value, found));
}
