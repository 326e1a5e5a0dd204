import type { Node, RangeVar, SelectStmt } from '@pgsql/types';
import type { AnalyzedStatement } from '../../analyze/analyze-statement.ts';
import type { Rehash, Spread } from '../../analyze/placement.ts';
import type { ResultColumn, ResultDistribution, ResultTable } from '../../analyze/result-table.ts';
import { resultSchema } from '../../analyze/result-table.ts';
import { assert, at, present } from '../../base/assert.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import { conditionExtent } from '../../sql/condition-extent.ts';
import { parseOne } from '../../sql/parse.ts';
import type { Extent } from '../../sql/query-extent.ts';
import { applyEdits, type Edit, fillTemplate } from '../../sql/template.ts';
import { NameCutter, type NamedUse } from '../name-cutter.ts';
import { isFew, isIndexed, keyReducers, rangeOf } from './key-reducers.ts';
import { ColumnNeeds } from './needed-columns.ts';
import { type ListReducer, lookupsOf, type Reducer, reductionsOf } from './reductions.ts';
import { querySource } from './query-source.ts';
import { type SourceTable, sourceTable } from './source-table.ts';
import type { Belief } from './stage.ts';
import type { StagedState } from './staged-state.ts';
import { tableFilters } from './table-filters.ts';
import { type TableSource, tableSource } from './table-source.ts';
import { withoutUnusedCommon } from './unused-common.ts';
import type { UsePlace } from './use-places.ts';

export interface SpreadContext {
  readonly analyzed: AnalyzedStatement;
  readonly places: ReadonlyMap<RangeVar, UsePlace>;
  readonly needs: ColumnNeeds;
  /** About how large each part is: small ones come first, since later ones may be reduced by them. */
  bytesOf(part: RangeVar | SelectStmt): number;
  /** The text that a part is known by when its rows are seen; undefined for a query that cannot be cut out. */
  partOf(part: RangeVar | SelectStmt): string | undefined;
  /** About how many rows a table has that meet its own conditions, if known. */
  rowsOf(table: RangeVar): number | undefined;
}

/**
 * Makes every spread table and query a stage, and puts results in their places. Undefined when a query cannot be cut out of the text.
 */
export async function spreadRows(state: StagedState, spread: Spread, context: SpreadContext): Promise<StagedState | undefined> {
  const { tables, queries } = outermost(state, spread);
  const parts: readonly Part[] = [...tables.map((rangeVar) => ({ rangeVar, query: undefined })), ...queries.map((query) => ({ rangeVar: undefined, query }))];
  const order = parts.toSorted((a, b) => context.bytesOf(present(a.rangeVar ?? a.query)) - context.bytesOf(present(b.rangeVar ?? b.query)));
  const cutter = new NameCutter(state.statement);
  const edits: Edit<never>[] = [];
  const named: NamedUse[] = [];
  const reducers: Reducer[] = referenceReducers(context);
  const neighbours = [...context.places.values()];
  const going = new Set<unknown>([...tables, ...queries]);
  const lists: ListReducer[] = [];
  let reached = state;
  for (const { rangeVar, query } of order) {
    if (query !== undefined) {
      const made = await querySource(reached, state.statement, query);
      if (made === undefined) return undefined;
      reached = reached.with({ ...made.stage, belief: beliefIn(context, query) });
      edits.push({ ...made.extent, parts: [made.replacement] });
      lists.push({ query, relation: rangeOf(made.stage.result), column: present(made.stage.result.columns[0]).name, isFew: isFew(context, query) });
      continue;
    }
    const place = present(context.places.get(rangeVar), 'place of a table');
    const keys = await keyReducers(reached, place, { context, spread: going, nodes: state.context.input.snapshot.nodes.length });
    const reductions = reductionsOf(place, { reducers: [...reducers, ...keys.reducers], lists: [...lists, ...keys.lists], rules: state.context.rules, neighbours, isIndexed: (of, column) => isIndexed(context, of, column) });
    const table = await sourceTable(keys.state, rangeVar, context.analyzed);
    const rehash = spread.rehashed.get(rangeVar);
    const { source, done } = reducedSource(state, place, { table, needs: context.needs, reductions, rehashed: rehash !== undefined });
    const result: ResultTable = {
      kind: 'result', name: state.context.resultNames.next(), columns: source.columns, distribution: distributionOf(rehash, table, source.columns),
      lookups: lookupsOf(place).map((position) => at(table.columns, position).name), sampled: place.sampled, standIn: table.sql, label: table.name,
    };
    reached = keys.state.with({ result, source: await keys.state.source(source.statement), estimatedRows: context.rowsOf(rangeVar), belief: beliefIn(context, rangeVar) });
    if (place.sample !== undefined) edits.push({ ...cutter.sampleExtent(rangeVar), parts: [] });
    edits.push(cutter.relationEdit<never>(rangeVar, resultSql(result)), ...done.map((extent) => ({ ...extent, parts: ['TRUE'] })));
    if (table.schema !== undefined) named.push({ rangeVar, schema: table.schema, name: table.name });
    if (result.distribution === undefined) reducers.push({ place, relation: inPlaceOf(result, place), reduced: source.reduced });
  }
  const text = fillTemplate(applyEdits<never>(state.statement.text, [...edits, ...cutter.columnEdits(named)]), () => '');
  // What only a query named that is a stage now is not named any more.
  return reached.rewritten(withoutUnusedCommon(parseOne(text)));
}

function beliefIn(context: SpreadContext, part: RangeVar | SelectStmt): Belief | undefined {
  const text = context.partOf(part);
  return text === undefined ? undefined : { part: text, bytes: context.bytesOf(part) };
}

interface SourceRequest {
  readonly table: SourceTable;
  readonly needs: ColumnNeeds;
  readonly reductions: readonly Node[];
  /** They are placed by the hash of a column. */
  readonly rehashed: boolean;
}

/**
 * The rows of a table that matter, and the conditions in the statement's text that are thereby met: columns that only these read are not needed. Of rehashed rows all
 * conditions stay: it may be by one of them that the column equals the other table's key.
 */
function reducedSource({ statement, context: { rules } }: StagedState, place: UsePlace, { table, needs, reductions, rehashed }: SourceRequest): { readonly source: TableSource; readonly done: readonly Extent[] } {
  if (rehashed) return { source: tableSource(table, place, { needs, rules, reductions }), done: [] };
  const own = tableFilters(place, rules).filter((filter) => place.conditions.includes(filter));
  const found = own.map((filter) => ({ filter, extent: conditionExtent(statement, filter) })).filter(({ extent }) => extent !== undefined);
  const lighter = new ColumnNeeds(statement.node, new Set(found.map(({ filter }) => filter)));
  const source = tableSource(table, place, { needs: lighter, rules, reductions });
  if (source.reduced) return { source, done: found.flatMap(({ extent }) => extent ?? []) };
  return { source: tableSource(table, place, { needs, rules, reductions }), done: [] };
}

type Part = { readonly rangeVar: RangeVar; readonly query: undefined } | { readonly rangeVar: undefined; readonly query: SelectStmt };

/** The column among those that are read. */
function distributionOf(rehash: Rehash | undefined, table: SourceTable, columns: readonly ResultColumn[]): ResultDistribution | undefined {
  if (rehash === undefined) return undefined;
  const column = columns.indexOf(at(table.columns, rehash.column));
  assert(column >= 0, 'rows are placed by a column that is not read');
  return { colocation: rehash.colocation, column };
}

/** Without what stands in a query that is spread as a whole. */
function outermost({ statement }: StagedState, spread: Spread): { readonly tables: readonly RangeVar[]; readonly queries: readonly SelectStmt[] } {
  const tables = new Set<RangeVar>();
  const queries = new Set<SelectStmt>();
  const visit = (tree: unknown): void => {
    if (typeof tree !== 'object' || tree === null) return;
    if (spread.queries.has(tree)) queries.add(tree);
    else if (spread.tables.has(tree) || spread.rehashed.has(tree)) tables.add(tree);
    else for (const value of Object.values(tree)) visit(value);
  };
  visit(statement.node);
  return { tables: [...tables], queries: [...queries] };
}

function referenceReducers({ analyzed, places }: SpreadContext): Reducer[] {
  return analyzed.uses.flatMap(({ table, rangeVar }) => {
    const place = places.get(rangeVar);
    return table.kind === 'reference' && place !== undefined ? [{ place, relation: rangeVar, reduced: false }] : [];
  });
}

/** Under the names that the statement has for the table: conditions that are copied from there read these. */
function inPlaceOf(result: ResultTable, { rangeVar }: UsePlace): RangeVar {
  const relation = rangeOf(result);
  return { ...relation, alias: rangeVar.alias ?? { aliasname: rangeVar.relname ?? '' } };
}

function resultSql({ name }: ResultTable): string {
  return quoteQualified(resultSchema, name);
}
