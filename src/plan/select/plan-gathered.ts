import type { Node, SelectStmt } from '@pgsql/types';
import { present } from '../../base/assert.ts';
import { aggregateCalls } from '../../analyze/function-calls.ts';
import type { Relation } from '../../analyze/relation.ts';
import type { Scope } from '../../analyze/scope.ts';
import { nameParts, sameTree } from '../../sql/ast.ts';
import { canonicalExpression, foreignReferences, groupExpressions, substituted } from './expressions.ts';
import { columnNode, integerNode, targetNode } from './made-nodes.ts';
import { dependOnGroup, residualMerge, setExpressions } from './plan-aggregate.ts';
import { gatheredAlias, gatheredColumn } from './residual.ts';
import type { FanOutDraft, SelectContext } from './select-context.ts';
import { describeMade, madeStatement } from './select-context.ts';
import { unsupported } from './unsupported.ts';

/**
 * The general rule: shard groups filter and join; the columns that remain are gathered, and a PostgreSQL computes the select list,
 * groups, windows and order over them. For windows across shard groups, grouping sets, aggregates that cannot be split.
 */
export async function planGathered(context: SelectContext): Promise<FanOutDraft> {
  const { statement } = context;
  const query = present(context.query, 'select query');
  if (statement.lockingClause !== undefined) throw refused('FOR UPDATE or FOR SHARE over rows of several shard groups.');
  const expanded = withoutStars(statement, query.scope);
  const names = context.description.columns.map(({ name }) => name);
  const resolved: SelectStmt = expanded.groupClause === undefined ? expanded : withDependents(context, { ...expanded, groupClause: groupExpressions(expanded, query.scope) });
  const needed = foreignReferences({ ...resolved, ...(resolved.groupClause === undefined ? {} : { windowClause: [...(resolved.windowClause ?? []), ...resolved.groupClause] }) }, names);
  if (needed === undefined) throw refused('A subquery or a whole row stands beside aggregates or windows over several shard groups.');
  const shard = madeStatement(shardStatement(statement, needed), '');
  const rows = (await describeMade(context, shard, { collations: true })).columns;
  const made = substituted(resolved, names, (node) => {
    if (!('ColumnRef' in node)) return undefined;
    const index = needed.findIndex((other) => sameTree(other, { ColumnRef: { fields: node.ColumnRef.fields } }));
    return index < 0 ? undefined : columnNode(gatheredAlias, gatheredColumn(index));
  });
  const { whereClause: _where, ...above } = made;
  const merge = residualMerge(context, above, { combined: { kind: 'gather' }, rows });
  if (merge === undefined) throw unsupported('LIMIT or OFFSET is an expression.', 'Pass it as a parameter.');
  return { shard, shardOrder: undefined, merge, columns: context.description.columns, rules: ['gather_columns', 'finish_by_residual'] };
}

function refused(detail: string): Error {
  return unsupported(detail, 'Filter by the distribution column, or run the parts as separate statements.');
}

/**
 * Columns that PostgreSQL takes beside a grouped primary key: above the gather there is no key, so they are grouped by, too. With grouping sets it takes them
 * where each set has the key: beside the sets they then come into each.
 */
function withDependents(context: SelectContext, statement: SelectStmt): SelectStmt {
  const groups = statement.groupClause ?? [];
  const { scope } = present(context.query);
  const calls = aggregateCalls([statement.targetList, statement.havingClause, statement.sortClause, statement.windowClause], (call) => context.isAggregate(call));
  const grouped = setExpressions(groups);
  const canonical = grouped.map((group) => canonicalExpression(group, scope));
  const names = context.description.columns.map(({ name }) => name);
  const covered = substituted(statement, names, (node) => {
    if ('FuncCall' in node && calls.includes(node.FuncCall)) return columnNode(gatheredAlias, 'aggregate');
    const own = canonicalExpression(node, scope);
    return canonical.some((group) => sameTree(group, own)) ? columnNode(gatheredAlias, 'group') : undefined;
  });
  const leftover = foreignReferences(covered, names) ?? [];
  if (leftover.length === 0) return statement;
  if (!dependOnGroup(leftover, grouped, scope)) throw refused('A column depends on a grouped key beside a grouped expression that it is part of.');
  return { ...statement, groupClause: [...groups, ...leftover] };
}

function shardStatement(statement: SelectStmt, needed: readonly Node[]): SelectStmt {
  const targets = needed.length === 0 ? [integerNode(1)] : needed;
  return {
    ...(statement.withClause === undefined ? {} : { withClause: statement.withClause }),
    targetList: targets.map((node) => targetNode(node)),
    ...(statement.fromClause === undefined ? {} : { fromClause: statement.fromClause }),
    ...(statement.whereClause === undefined ? {} : { whereClause: statement.whereClause }),
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  };
}

/** Stars of the select list written out. */
function withoutStars(statement: SelectStmt, scope: Scope): SelectStmt {
  const targetList = (statement.targetList ?? []).flatMap((target): Node[] => {
    const value = 'ResTarget' in target ? target.ResTarget.val : undefined;
    const parts = value !== undefined && 'ColumnRef' in value ? nameParts(value.ColumnRef.fields) : [];
    return parts.at(-1) === '*' ? starTargets(parts, scope) : [target];
  });
  return { ...statement, targetList };
}

function starTargets(parts: readonly string[], scope: Scope): Node[] {
  const alias = parts.at(-2);
  const relations = scope.relations.filter((relation) => alias === undefined || relation.alias === alias);
  const ids = new Set(relations.flatMap((relation) => (relation.columns ?? []).map((_, i) => relation.firstColumn + i)));
  const columns = alias === undefined
    ? scope.visible
    : relations.flatMap((relation) => (relation.columns ?? []).map(({ name }, i) => ({ name, id: relation.firstColumn + i })));
  if (relations.some((relation) => relation.columns === undefined) || columns.some(({ id }) => !ids.has(id))) {
    throw refused('A star stands for columns that only a server knows.');
  }
  return columns.map(({ name, id }) => targetNode(columnNode(aliasOf(relations, id), name)));
}

function aliasOf(relations: readonly Relation[], id: number): string {
  const relation = relations.find(({ firstColumn, columns }) => id >= firstColumn && id < firstColumn + (columns?.length ?? 0));
  return present(relation, 'relation').alias;
}
