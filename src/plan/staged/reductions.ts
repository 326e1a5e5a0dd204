import type { Node, RangeVar, SelectStmt } from '@pgsql/types';
import type { ColumnId, Fact } from '../../analyze/facts.ts';
import { equivalents } from '../../analyze/facts.ts';
import type { FunctionRules } from '../../analyze/function-calls.ts';
import type { Relation } from '../../analyze/relation.ts';
import { resolveColumn, type VisibleColumn } from '../../analyze/scope.ts';
import { comparableTypes } from '../../analyze/type-family.ts';
import { nameParts, relationAlias } from '../../sql/ast.ts';
import { columnNode, targetNode } from '../select/made-nodes.ts';
import { allOf, tableFilters } from './table-filters.ts';
import type { UsePlace } from './use-places.ts';

/** A relation that every server has, and that may say which rows of another matter. */
export interface Reducer {
  readonly place: UsePlace;
  /** How a query reads it: the table itself, or the result that holds its rows. */
  readonly relation: RangeVar;
  /** Its rows are fewer than all: conditions were applied when they were read. */
  readonly reduced: boolean;
  /** The only column that it has; undefined when it has all that are needed. */
  readonly column?: string;
  /** There are so few of its rows that an index finds what equals each sooner than all rows are read. */
  readonly isFew?: boolean;
}

/** A query's result that rows are looked up in: `column IN (query)`. */
export interface ListReducer {
  readonly query: SelectStmt;
  readonly relation: RangeVar;
  readonly column: string;
  readonly isFew?: boolean;
}

export interface ReductionContext {
  readonly reducers: readonly Reducer[];
  readonly lists: readonly ListReducer[];
  readonly rules: FunctionRules;
  /** All places of the statement: what is certain of rows around a query holds for those that matter in it. */
  readonly neighbours?: readonly UsePlace[];
  /** Whether rows of a place are found by this column without reading all. */
  isIndexed(place: UsePlace, column: string): boolean;
}

const depthMax = 3;

/**
 * Conditions of the form `column IN (SELECT …)` that every row of `place` must meet which can join the reducers' rows: a semi-join. Sound because an
 * equality that must hold for the row holds with some row of the reducer, filtered.
 */
export function reductionsOf(place: UsePlace, context: ReductionContext, depth = 0): Node[] {
  if (place.sampled || depth >= depthMax) return [];
  const facts = equalitiesOf(place);
  const found: Node[] = [];
  for (const reducer of context.reducers) {
    if (reducer.place === place || !couldMeet(place, reducer.place)) continue;
    const pair = joinedColumns(place.relation, reducer.place.relation, facts);
    if (pair === undefined || (reducer.column !== undefined && reducer.column !== pair.other)) continue;
    const others = context.reducers.filter((other) => other !== reducer && other.place !== place);
    const conditions = reducer.reduced ? [] : [...tableFilters(reducer.place, context.rules), ...reductionsOf(reducer.place, { ...context, reducers: others, lists: [] }, depth + 1)];
    if (!reducer.reduced && conditions.length === 0) continue;
    const byIndex = reducer.isFew === true && context.isIndexed(place, pair.own);
    found.push(inQuery(columnNode(relationAlias(place.rangeVar), pair.own), { relation: reducer.relation, column: pair.other, conditions, byIndex }));
  }
  const around = [place, ...context.reducers.map((reducer) => reducer.place), ...(context.neighbours ?? [])];
  for (const list of context.lists) {
    const column = listedColumn(place, around, list.query);
    if (column === undefined) continue;
    const byIndex = list.isFew === true && context.isIndexed(place, column);
    found.push(inQuery(columnNode(relationAlias(place.rangeVar), column), { ...list, conditions: [], byIndex }));
  }
  return found;
}

/** The column of `other` that a row of `place` must equal to matter. */
export function joinedColumn(place: UsePlace, other: UsePlace): string | undefined {
  if (place === other || place.sampled || !couldMeet(place, other)) return undefined;
  return joinedColumns(place.relation, other.relation, equalitiesOf(place))?.other;
}

/** Queries that a row of `place` must be found in to matter, by a column of its own or one that it equals. */
export function listedIn(place: UsePlace, places: readonly UsePlace[]): SelectStmt[] {
  const queries = places.flatMap(({ conditions }) => conditions.flatMap((condition) => listOf(condition)?.query ?? []));
  return [...new Set(queries)].filter((query) => listedColumn(place, places, query) !== undefined);
}

/** Positions, from 0, of the relation's columns that are compared with rows around its query, so looked up for each of them. */
export function lookupsOf({ relation, conditions, query }: UsePlace): number[] {
  const here = query.scope.relations;
  const found = new Set<number>();
  for (const [a, b] of conditions.flatMap((condition) => comparedColumns(condition, query.scope))) {
    for (const [own, other] of [[a, b], [b, a]] as const) {
      const isOwn = columnIn(relation, own.id) !== undefined;
      if (isOwn && !here.some((neighbour) => columnIn(neighbour, other.id) !== undefined)) found.add(own.id - relation.firstColumn);
    }
  }
  return [...found];
}

/** A row joins the reducer's only where both stand in one query, or the row's query stands in the reducer's. */
function couldMeet({ query }: UsePlace, other: UsePlace): boolean {
  for (let scope: typeof query.scope | undefined = query.scope; scope !== undefined; scope = scope.outer) {
    if (scope.relations.includes(other.relation)) return true;
  }
  return false;
}

function equalitiesOf({ conditions, query }: UsePlace): Fact[] {
  return conditions.flatMap((condition) => comparedColumns(condition, query.scope))
    .filter(([a, b]) => comparableTypes(a.type, b.type))
    .map(([a, b]): Fact => ({ kind: 'equal', a: a.id, b: b.id }));
}

function comparedColumns(condition: Node, scope: UsePlace['query']['scope']): (readonly [VisibleColumn, VisibleColumn])[] {
  if (!('A_Expr' in condition) || condition.A_Expr.kind !== 'AEXPR_OP' || nameParts(condition.A_Expr.name).join('.') !== '=') return [];
  const { lexpr, rexpr } = condition.A_Expr;
  const a = columnOf(lexpr, scope);
  const b = columnOf(rexpr, scope);
  return a === undefined || b === undefined ? [] : [[a, b]];
}

function columnOf(node: Node | undefined, scope: UsePlace['query']['scope']): VisibleColumn | undefined {
  return node !== undefined && 'ColumnRef' in node ? resolveColumn(scope, node.ColumnRef.fields) : undefined;
}

function joinedColumns(own: Relation, other: Relation, facts: readonly Fact[]): { readonly own: string; readonly other: string } | undefined {
  for (const [i, { name }] of (own.columns ?? []).entries()) {
    for (const id of equivalents(facts, own.firstColumn + i)) {
      const joined = columnIn(other, id);
      if (joined !== undefined) return { own: name, other: joined };
    }
  }
  return undefined;
}

function columnIn({ firstColumn, columns }: Relation, id: ColumnId): string | undefined {
  return columns?.[id - firstColumn]?.name;
}

/** A column of `place` that certainly equals one of which some condition around says that it is among a query's rows. */
function listedColumn(place: UsePlace, around: readonly UsePlace[], listed: SelectStmt): string | undefined {
  const facts = equalitiesOf(place);
  for (const other of around) {
    if (other !== place && !couldMeet(place, other)) continue;
    for (const condition of other.conditions) {
      const list = listOf(condition);
      if (list?.query !== listed) continue;
      const column = columnOf(list.test, other.query.scope);
      // What holds for a neighbour's rows says nothing of this relation's own columns, which an outer join may keep.
      if (other !== place && (column === undefined || columnIn(other.relation, column.id) === undefined)) continue;
      const own = column === undefined ? undefined : [...equivalents(facts, column.id)].map((id) => columnIn(place.relation, id)).find((name) => name !== undefined);
      if (own !== undefined) return own;
    }
  }
  return undefined;
}

/** `test IN (query)`. */
function listOf(condition: Node): { readonly test: Node | undefined; readonly query: SelectStmt } | undefined {
  if (!('SubLink' in condition) || condition.SubLink.subLinkType !== 'ANY_SUBLINK' || condition.SubLink.operName !== undefined) return undefined;
  const { subselect, testexpr } = condition.SubLink;
  return subselect !== undefined && 'SelectStmt' in subselect ? { test: testexpr, query: subselect.SelectStmt } : undefined;
}

interface ListedRows {
  readonly relation: RangeVar;
  readonly column: string;
  readonly conditions: readonly Node[];
  readonly byIndex: boolean;
}

/**
 * `test IN (SELECT …)`, or the same as `test = ANY (ARRAY(SELECT …))`: a server takes an array for short, and uses an index, where it would read a whole shard for a join with
 * a table that it knows nothing of.
 */
function inQuery(testexpr: Node, { relation, column, conditions, byIndex }: ListedRows): Node {
  const select: SelectStmt = {
    targetList: [targetNode(columnNode(relationAlias(relation), column))],
    fromClause: [{ RangeVar: relation }],
    ...(conditions.length === 0 ? {} : { whereClause: allOf(conditions) }),
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  };
  const subselect = { SelectStmt: select };
  if (!byIndex) return { SubLink: { subLinkType: 'ANY_SUBLINK', testexpr, subselect } };
  const list: Node = { SubLink: { subLinkType: 'ARRAY_SUBLINK', subselect } };
  return { A_Expr: { kind: 'AEXPR_OP_ANY', name: [{ String: { sval: '=' } }], lexpr: testexpr, rexpr: list } };
}
