import type { SelectStmt } from '@pgsql/types';
import { analyzeAny, namedRelations, namesSystemColumn, placeAgain } from '../../analyze/analyze-statement.ts';
import type { AnalyzedStatement } from '../../analyze/analyze-statement.ts';
import type { Spread } from '../../analyze/placement.ts';
import { wayOf, wayOfQuery } from '../../analyze/ways.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import { lockedTables, locksRows, positionColumns } from '../check-select.ts';
import type { Describe } from '../describe.ts';
import type { FanOut } from '../fan-out.ts';
import { isForCoordinator } from '../for-coordinator.ts';
import { functionRules } from '../function-rules.ts';
import { evaluateOnce } from '../select/evaluate-once.ts';
import { isBeyondShards, unsupported } from '../select/unsupported.ts';
import { changesSequence } from '../sequence-use.ts';
import { fillShardTemplate, type ShardTemplate, shardTemplate } from '../shard-template.ts';
import { withAggregatesBelow } from './aggregates-below.ts';
import { chooseSpread } from './choose-spread.ts';
import { firstValues } from './first-values.ts';
import { withDependents } from './grouped-dependents.ts';
import { ResultNames } from './result-names.ts';
import { spreadContext } from './spread-context.ts';
import type { SpreadCosts } from './spread-costs.ts';
import { spreadRows } from './spread-rows.ts';
import { selectOf, type StagedInput, StagedState } from './staged-state.ts';
import { typedStatement } from './typed-statement.ts';
import { withoutUnusedCommon } from './unused-common.ts';

/**
 * A plan for what shard groups cannot answer alone: parts of the query run first, as queries of their own, and their rows are put where the
 * rest needs them. Refuses only what cannot keep its meaning so: locks, positions of rows.
 */
export async function planStaged(original: Statement, input: StagedInput): Promise<FanOut> {
  const description = await input.describe.statement(original.text);
  checkStageable(original, input);
  const parameters = description.parameterTypes.length;
  const isPart = input.part !== undefined;
  const typed = isPart ? original : withoutUnusedCommon(typedStatement(original, description.parameterTypes));
  const { statement: once, evaluated } = isPart ? { statement: typed, evaluated: [] } : await evaluateOnce(typed, parameters, input.describe);
  const rules = await functionRules(once.node, input.describe);
  const whole = await withDependents(once, ({ node }) => analyzeAny(node, input.names, rules), input.describe);
  const takesValues = changesSequence(original.node);
  const statement = takesValues ? withAggregatesBelow(whole, rules, (tree) => isForCoordinator(tree, input.names)) : whole;
  const context = { input, rules, resultNames: input.part ?? new ResultNames(), wholeTables: false, atCoordinator: isForCoordinator(original.node, input.names) };
  const told = (plan: FanOut): FanOut => {
    const applied = evaluated.length > 0 ? ['evaluate_once', ...plan.rules] : plan.rules;
    return { ...plan, columns: description.columns, parameters, evaluated, rules: applied, takesValues };
  };
  // Kept with the plan: so the text, not its tree.
  const { text } = statement;
  const overWholeTables = isPart || locksRows(statement) ? undefined : async (): Promise<FanOut> => told(await planStages(new StagedState({ ...context, resultNames: new ResultNames(), wholeTables: true }, parseOne(text), [])));
  return { ...told(await planWithValues(new StagedState(context, statement, []), parameters + evaluated.length)), overWholeTables };
}

async function planWithValues(state: StagedState, parameters: number): Promise<FanOut> {
  const { state: reached, values } = await firstValues(state, parameters);
  if (values.length === 0) return planStages(state);
  const plan = await planStages(reached);
  return { ...plan, firstValues: values, rules: ['evaluate_subqueries', ...plan.rules], rewritten: true, readsLocalTables: plan.readsLocalTables || values.some(({ source }) => source.kind === 'coordinator') };
}

/** The cheapest way that works out; the last one, gathering what is needed of all tables on one server, always does. */
async function planStages(state: StagedState): Promise<FanOut> {
  const { context, costs } = await spreadContext(state);
  const { analyzed } = context;
  const { wholeTables, atCoordinator } = state.context;
  const everything = everyTable(analyzed, atCoordinator);
  const spreads = wholeTables ? [everything] : atCoordinator ? new Set([withQueries(everything, analyzed, state), everything]) : spreadsToTry(state, { analyzed, costs, everything });
  for (const spread of spreads) {
    const reached = await spreadRows(state, spread, context);
    const plan = reached === undefined ? undefined : await finished(reached, spread === everything ? 'gather_rows' : 'spread_rows');
    if (plan !== undefined) return plan;
  }
  if (locksRows(state.statement)) throw unsupported('FOR UPDATE or FOR SHARE would lock rows of several shard groups within a subquery that cannot be run first.', 'Lock the rows by a statement of its own.');
  throw unsupported('The statement reads distributed tables in a place that cannot be distributed yet.', 'Filter by the distribution column, or split the statement.');
}

interface Choice {
  readonly analyzed: AnalyzedStatement;
  readonly costs: SpreadCosts;
  readonly everything: Spread;
}

/** The cheapest first; a rehash may turn out impossible, gathering everything never. */
function spreadsToTry(state: StagedState, { analyzed, costs, everything }: Choice): Spread[] {
  const rehashes = (state.context.input.finishing ?? 'application') === 'application';
  const locked = lockedTables(state.statement);
  const movesLocked = ({ tables, rehashed }: Spread): boolean => [...tables, ...rehashed.keys()].some((table) => locked.has(table));
  const choose = (mayRehash: boolean): Spread | undefined => chooseSpread({
    place: (spread) => placeAgain(analyzed, state.context.rules, spread),
    cost: (spread) => ((mayRehash || spread.rehashed.size === 0) && !movesLocked(spread) ? costs.of(spread) : Infinity),
  });
  const first = choose(rehashes);
  const choices = first === undefined || first.rehashed.size > 0 ? [first, choose(false)] : [first];
  return [...choices.filter((spread) => spread !== undefined).filter((spread) => locked.size > 0 || costs.of(spread) <= costs.of(everything)), everything];
}

/** With local tables the coordinator database answers, which needs the rows of reference tables too. */
function everyTable({ uses, foreign }: AnalyzedStatement, atCoordinator: boolean): Spread {
  const tables = uses.filter(({ table }) => table.kind === 'distributed' || foreign.length > 0 || atCoordinator).map(({ rangeVar }) => rangeVar);
  return { tables: new Set(tables), queries: new Set(), rehashed: new Map() };
}

/** The same with queries of FROM, and others that stand by themselves, run first where nodes can do that: they may have far fewer rows than their tables. */
function withQueries(everything: Spread, { query }: AnalyzedStatement, { context: { input: { names } } }: StagedState): Spread {
  if (query.kind !== 'select') return everything;
  const ways = [wayOf(query.from), ...query.sublinks.map((sublink) => wayOfQuery(sublink.query))];
  const isForNodes = (part: SelectStmt): boolean => !isForCoordinator(part, names) && namedRelations(part).some(({ schemaname, relname }) => names.resolve(schemaname, relname ?? '')?.kind === 'distributed');
  const queries = ways.flatMap((way) => way.queries).filter(isForNodes);
  return queries.length === 0 ? everything : { ...everything, queries: new Set(queries) };
}

/** The plan of the query that is left: by shard groups, or on one server; undefined when neither can answer it. */
async function finished(state: StagedState, rule: string): Promise<FanOut | undefined> {
  const { uses, results, foreign, placed } = state.analyzed();
  const { input } = state.context;
  // A locking query runs as a whole, before the rest, or its rows would not be those of the tables.
  if (locksRows(state.statement)) return undefined;
  const readsLocalTables = foreign.length > 0 || state.stages.some(({ source }) => source.kind === 'coordinator');
  if (placed.rows.kind === 'by_shard') {
    const direct = await orUndefined(() => input.planDirect(state.statement, state.select, state.partInput()));
    if (direct === undefined) return undefined;
    const unit = await unitOf(direct.shardQuery, input.describe);
    // Nodes hold the rows of all their shard groups together.
    if (unit === 'shard' && results.some(({ result }) => result.distribution !== undefined)) return undefined;
    return { ...direct, stages: state.stages, rules: state.stages.length > 0 ? [rule, ...direct.rules] : direct.rules, readsLocalTables, unit, rewritten: true };
  }
  if (uses.some(({ table }) => table.kind === 'distributed') || (foreign.length > 0 && uses.length > 0)) return undefined;
  return {
    shardQuery: shardTemplate(state.statement, uses, results), shardOrder: undefined, united: undefined, bounded: undefined, merge: { kind: 'gather' }, columns: [], parameters: 0, rules: [rule],
    evaluated: [], firstValues: [], stages: state.stages, site: foreign.length === 0 && uses.length > 0 ? 'node' : 'coordinator', unit: 'shard', readsLocalTables, rewritten: true, uses: undefined, overWholeTables: undefined, locks: undefined,
  };
}

/**
 * All shards of a node can be read as one relation, unless the query needs a table there: TABLESAMPLE does, and so do columns that depend on a grouped
 * primary key. The coordinator database tells, with its shells.
 */
async function unitOf(shardQuery: ShardTemplate, describe: Describe): Promise<'shard' | 'node'> {
  // A join of two such relations would be planned without statistics of what it joins.
  if (shardQuery.uses !== 1 && !readsRehashed(shardQuery)) return 'shard';
  const text = fillShardTemplate(shardQuery, {
    shard: ({ schema, name }) => `(SELECT * FROM ${quoteQualified(schema, name)})`,
    reference: ({ schema, name }) => quoteQualified(schema, name),
    result: ({ standIn }) => standIn,
  });
  try {
    await describe.attempt(text);
    return 'node';
  } catch {
    return 'shard';
  }
}

function readsRehashed({ template }: ShardTemplate): boolean {
  return template.parts.some((part) => typeof part === 'object' && part.kind === 'result' && part.result.distribution !== undefined);
}

async function orUndefined<T>(plan: () => Promise<T>): Promise<T | undefined> {
  try {
    return await plan();
  } catch (error) {
    if (isBeyondShards(error)) return undefined;
    throw error;
  }
}

function checkStageable(statement: Statement, { finishing }: StagedInput): void {
  if (selectOf(statement).lockingClause !== undefined) throw unsupported('FOR UPDATE or FOR SHARE would lock rows in a query that takes several steps.', 'Filter by the distribution column, or lock the rows in a subquery.');
  if (namesSystemColumn(selectOf(statement), positionColumns)) {
    throw unsupported('A system column means something else on each shard.', 'Leave it out, or filter by the distribution column.');
  }
  if (finishing === 'server_rounded_floats') {
    throw unsupported('Floating-point values would reach the last step of the query rounded by extra_float_digits.', 'RESET extra_float_digits.');
  }
}
