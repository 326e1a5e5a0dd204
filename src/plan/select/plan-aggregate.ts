import type { FuncCall, Node, ResTarget, SelectStmt } from '@pgsql/types';
import { at, present } from '../../base/assert.ts';
import { aggregateCalls } from '../../analyze/function-calls.ts';
import type { Scope } from '../../analyze/scope.ts';
import { hasGroupingSets } from '../../analyze/grouping.ts';
import { sameTree } from '../../sql/ast.ts';
import type { DescribedColumn } from '../describe.ts';
import type { Combine, MergePlan, SortKey } from '../merge-plan.ts';
import { castToType } from '../typed-parameters.ts';
import { canonicalExpression, foreignReferences, groupExpressions, substituted } from './expressions.ts';
import { filterConditions } from './filter-conditions.ts';
import { limitsOf } from './limit.ts';
import { columnNode, integerNode, targetNode } from './made-nodes.ts';
import { outputIndex } from './output-index.ts';
import { hasEqualityKey, limitClauses, limited, sortedNode } from './plan-rows.ts';
import { gatheredAlias, gatheredColumn, gatheredName, gatheredRelation, residualOf } from './residual.ts';
import type { FanOutDraft, SelectContext } from './select-context.ts';
import { describeMade, madeStatement } from './select-context.ts';
import { sortKeyFor } from './sort-keys.ts';
import type { SplitAggregate } from './split-aggregate.ts';
import { splitAggregate } from './split-aggregate.ts';

/**
 * Aggregates over groups that lie on several shard groups: partial results below, combined above. Undefined when an aggregate cannot be
 * split, or an expression of the select list cannot be told from groups and aggregates. Of grouping sets the partial results are of the finest groups, by all expressions of all sets.
 */
export async function planAggregate(context: SelectContext): Promise<FanOutDraft | undefined> {
  const pieces = piecesOf(context);
  if (pieces === undefined || !pieces.calls.every((call) => context.isBuiltin(call))) return undefined;
  const probe = await describeMade(context, madeStatement(probeStatement(context.statement, pieces), ''), { collations: false });
  const resultTypes = probe.columns.slice(pieces.groups.length);
  const splits = splitAll(pieces.calls, resultTypes);
  if (splits === undefined) return undefined;
  const shardLayout = layoutOf(pieces, splits);
  const shard = madeStatement(shardStatement(context.statement, shardLayout), '');
  const columns = (await describeMade(context, shard, { collations: true })).columns;
  const base = { shard, shardOrder: undefined, columns: context.description.columns };
  const combines = context.finishing !== 'application' || hasGroupingSets(context.statement) ? undefined : combinesOf(shardLayout, columns);
  const grouped = columns.slice(0, pieces.groups.length);
  if (combines !== undefined && grouped.every(hasEqualityKey)) {
    const combined: MergePlan = { kind: 'combine_aggregates', input: { kind: 'gather' }, groupTypes: grouped.map(({ typeOid }) => typeOid), combines };
    const rows = [...grouped, ...resultTypes.map((type, i) => ({ ...type, collation: collationOfCombined(combines[i], columns) }))];
    const finished = finishInApplication(context, pieces, { combined, rows }) ?? finishByResidual(context, pieces, { combined, rows });
    return finished === undefined ? undefined : { ...base, ...finished };
  }
  const finished = combineByResidual(context, pieces, { layout: shardLayout, columns, resultTypes });
  return finished === undefined ? undefined : { ...base, ...finished };
}

/** What a grouped query is made of. */
interface Pieces {
  readonly groups: readonly Node[];
  readonly calls: readonly FuncCall[];
}

/**
 * Columns that are neither grouped nor aggregated depend on the group (PostgreSQL has accepted the statement): grouping by them too changes
 * nothing. That is only certain when all groups are plain columns.
 */
function piecesOf(context: SelectContext): Pieces | undefined {
  const { statement } = context;
  if (context.query === undefined) return undefined;
  const { scope } = context.query;
  const expressions = [statement.targetList, statement.havingClause, statement.sortClause, statement.windowClause];
  const calls = unique(aggregateCalls(expressions, (call) => context.isAggregate(call)));
  const sets = hasGroupingSets(statement);
  const groups = sets ? unique(setExpressions(groupExpressions(statement, scope))) : groupExpressions(statement, scope);
  const names = context.description.columns.map(({ name }) => name);
  const leftover = foreignReferences(substituteOver(context, { groups, calls }), names);
  if (leftover === undefined) return undefined;
  if (leftover.length === 0) return { groups, calls };
  if (sets) return undefined;
  return dependOnGroup(leftover, groups, scope) ? { groups: [...groups, ...leftover], calls } : undefined;
}

/** Whether grouping sets name equal expressions in different ways: PostgreSQL then has two groups of them, which the expressions alone do not tell. */
export function mergesGroups(statement: SelectStmt, scope: Scope): boolean {
  const written = setExpressions(statement.groupClause ?? []);
  const meant = setExpressions(groupExpressions(statement, scope)).map((node) => canonicalExpression(node, scope));
  return meant.some((node, i) => meant.some((other, j) => j < i && sameTree(node, other) && !sameTree(at(written, i), at(written, j))));
}

/** What grouping sets are made of, at any depth. */
export function setExpressions(items: readonly Node[]): Node[] {
  return items.flatMap((item) => {
    if ('GroupingSet' in item) return setExpressions(item.GroupingSet.content ?? []);
    return 'RowExpr' in item && item.RowExpr.row_format === 'COERCE_IMPLICIT_CAST' ? setExpressions(item.RowExpr.args ?? []) : [item];
  });
}

/**
 * Whether columns outside groups and aggregates depend on the group's key, so that grouping by them too changes nothing. One that stands in a
 * grouped expression may only not have been recognised there: `x + 1` and `(x) + 1::int`.
 */
export function dependOnGroup(columns: readonly Node[], groups: readonly Node[], scope: Scope): boolean {
  const within = new Set<string>();
  for (const group of groups) if (!('ColumnRef' in group)) collectColumns(canonicalExpression(group, scope), within);
  return columns.every((column) => !within.has(JSON.stringify(canonicalExpression(column, scope))));
}

function collectColumns(tree: unknown, found: Set<string>): void {
  if (typeof tree !== 'object' || tree === null) return;
  if ('ColumnRef' in tree) found.add(JSON.stringify(tree));
  for (const value of Object.values(tree)) collectColumns(value, found);
}

function unique<T extends object>(trees: readonly T[]): T[] {
  const found: T[] = [];
  for (const tree of trees) if (!found.some((other) => sameTree(other, tree))) found.push(tree);
  return found;
}

function probeStatement(statement: SelectStmt, { groups, calls }: Pieces): SelectStmt {
  return groupedBy(statement, groups, [...groups, ...calls.map((call): Node => ({ FuncCall: call }))]);
}

/** SELECT targets FROM … WHERE … GROUP BY the first columns. */
function groupedBy(statement: SelectStmt, groups: readonly Node[], targets: readonly Node[]): SelectStmt {
  const positions = groups.map((_, i) => integerNode(i + 1));
  return {
    ...(statement.withClause === undefined ? {} : { withClause: statement.withClause }),
    targetList: targets.map((node) => targetNode(node)),
    ...(statement.fromClause === undefined ? {} : { fromClause: statement.fromClause }),
    ...(statement.whereClause === undefined ? {} : { whereClause: statement.whereClause }),
    ...(positions.length === 0 ? {} : { groupClause: positions }),
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  };
}

function splitAll(calls: readonly FuncCall[], types: readonly DescribedColumn[]): SplitAggregate[] | undefined {
  const splits = calls.map((call, i) => splitAggregate(call, at(types, i)));
  const known = splits.filter((split) => split !== undefined);
  return known.length === splits.length ? known : undefined;
}

/** Columns of the shard query: groups, then the finer groups of all aggregates, then their partial results. */
interface ShardLayout {
  readonly groups: readonly Node[];
  readonly finer: readonly Node[];
  readonly partials: readonly Node[];
  readonly aggregates: readonly { readonly split: SplitAggregate; readonly finerAt: number; readonly partialAt: number }[];
}

function layoutOf({ groups }: Pieces, splits: readonly SplitAggregate[]): ShardLayout {
  const finer = splits.flatMap((split) => split.finer);
  const partials = splits.flatMap((split) => split.partials);
  let finerAt = groups.length;
  let partialAt = groups.length + finer.length;
  const aggregates = splits.map((split) => {
    const entry = { split, finerAt, partialAt };
    finerAt += split.finer.length;
    partialAt += split.partials.length;
    return entry;
  });
  return { groups, finer, partials, aggregates };
}

function shardStatement(statement: SelectStmt, { groups, finer, partials }: ShardLayout): SelectStmt {
  const keys = [...groups, ...finer];
  const targets = [...keys, ...partials];
  return groupedBy(statement, keys, targets.length === 0 ? [integerNode(1)] : targets);
}

function combinesOf(layout: ShardLayout, columns: readonly DescribedColumn[]): Combine[] | undefined {
  const combines = layout.aggregates.map(({ split, finerAt, partialAt }) =>
    split.combine({ partial: (i) => partialAt + i, finer: (i) => finerAt + i, described: (column) => columns[column] }),
  );
  const known = combines.filter((combine) => combine !== undefined);
  return known.length === combines.length ? known : undefined;
}

/** Of what is one of the values; numbers have none. */
function collationOfCombined(combine: Combine | undefined, columns: readonly DescribedColumn[]): DescribedColumn['collation'] {
  if (combine?.kind === 'count_distinct') return undefined;
  return combine !== undefined && 'column' in combine ? columns[combine.column]?.collation : undefined;
}

/** The select list, HAVING and ORDER BY with groups and aggregates replaced by columns of the combined rows. */
function substituteOver(context: SelectContext, { groups, calls }: Pieces, columnOf: (index: number) => Node = combinedColumn): SelectStmt {
  const scope = present(context.query).scope;
  const canonicalGroups = groups.map((group) => canonicalExpression(group, scope));
  const names = context.description.columns.map(({ name }) => name);
  const replace = (node: Node): Node | undefined => {
    if ('FuncCall' in node && node.FuncCall.over === undefined) {
      const call = calls.findIndex((other) => sameTree(other, node.FuncCall));
      if (call >= 0) return columnOf(groups.length + call);
    }
    const canonical = canonicalExpression(node, scope);
    const group = canonicalGroups.findIndex((other) => sameTree(other, canonical));
    return group >= 0 ? columnOf(group) : undefined;
  };
  const { statement } = context;
  // Names and positions in grouping sets must not come to mean columns of the gathered rows.
  return substituted(hasGroupingSets(statement) ? { ...statement, groupClause: groupExpressions(statement, scope) } : statement, names, replace);
}

function combinedColumn(index: number): Node {
  return columnNode(gatheredAlias, gatheredColumn(index));
}

interface Combined {
  readonly combined: MergePlan;
  readonly rows: readonly DescribedColumn[];
}

type Finished = Pick<FanOutDraft, 'merge' | 'rules'>;

/** When nothing is computed from groups and aggregates: they are only selected, sorted and limited. */
function finishInApplication(context: SelectContext, pieces: Pieces, { combined, rows }: Combined): Finished | undefined {
  const { statement, description } = context;
  const limits = limitsOf(statement);
  if (limits === 'unknown' || statement.distinctClause !== undefined) return undefined;
  const made = substituteOver(context, pieces);
  const conditions = made.havingClause === undefined ? [] : filterConditions(made.havingClause, rows, plainColumn);
  if (conditions === undefined) return undefined;
  const outputs = (made.targetList ?? []).map((target) => plainColumn('ResTarget' in target ? target.ResTarget.val : undefined));
  const columns = outputs.filter((column) => column !== undefined);
  if (columns.length !== outputs.length || columns.length !== description.columns.length) return undefined;
  const names = description.columns.map(({ name }) => name);
  const keys: SortKey[] = [];
  for (const item of made.sortClause ?? []) {
    const node = sortedNode(item);
    const index = outputIndex(node, made, names);
    const column = plainColumn(node) ?? (index === undefined ? undefined : columns[index]);
    const key = column === undefined ? undefined : sortKeyFor(item, column, rows[column]);
    if (key === undefined) return undefined;
    keys.push(key);
  }
  const kept: MergePlan = conditions.length === 0 ? combined : { kind: 'filter', input: combined, conditions };
  const sorted: MergePlan = keys.length === 0 ? kept : { kind: 'sort', input: kept, keys };
  return { merge: { kind: 'project', input: limited(sorted, limits, keys), columns }, rules: ['split_aggregates', 'combine_in_application'] };
}

/** The number of the combined column that a substituted expression is, if it is exactly one. */
function plainColumn(node: Node | undefined): number | undefined {
  if (node === undefined || !('ColumnRef' in node)) return undefined;
  const [relation, column] = node.ColumnRef.fields ?? [];
  if (relation === undefined || !('String' in relation) || relation.String.sval !== gatheredAlias) return undefined;
  if (column === undefined || !('String' in column)) return undefined;
  return Number(column.String.sval?.slice(1)) - 1;
}

function finishByResidual(context: SelectContext, pieces: Pieces, { combined, rows }: Combined): Finished | undefined {
  const made = substituteOver(context, pieces);
  const { havingClause, groupClause: _groups, whereClause: _where, ...rest } = made;
  const merge = residualMerge(context, { ...rest, ...(havingClause === undefined ? {} : { whereClause: havingClause }) }, { combined, rows });
  return merge === undefined ? undefined : { merge, rules: ['split_aggregates', 'combine_in_application', 'finish_by_residual'] };
}

interface ByResidual {
  readonly layout: ShardLayout;
  readonly columns: readonly DescribedColumn[];
  readonly resultTypes: readonly DescribedColumn[];
}

/** Types and collations that only a PostgreSQL can compare or add: it combines the partial results, too. */
function combineByResidual(context: SelectContext, pieces: Pieces, { layout, columns, resultTypes }: ByResidual): Finished | undefined {
  const aggregates = layout.aggregates.map(({ split, finerAt, partialAt }) =>
    split.combineSql({ partial: (i) => combinedColumn(partialAt + i), finer: (i) => combinedColumn(finerAt + i) }),
  );
  if (aggregates.some((aggregate) => aggregate === undefined)) return undefined;
  const made = substituteOver(context, pieces, (index) => {
    if (index < pieces.groups.length) return combinedColumn(index);
    const call = index - pieces.groups.length;
    return castToType(present(aggregates[call]), at(resultTypes, call).typeSql);
  });
  const groupClause = hasGroupingSets(context.statement) ? (made.groupClause ?? []) : pieces.groups.map((_, i) => combinedColumn(i));
  const { groupClause: _old, whereClause: _where, ...rest } = made;
  const merge = residualMerge(context, groupClause.length === 0 ? rest : { ...rest, groupClause }, { combined: { kind: 'gather' }, rows: columns });
  return merge === undefined ? undefined : { merge, rules: ['split_aggregates', 'combine_by_residual'] };
}

/** A SELECT with everything replaced by columns of the gathered rows, as the text of a residual. */
export function residualMerge(context: SelectContext, made: SelectStmt, { combined, rows }: Combined): MergePlan | undefined {
  const limits = limitsOf(made);
  if (limits === 'unknown') return undefined;
  const { limitCount: _count, limitOffset: _offset, fromClause: _from, withClause: _with, ...rest } = made;
  const select: SelectStmt = {
    ...rest,
    limitOption: 'LIMIT_OPTION_DEFAULT',
    targetList: namedTargets(made.targetList ?? [], context.description.columns),
    fromClause: [{ RangeVar: { relname: gatheredName, inh: true, relpersistence: 'p', alias: { aliasname: gatheredAlias } } }],
  };
  const { text } = madeStatement(select, '');
  const relation = gatheredRelation(rows);
  return { kind: 'residual', input: combined, residual: residualOf(`${text}${limitClauses(limits)}`, relation.columns) };
}

/** Output names must not change when expressions are replaced; ORDER BY may refer to them. */
function namedTargets(targets: readonly Node[], columns: readonly DescribedColumn[]): Node[] {
  return targets.map((target, i) => {
    const item: ResTarget = 'ResTarget' in target ? target.ResTarget : {};
    return targetNode(present(item.val), at(columns, i).name);
  });
}
