import type { RangeVar, SelectStmt } from '@pgsql/types';
import { hasVolatileCall } from '../../analyze/function-calls.ts';
import { queriesIn, readsAround } from '../../analyze/reads-around.ts';
import type { ResultTable } from '../../analyze/result-table.ts';
import { resultSchema } from '../../analyze/result-table.ts';
import { present } from '../../base/assert.ts';
import { relationAlias, walk } from '../../sql/ast.ts';
import { deparseChecked } from '../../sql/deparse.ts';
import { columnNode, targetNode } from '../select/made-nodes.ts';
import { querySource } from './query-source.ts';
import { joinedColumn, type ListReducer, listedIn, type Reducer } from './reductions.ts';
import { sourceTable } from './source-table.ts';
import type { SpreadContext } from './spread-rows.ts';
import type { StagedState } from './staged-state.ts';
import { allOf, tableFilters } from './table-filters.ts';
import type { UsePlace } from './use-places.ts';

/** Rows below so many bytes are not worth a stage that makes them fewer. */
const worthBytes = 300_000;
/** Keys must be so much less than the rows that they reduce. */
const keysShare = 0.3;

/** Some hundred keys. */
const fewBytes = 10_000;

export interface KeyReducers {
  readonly state: StagedState;
  readonly reducers: readonly Reducer[];
  readonly lists: readonly ListReducer[];
}

export interface KeySearch {
  readonly context: SpreadContext;
  /** Already spread, or going to be: these reduce without keys of their own. */
  readonly spread: ReadonlySet<unknown>;
  readonly nodes: number;
}

/**
 * Keys of tables that stay where they are, and results of queries that rows are looked up in, when they would leave out much of the rows of `place`: stages
 * of their own, for that only.
 */
export async function keyReducers(state: StagedState, place: UsePlace, search: KeySearch): Promise<KeyReducers> {
  const { context } = search;
  const bytes = context.bytesOf(place.rangeVar);
  const isSmall = (part: RangeVar | SelectStmt): boolean => context.bytesOf(part) * search.nodes < bytes * keysShare;
  let reached = state;
  const reducers: Reducer[] = [];
  const lists: ListReducer[] = [];
  if (bytes < worthBytes) return { state, reducers, lists };
  for (const other of context.places.values()) {
    if (search.spread.has(other.rangeVar) || !context.analyzed.uses.some(({ rangeVar, table }) => rangeVar === other.rangeVar && table.kind === 'distributed')) continue;
    const column = joinedColumn(place, other);
    if (column === undefined || !isSmall(other.rangeVar)) continue;
    const result = await keysOf(reached, other, { column, context });
    if (result === undefined) continue;
    reached = result.state;
    reducers.push({ place: other, relation: rangeOf(result.table), reduced: true, column, isFew: isFew(context, other.rangeVar) });
  }
  for (const query of listedIn(place, [...context.places.values()])) {
    if (search.spread.has(query) || !isSmall(query) || !mayRunTwice(query, state, context)) continue;
    const made = await querySource(reached, state.statement, query);
    if (made === undefined) continue;
    reached = reached.with(made.stage);
    lists.push({ query, relation: rangeOf(made.stage.result), column: present(made.stage.result.columns[0]).name, isFew: isFew(context, query) });
  }
  return { state: reached, reducers, lists };
}

/** Whether there are so few rows, as far as is known, that an index finds what equals each sooner than a shard is read. */
export function isFew(context: SpreadContext, part: RangeVar | SelectStmt): boolean {
  return context.bytesOf(part) <= fewBytes;
}

/** Whether an index of the table begins with the column. */
export function isIndexed({ analyzed }: SpreadContext, { rangeVar }: UsePlace, column: string): boolean {
  const table = rangeVar.alias?.colnames === undefined ? analyzed.uses.find((use) => use.rangeVar === rangeVar)?.table : undefined;
  return table?.indexes.some(({ partial, columns }) => !partial && columns[0] === column) === true;
}

/** Whether a query depends on nothing around it, and gives the same rows each time: it stays where it is, too. */
function mayRunTwice(statement: SelectStmt, { context: { rules } }: StagedState, { analyzed }: SpreadContext): boolean {
  const query = queriesIn(analyzed.query).find((candidate) => candidate.statement === statement);
  if (query === undefined || readsAround(query) || hasVolatileCall(statement, rules)) return false;
  let chooses = false;
  walk(statement, (kind, body) => {
    chooses ||= kind === 'RangeTableSample' || kind === 'WindowDef';
    return !chooses && body !== undefined;
  });
  return !chooses && queriesIn(query).every(({ statement: { limitCount, limitOffset, distinctClause } }) => limitCount === undefined && limitOffset === undefined && distinctClause === undefined);
}

interface KeyRequest {
  readonly column: string;
  readonly context: SpreadContext;
}

async function keysOf(state: StagedState, place: UsePlace, { column, context }: KeyRequest): Promise<{ readonly state: StagedState; readonly table: ResultTable } | undefined> {
  const filters = tableFilters(place, state.context.rules);
  if (filters.length === 0 || place.rangeVar.alias?.colnames !== undefined) return undefined;
  const source = await sourceTable(state, place.rangeVar, context.analyzed);
  const columns = source.columns.filter(({ name }) => name === column);
  const select: SelectStmt = {
    distinctClause: [{} as never],
    targetList: [targetNode(columnNode(relationAlias(place.rangeVar), column))],
    fromClause: [{ RangeVar: place.rangeVar }],
    whereClause: allOf(filters),
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  };
  const statement = deparseChecked({ SelectStmt: select });
  if (statement === undefined) return undefined;
  const table: ResultTable = {
    kind: 'result', name: state.context.resultNames.next(), columns, distribution: undefined, lookups: [], sampled: false, standIn: source.sql, label: `keys of ${source.name}`,
  };
  return { state: state.with({ result: table, source: await state.source(statement) }), table };
}

/** As the parser gives `pg_temp.name AS name`. */
export function rangeOf({ name }: ResultTable): RangeVar {
  return { schemaname: resultSchema, relname: name, inh: true, relpersistence: 'p', alias: { aliasname: name } };
}
