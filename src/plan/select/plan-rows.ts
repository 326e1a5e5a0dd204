import type { Node, SelectStmt } from '@pgsql/types';
import { present } from '../../base/assert.ts';
import { isDistinctOn } from '../../analyze/place-query.ts';
import { equalityKeyFor } from '../../sql/values/equality-key.ts';
import { nameParts, sameTree } from '../../sql/ast.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import type { DescribedColumn } from '../describe.ts';
import type { MergePlan, SortKey } from '../merge-plan.ts';
import type { Limits } from './limit.ts';
import { limitsOf, shardLimitSql } from './limit.ts';
import { targetNode } from './made-nodes.ts';
import { outputIndex } from './output-index.ts';
import { gatheredRelation, residualOver } from './residual.ts';
import type { FanOutDraft, SelectContext } from './select-context.ts';
import { describeMade, madeStatement } from './select-context.ts';
import { sortKeyFor } from './sort-keys.ts';
import { unsupported } from './unsupported.ts';

/**
 * A query whose select list is computed by each shard group completely: the rows are gathered, merged in order, made
 * distinct, limited. Hidden columns are added for ORDER BY items that are not selected.
 */
export async function planRows(context: SelectContext, options: { readonly distinctByShard: boolean }): Promise<FanOutDraft> {
  const { statement, description } = context;
  const limits = limitsOf(statement);
  if (limits === 'unknown') throw unsupported('LIMIT or OFFSET is an expression.', 'Pass it as a parameter.');
  const layout = layoutOf(statement, description.columns);
  const shard = shardStatement(context, layout, limits);
  const columns = (await describeMade(context, shard, { collations: layout.sorted.length > 0 || layout.distinct })).columns;
  const distinct = layout.distinct && !options.distinctByShard;
  const draft = {
    shard, columns: description.columns, rules: ['push_down_select'],
    shardOrder: orderByPositions(layout),
  };
  const merge = mergeInApplication(context, { layout, limits, columns, distinct });
  if (merge !== undefined) return { ...draft, merge: withoutHidden(merge, layout, columns.length), rules: [...draft.rules, ...rulesOf(merge)] };
  if (statement.lockingClause !== undefined && limits.limit !== undefined) {
    throw unsupported('Which rows FOR UPDATE or FOR SHARE would lock is decided by ORDER BY and LIMIT, by values that only a PostgreSQL can compare.', 'Add COLLATE "C" to the ORDER BY, or leave LIMIT out.');
  }
  return { ...draft, shardOrder: undefined, merge: finishByResidual({ layout, limits, columns, distinct }), rules: [...draft.rules, 'finish_by_residual'] };
}

/** Where the columns of the caller, of ORDER BY and of DISTINCT ON are in a shard query's rows. */
interface Layout {
  /** Columns that the caller gets. */
  readonly visible: number;
  readonly sorted: readonly { readonly item: Node; readonly column: number }[];
  readonly distinctOn: readonly number[];
  readonly distinct: boolean;
  readonly hidden: readonly Node[];
}

function layoutOf(statement: SelectStmt, columns: readonly DescribedColumn[]): Layout {
  const names = columns.map(({ name }) => name);
  const hidden: Node[] = [];
  const columnOf = (item: Node): number => {
    const index = outputIndex(item, statement, names);
    if (index !== undefined) return index;
    const known = hidden.findIndex((other) => sameTree(other, item));
    if (known >= 0) return names.length + known;
    hidden.push(item);
    return names.length + hidden.length - 1;
  };
  const sorted = (statement.sortClause ?? []).map((item) => ({ item, column: columnOf(sortedNode(item)) }));
  const distinctOn = isDistinctOn(statement) ? (statement.distinctClause ?? []).map(columnOf) : [];
  const distinct = statement.distinctClause !== undefined && !isDistinctOn(statement);
  return { visible: names.length, sorted, distinctOn, distinct, hidden };
}

export function sortedNode(item: Node): Node {
  return present('SortBy' in item ? item.SortBy.node : undefined, 'sort expression');
}

function shardStatement(context: SelectContext, layout: Layout, limits: Limits): ReturnType<typeof madeStatement> {
  const { statement } = context;
  const { limitCount, limitOffset, ...rest } = statement;
  if (layout.hidden.length === 0 && limitOffset === undefined) return context.original;
  const made: SelectStmt = {
    ...rest,
    limitOption: 'LIMIT_OPTION_DEFAULT',
    targetList: [...(statement.targetList ?? []), ...layout.hidden.map((node) => targetNode(node))],
  };
  if (limitCount === undefined || limits.limit === undefined) return madeStatement(made, '');
  return madeStatement(made, shardLimitSql(limits));
}

interface MergeInput {
  readonly layout: Layout;
  readonly limits: Limits;
  readonly columns: readonly DescribedColumn[];
  readonly distinct: boolean;
}

/** Undefined when some type or collation can only be compared by a PostgreSQL. */
function mergeInApplication(context: SelectContext, { layout, limits, columns, distinct }: MergeInput): MergePlan | undefined {
  if (layout.distinctOn.length > 0) return undefined;
  if (context.finishing !== 'application' && (layout.sorted.length > 0 || distinct)) return undefined;
  const keys: SortKey[] = [];
  for (const { item, column } of layout.sorted) {
    const key = sortKeyFor(item, column, columns[column]);
    if (key === undefined) return undefined;
    keys.push(key);
  }
  let merge: MergePlan = keys.length > 0 ? { kind: 'merge_sorted', keys } : { kind: 'gather' };
  if (distinct) {
    if (!columns.every(hasEqualityKey)) return undefined;
    merge = { kind: 'distinct', input: merge, columnTypes: columns.map(({ typeOid }) => typeOid) };
  }
  return limited(merge, limits, keys);
}

export function hasEqualityKey({ typeOid, collation }: DescribedColumn): boolean {
  return equalityKeyFor(typeOid) !== undefined && (collation?.deterministic ?? true);
}

export function limited(input: MergePlan, { limit, offset, withTies }: Limits, keys: readonly SortKey[]): MergePlan {
  if (limit === undefined && offset === undefined) return input;
  return { kind: 'limit', input, limit, offset, ties: withTies ? keys : undefined };
}

function withoutHidden(merge: MergePlan, { visible }: Layout, width: number): MergePlan {
  if (width === visible) return merge;
  return { kind: 'project', input: merge, columns: Array.from({ length: visible }, (_, i) => i) };
}

function rulesOf(merge: MergePlan): string[] {
  switch (merge.kind) {
    case 'merge_sorted':
      return ['merge_sorted'];
    case 'distinct':
      return [...rulesOf(merge.input), 'distinct'];
    case 'limit':
      return [...rulesOf(merge.input), 'keep_limit_above'];
    default:
      return [];
  }
}

function orderByPositions({ sorted }: Layout): string | undefined {
  if (sorted.length === 0) return undefined;
  return sorted.map(({ item, column }) => `${column + 1}${directionSql(item)}`).join(', ');
}

function directionSql(item: Node): string {
  if (!('SortBy' in item)) return '';
  const { sortby_dir, sortby_nulls, useOp } = item.SortBy;
  const direction = sortby_dir === 'SORTBY_DESC' ? ' DESC' : sortby_dir === 'SORTBY_USING' ? ` USING ${operatorSql(useOp)}` : '';
  if (sortby_nulls === 'SORTBY_NULLS_FIRST') return `${direction} NULLS FIRST`;
  return sortby_nulls === 'SORTBY_NULLS_LAST' ? `${direction} NULLS LAST` : direction;
}

/** `OPERATOR(schema.name)`: also for an operator without a schema, which is looked for along the search path. */
function operatorSql(name: readonly Node[] | undefined): string {
  const parts = nameParts(name);
  return parts.length === 1 ? (parts[0] ?? '') : `OPERATOR(${parts.slice(0, -1).map(quoteIdentifier).join('.')}.${parts.at(-1) ?? ''})`;
}

/** Sorting, DISTINCT and LIMIT over the gathered rows by a PostgreSQL. */
function finishByResidual({ layout, limits, columns, distinct }: MergeInput): MergePlan {
  const relation = gatheredRelation(columns);
  const on = layout.distinctOn.map((column) => relation.columnSql(column)).join(', ');
  const distinctSql = layout.distinctOn.length > 0 ? `DISTINCT ON (${on}) ` : distinct ? 'DISTINCT ' : '';
  const visible = Array.from({ length: layout.visible }, (_, i) => relation.columnSql(i)).join(', ');
  const order = layout.sorted.map(({ item, column }) => `${relation.columnSql(column)}${directionSql(item)}`);
  const orderSql = order.length > 0 ? ` ORDER BY ${order.join(', ')}` : '';
  return residualOver({ kind: 'gather' }, relation, {
    select: `${distinctSql}${visible}`,
    rest: `${orderSql}${limitClauses(limits)}`,
  });
}

export function limitClauses({ limit, offset, withTies }: Limits): string {
  const count = (value: NonNullable<typeof limit>): string =>
    value.kind === 'parameter' ? `$${value.number}::int8` : value.rows === null ? 'NULL' : String(value.rows);
  const offsetSql = offset === undefined ? '' : ` OFFSET ${count(offset)}`;
  if (limit === undefined) return offsetSql;
  return withTies ? `${offsetSql} FETCH FIRST (${count(limit)}) ROWS WITH TIES` : ` LIMIT ${count(limit)}${offsetSql}`;
}
