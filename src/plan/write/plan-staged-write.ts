import type { RangeVar } from '@pgsql/types';
import { type AnalyzedStatement, analyzeAny, namesSystemColumn, placeAgain } from '../../analyze/analyze-statement.ts';
import { nothingSpread, type Spread, type Way } from '../../analyze/placement.ts';
import type { FromTree } from '../../analyze/query-level.ts';
import { wayOf, wayOfQuery } from '../../analyze/ways.ts';
import { present } from '../../base/assert.ts';
import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import type { Statement } from '../../sql/parse.ts';
import { locksRows, obstacleOf, positionColumns } from '../check-select.ts';
import { functionRules } from '../function-rules.ts';
import { refused } from '../insert/refused.ts';
import { certainUses, prunableUses } from '../prunable-uses.ts';
import { evaluateOnce } from '../select/evaluate-once.ts';
import { unsupported } from '../select/unsupported.ts';
import { chooseSpread } from '../staged/choose-spread.ts';
import { withDependents } from '../staged/grouped-dependents.ts';
import { ResultNames } from '../staged/result-names.ts';
import { spreadContext } from '../staged/spread-context.ts';
import { spreadRows } from '../staged/spread-rows.ts';
import { type StagedInput, StagedState } from '../staged/staged-state.ts';
import { typedStatement } from '../staged/typed-statement.ts';
import { withoutUnusedCommon } from '../staged/unused-common.ts';
import type { CopyCheck, FollowingCopies, SpreadModify } from '../statement-plan.ts';
import { checkFloats } from './check-floats.ts';
import type { CheckedCopies } from './compare-copies.ts';
import { targetOfWrite } from './target-of-write.ts';
import { templateFor } from './template-for.ts';

/** A statement of a reference table with what keeps its copies alike; of other tables as it is. */
export interface KeptCopies extends CheckedCopies {
  readonly follow?: FollowingCopies;
}

export interface StagedTarget {
  /** Undefined for a local table, which is written in the coordinator database. */
  readonly target: CatalogTable | undefined;
  readonly copies: KeptCopies;
}

/**
 * A plan for UPDATE, DELETE or MERGE whose target stays where it is while what it reads besides is somewhere else: that is read first, and its rows are put beside
 * the target's.
 */
export async function planStagedWrite(original: Statement, { target, copies: { statement: returning, check, follow } }: StagedTarget, input: StagedInput): Promise<SpreadModify> {
  const description = await input.describe.statement(original.text);
  checkFloats(input);
  if (namesSystemColumn(original.node, positionColumns)) throw unsupported('A system column means something else on each shard.', 'Filter by the distribution column.');
  const parameters = description.parameterTypes.length;
  const typed = withoutUnusedCommon(typedStatement(returning, description.parameterTypes));
  const { statement: once, evaluated } = await evaluateOnce(typed, parameters, input.describe);
  const rules = await functionRules(once.node, input.describe);
  const statement = await withDependents(once, ({ node }) => analyzeAny(node, input.names, rules), input.describe);
  const context = { input, rules, resultNames: input.part ?? new ResultNames(), wholeTables: false, atCoordinator: false };
  const reached = await besideTarget(new StagedState(context, statement, []), { table: target, check: follow === undefined ? check : undefined });
  const analyzed = reached.analyzed();
  if (locksRows(reached.statement)) throw refused('FOR UPDATE or FOR SHARE locks rows in a subquery that cannot be run first.', 'Lock the rows by a statement of its own.');
  checkPlaced(analyzed, target, follow === undefined ? 'each_alike' : 'one_leads');
  const readsLocalTables = target === undefined || reached.stages.some(({ source }) => source.kind === 'coordinator');
  return {
    template: templateFor(target)(reached.statement, analyzed.uses, analyzed.results),
    evaluated, parameters, columns: description.columns, stages: reached.stages,
    site: target === undefined ? 'coordinator' : 'shards',
    uses: await certainUses(prunableUses(analyzed, input.snapshot), reached.statement, reached.partInput().describe),
    rows: undefined, check, follow, readsLocalTables,
  };
}

export interface WriteTarget {
  /** Undefined for a local one. */
  readonly table: CatalogTable | undefined;
  readonly check: CopyCheck | undefined;
}

/** With the rows that the statement reads besides its target made intermediate results, as far as the target's shards, copies or server lack them; all of them where only the target can be kept from changing between its copies. */
export async function besideTarget(state: StagedState, target: WriteTarget): Promise<StagedState> {
  const { context, costs } = await spreadContext(state);
  const { analyzed } = context;
  const relation = targetOfWrite(state.statement);
  const isKept = ({ tables, rehashed }: Spread): boolean => !tables.has(relation) && rehashed.size === 0;
  const cheapest = target.table?.kind !== 'distributed' ? undefined : chooseSpread({
    place: (spread) => placeAgain(analyzed, state.context.rules, spread),
    cost: (spread) => (isKept(spread) ? costs.of(spread) : Infinity),
  });
  for (const spread of [cheapest, allBeside(analyzed, relation, target), tablesBeside(analyzed, relation, target)]) {
    const reached = spread === undefined ? undefined : await spreadRows(state, spread, context);
    if (reached !== undefined) return reached;
  }
  throw obstacleOf(analyzed);
}

/** All that has to be brought to the target: queries as a whole where they can be run by themselves. */
function allBeside({ query, uses, foreign }: AnalyzedStatement, relation: RangeVar, target: WriteTarget): Spread {
  const known = new Set([...uses, ...foreign].map(({ rangeVar }) => rangeVar));
  const ways = query.kind === 'select' ? [...waysBeside(query.from, relation), ...query.sublinks.map((sublink) => wayOfQuery(sublink.query))] : [];
  const spread = ways.reduce<Spread>((all, way) => ({ ...all, tables: new Set([...all.tables, ...way.tables]), queries: new Set([...all.queries, ...way.queries]) }), nothingSpread);
  const references = uses.filter(({ table }) => table.kind === 'reference').map(({ rangeVar }) => rangeVar);
  return { ...spread, tables: new Set([...spread.tables, ...references].filter((rangeVar) => rangeVar !== relation && known.has(rangeVar) && isElsewhere(rangeVar, uses, target))) };
}

/** Tables alone: for queries that cannot be cut out, or give no columns. */
function tablesBeside({ uses, foreign }: AnalyzedStatement, relation: RangeVar, target: WriteTarget): Spread {
  const tables = [...uses, ...foreign].map(({ rangeVar }) => rangeVar).filter((rangeVar) => rangeVar !== relation && isElsewhere(rangeVar, uses, target));
  return { ...nothingSpread, tables: new Set(tables) };
}

function isElsewhere(rangeVar: RangeVar, uses: AnalyzedStatement['uses'], { table: target, check }: WriteTarget): boolean {
  const table = uses.find((use) => use.rangeVar === rangeVar)?.table;
  return target === undefined ? table !== undefined : table === undefined || table.kind === 'distributed' || check?.kind === 'locked' || isOnNodesAlone(table, target);
}

/** Whether a copy of the target lacks the rows beside it: the coordinator database has those of reference tables whose shells are copies, and of no others. */
export function isOnNodesAlone(table: CatalogTable, target: CatalogTable | undefined): boolean {
  return target?.kind === 'reference' && target.shellIsCopy && table.kind === 'reference' && !table.shellIsCopy;
}

function waysBeside(tree: FromTree, relation: RangeVar): Way[] {
  if (tree.kind === 'join') return [...waysBeside(tree.left, relation), ...waysBeside(tree.right, relation)];
  return (tree.kind === 'table' && tree.use.rangeVar === relation) || (tree.kind === 'foreign' && tree.rangeVar === relation) ? [] : [wayOf(tree)];
}

/** The rest is answered where the target is: by each copy of a reference table, or by one of them. */
export function checkPlaced(analyzed: AnalyzedStatement, target: CatalogTable | undefined, copies: 'each_alike' | 'one_leads' = 'each_alike'): void {
  const { placed: { rows }, uses, foreign } = analyzed;
  if (target === undefined) {
    if (uses.length > 0) throw obstacleOf(analyzed);
    return;
  }
  if (foreign.length > 0 || rows.kind === 'scattered') throw obstacleOf(analyzed);
  const missing = uses.find(({ table }) => isOnNodesAlone(table, target));
  if (missing !== undefined) {
    throw refused(`Local tables refer to "${target.name}", so a copy of it is in the coordinator database, which has no rows of "${missing.table.name}".`, 'Read the rows first, then write.');
  }
  if (target.kind === 'distributed') present(rows.kind === 'by_shard' ? rows : undefined, 'rows by shard');
  else if (rows.kind !== 'everywhere' || (!rows.repeatable && copies === 'each_alike')) throw refused('What is written to a reference table might differ from copy to copy.', 'Read the rows first, then write.');
}
