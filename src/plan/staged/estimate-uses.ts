import type { Node, RangeVar } from '@pgsql/types';
import type { AnalyzedStatement } from '../../analyze/analyze-statement.ts';
import { analyzeSelect } from '../../analyze/analyze-statement.ts';
import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import { holds, nameParts } from '../../sql/ast.ts';
import type { Statement } from '../../sql/parse.ts';
import { renderTemplate, shardTemplate } from '../shard-template.ts';
import type { ColumnNeeds } from './needed-columns.ts';
import { sourceTable } from './source-table.ts';
import { selectOf, type StagedState } from './staged-state.ts';
import type { RowEstimate } from './statistics.ts';
import { tableFilters } from './table-filters.ts';
import { tableSource } from './table-source.ts';
import type { UsePlace } from './use-places.ts';

export interface EstimateInput {
  readonly analyzed: AnalyzedStatement;
  readonly places: ReadonlyMap<RangeVar, UsePlace>;
  readonly needs: ColumnNeeds;
}

export interface UseEstimate {
  readonly rows: number | undefined;
  readonly bytes: number;
  /** The text that the part is known by when it is seen. */
  readonly part: string;
}

const unknownBytes = 100_000;

/**
 * About what each occurrence of a table would send: rows that pass its filters, of the columns that are needed. All
 * are asked for side by side.
 */
export async function estimateUses(state: StagedState, input: EstimateInput): Promise<ReadonlyMap<RangeVar, UseEstimate>> {
  const known = [...input.places.values()].filter(({ rangeVar }) => rangeVar.schemaname !== 'pg_temp');
  const found = await Promise.all(known.map(async (place): Promise<[RangeVar, UseEstimate]> => [place.rangeVar, await estimateUse(state, place, input)]));
  return new Map(found);
}

async function estimateUse(state: StagedState, place: UsePlace, { analyzed, needs }: EstimateInput): Promise<UseEstimate> {
  const { rules } = state.context;
  const [open, plain] = [place.conditions.filter(hasParameter), place.conditions.filter((condition) => !hasParameter(condition))];
  const source = await sourceTable(state, place.rangeVar, analyzed);
  const { statement } = tableSource(source, { ...place, conditions: plain }, { needs, rules });
  const part = open.length === 0 ? statement.text : tableSource(source, place, { needs, rules }).statement.text;
  const seen = state.context.input.statistics.seen(part) ?? 0;
  const table = analyzed.uses.find(({ rangeVar }) => rangeVar === place.rangeVar)?.table;
  const estimate = await estimateOf(state, statement, table);
  if (estimate === undefined) return { rows: undefined, bytes: Math.max(unknownBytes, seen), part };
  const guessed = tableFilters({ ...place, conditions: open }, rules).map(selectivity);
  const rows = estimate.rows * guessed.reduce((product, one) => product * one, 1);
  return { rows, bytes: Math.max(rows * Math.max(estimate.width, 1), seen), part };
}

function estimateOf({ context }: StagedState, statement: Statement, table: CatalogTable | undefined): Promise<RowEstimate | undefined> {
  const { statistics, names } = context.input;
  if (table === undefined) return statistics.local(statement.text);
  const template = shardTemplate(statement, analyzeSelect(selectOf(statement), names, context.rules).uses);
  return statistics.table(table, (ordinal) => renderTemplate(template, () => ordinal));
}

function hasParameter(tree: Node): boolean {
  return holds(tree, 'ParamRef');
}

/** Rough guesses for conditions whose values are not known yet, as planners make them without statistics. */
function selectivity(condition: Node): number {
  if (!('A_Expr' in condition)) return 0.5;
  const operator = nameParts(condition.A_Expr.name).at(-1) ?? '';
  switch (condition.A_Expr.kind) {
    case 'AEXPR_OP':
      return operator === '=' ? 0.02 : operator === '<>' ? 0.95 : 0.35;
    case 'AEXPR_IN':
    case 'AEXPR_OP_ANY':
      return operator === '=' ? 0.1 : 0.9;
    default:
      return 0.3;
  }
}
