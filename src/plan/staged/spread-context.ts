import type { Node, RangeVar, SelectStmt } from '@pgsql/types';
import type { Statement } from '../../sql/parse.ts';
import { queryExtent } from '../../sql/query-extent.ts';
import { estimateUses } from './estimate-uses.ts';
import { ColumnNeeds } from './needed-columns.ts';
import { SpreadCosts } from './spread-costs.ts';
import type { SpreadContext } from './spread-rows.ts';
import type { StagedState } from './staged-state.ts';
import { isForCoordinator } from '../for-coordinator.ts';
import { type UsePlace, usePlaces } from './use-places.ts';

/** What choosing a spread of a statement's tables and queries, and making it, go by. */
export interface Spreading {
  readonly context: SpreadContext;
  readonly costs: SpreadCosts;
}

/** Asks the servers' planners how much each table would send, all side by side. */
export async function spreadContext(state: StagedState): Promise<Spreading> {
  const analyzed = state.analyzed();
  const { wholeTables, atCoordinator, input: { names } } = state.context;
  const isApplied = (condition: Node): boolean => !wholeTables && !(atCoordinator && isForCoordinator(condition, names));
  const places = withConditions(usePlaces(analyzed.query), isApplied);
  const needs = new ColumnNeeds(state.statement.node);
  const estimates = await estimateUses(state, { analyzed, places, needs });
  const bytes = new Map([...estimates].map(([rangeVar, estimate]) => [rangeVar, estimate.bytes]));
  const costs = new SpreadCosts({ analyzed, places, rules: state.context.rules, nodes: state.context.input.snapshot.nodes.length, bytes, seen: seenIn(state) });
  const context = {
    analyzed, places, needs, bytesOf: (part: RangeVar | SelectStmt) => costs.bytesOf(part), rowsOf: (table: RangeVar) => estimates.get(table)?.rows,
    partOf: (part: RangeVar | SelectStmt) => estimates.get(part as RangeVar)?.part ?? partOfQuery(state.statement, part as SelectStmt),
  };
  return { context, costs };
}

/** Looked up once for each query: finding its text takes longer than finding what is known of it. */
function seenIn({ statement, context }: StagedState): (query: SelectStmt) => number | undefined {
  const known = new Map<SelectStmt, number | undefined>();
  return (query) => {
    if (!known.has(query)) {
      const part = partOfQuery(statement, query);
      known.set(query, part === undefined ? undefined : context.input.statistics.seen(part));
    }
    return known.get(query);
  };
}

function partOfQuery(statement: Statement, query: SelectStmt): string | undefined {
  const extent = queryExtent(statement, query);
  return extent === undefined ? undefined : statement.text.slice(extent.start, extent.end);
}

/** Other conditions leave nothing out of a relation before the rest is computed. */
function withConditions(places: ReadonlyMap<RangeVar, UsePlace>, isApplied: (condition: Node) => boolean): Map<RangeVar, UsePlace> {
  return new Map([...places].map(([rangeVar, place]) => [rangeVar, { ...place, conditions: place.conditions.filter(isApplied) }]));
}
