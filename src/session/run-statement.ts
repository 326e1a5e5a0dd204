import type { QueryResult } from 'pg';
import { assert, AssertionError, at, present } from '../base/assert.ts';
import { orAborted } from '../base/abort.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import { ResultTooLong } from '../base/result-too-long.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { CatalogTable, DistributedTable } from '../catalog/catalog-snapshot.ts';
import type { NodeId, ShardGroupId, ShardId } from '../catalog/ids.ts';
import type { FieldDescriptor, ParsedQuery, RawRow } from '../cluster/node-connection.ts';
import { makeQueryResult } from '../cluster/query-result.ts';
import { referringTables } from '../ddl/referring-tables.ts';
import { truncatedPartitionsLeave } from '../ddl/lookups/truncated-partitions.ts';
import { truncateTables } from '../ddl/truncate-tables.ts';
import { runConcurrentIndex } from '../ddl/propagate/concurrent-index.ts';
import { runLock, runMaintenance } from '../ddl/propagate/run-maintenance.ts';
import { defineAgain } from './define-again.ts';
import type { ClientActivity } from '../execute/computed/client-activity.ts';
import { fillRelation } from '../execute/fill-relation.ts';
import { changeCode } from '../execute/change-code.ts';
import { changeViews } from '../execute/change-views.ts';
import { fieldsOf, withTablesOf } from '../execute/fields.ts';
import type { NodeObjects } from '../execute/node-objects.ts';
import { emptyLookups } from '../execute/lookups/empty-lookups.ts';
import { readLocalTables } from '../execute/read-local-tables.ts';
import { runCommitting, watchedScope, watchedWrites } from '../execute/watch-shells.ts';
import { collectFanOut, type FanOutOptions } from '../execute/run-fan-out.ts';
import { stagedRows } from '../execute/staged/staged-rows.ts';
import { type Effect, mayRunAgain, type ResultOptions, type StatementScope } from '../execute/statement-scope.ts';
import { bindInsert, verbatimOrdinal, verbatimText } from '../execute/write/run-insert.ts';
import { runEverywhere } from '../execute/write/run-everywhere.ts';
import { runLedInsert } from '../execute/write/run-led-insert.ts';
import { runBriefSpread, type WriteOutcome } from '../execute/write/run-spread.ts';
import type { WriteHow } from '../execute/write/written-rows.ts';
import { ValueBlocks, withEnoughValues } from '../execute/write/value-blocks.ts';
import { runWrite } from '../execute/write/run-write.ts';
import type { HotTexts } from '../execute/write/hot-texts.ts';
import type { StatementSequences } from './session-sequences.ts';
import type { ShardLoad } from '../store/shard-load.ts';
import { bindTarget, partialValues, type RenderedTexts, targetOf } from '../plan/bind.ts';
import { renderForShells } from '../plan/shard-template.ts';
import { planJson } from '../plan/explain/plan-tree.ts';
import { isStaged } from '../plan/fan-out.ts';
import type { InsertPlan } from '../plan/insert/insert-plan.ts';
import type { ExplainPlan, ModifyPlan, PrunableUse, QueriedInsertPlan, SelectPlan, TruncatePlan, UtilityCall } from '../plan/statement-plan.ts';
import { explainStatement } from './explain-statement.ts';
import { asTexts, insertOrUpdate } from './insert-or-update.ts';
import { insertQueried } from './insert-queried.ts';
import type { Insert } from './insert-parts.ts';
import { insertUntaken } from './insert-untaken.ts';
import { keepingLookups } from './keep-lookups.ts';
import { mayCommit, type RunByNames } from './known-code.ts';
import { PreparedPlan } from './planner.ts';
import { stagedHow } from './fan-out-rows.ts';
import { type UpsertMemory, upsertMemory } from './upserting.ts';
import { bindLookup } from './bind-lookup.ts';
import { bindComputed } from './bind-computed.ts';
import type { UtilityRun, UtilityValue } from './session-services.ts';
import type { TableStatistics } from './table-statistics.ts';

export interface RunContext {
  readonly scope: StatementScope;
  readonly sequences: StatementSequences;
  /** Where a statement's nodes have values of sequences from. */
  readonly blocks?: ValueBlocks | undefined;
  readonly hotTexts: HotTexts;
  readonly load: ShardLoad;
  readonly options: FanOutOptions;
  readonly objects: NodeObjects;
  readonly statistics: Pick<TableStatistics, 'note'>;
  /** How long a change of definitions waits for its locks. */
  readonly ddlLockTimeoutMs: number;
  /** Whether schemas that are made are distributed, unless the session says otherwise. */
  readonly distributesSchemas: boolean;
  /** Nodes for statements that any node can answer, in turn. */
  nextNode(): NodeId;
  /** Gives all nodes what an older version of this library has not given them. */
  readonly renewNodes: () => Promise<void>;
  /** What clients of the process's wire servers do. */
  clients(): Promise<readonly ClientActivity[]>;
  /** Whether a statement that the coordinator database runs may run code there that may do anything. */
  runsCode(prepared: RunByNames, scope: StatementScope): boolean | Promise<boolean>;
  /** Runs one of the cluster's own functions. */
  utility(run: UtilityRun): Promise<UtilityValue>;
}

/** Runs a planned statement; the result is pg's own. */
export function runStatement(prepared: PreparedPlan, values: readonly unknown[], context: RunContext, result: ResultOptions): Promise<QueryResult> {
  if (prepared.parameters !== undefined && prepared.parameters !== values.length) return refuseValues(prepared, values, { scope: context.scope, name: result.name });
  if (prepared.lookedUp !== undefined) return bindLookup(prepared, values, context).then((bound) => (bound === undefined ? runBound(prepared, values, context, result) : runBound(bound.prepared, bound.values, context, result)));
  return runBound(prepared, values, context, result);
}

function runBound(prepared: PreparedPlan, values: readonly unknown[], given: RunContext, result: ResultOptions): Promise<QueryResult> {
  const context = watching(prepared, given);
  if (prepared.plan.kind === 'insert' && prepared.plan.skips !== undefined) return runSkipping(prepared, prepared.plan, { values, context, result });
  if (prepared.plan.kind === 'queried_insert') return runQueried(prepared, prepared.plan, { values, context, result });
  return runDrawing(prepared, context, (own) => (prepared.keepsLookups ? keepingLookups(own.scope, ({ scope }) => runPlan(prepared, values, { ...own, scope }, result), mayRunAgain) : runPlan(prepared, values, own, result)));
}

/** A statement for nodes may have functions of the user's called in the coordinator database, in steps of its own: by their names, or by local tables and views. */
export function watching(prepared: PreparedPlan, context: RunContext): RunContext {
  const { plan: { kind }, sequenceEffects: effects } = prepared;
  const writes = kind === 'modify' || kind === 'insert' || kind === 'queried_insert';
  if ((!writes && kind !== 'select') || effects.kind === 'none' || (effects.kind === 'named' && effects.functions.length + effects.relations.length === 0)) return context;
  const { scope } = context;
  const runsCode = (): boolean | Promise<boolean> => context.runsCode(prepared, scope);
  const watched = watchedScope(scope, runsCode);
  return { ...context, scope: writes ? watchedWrites(watched, runsCode) : watched };
}

function runDrawing(prepared: PreparedPlan, context: RunContext, run: (context: RunContext) => Promise<QueryResult>): Promise<QueryResult> {
  return prepared.mayDraw ? withEnoughValues(context, (blocks) => run({ ...context, blocks })) : run(context);
}

/** An INSERT that leaves rows out, or updates others instead, whose keys in unique lookups are taken. `memory`: of the statement that it is a part of. */
function runSkipping(prepared: PreparedPlan, plan: InsertPlan, { values, context, result }: Call, memory: UpsertMemory = upsertMemory()): Promise<QueryResult> {
  const insert: Insert = (part, scope) => runInsert(prepared, part, { values, context: { ...context, scope }, result });
  const propose: Insert = (part, scope) => runInsert(prepared, part, { values, context: { ...context, scope }, result: asTexts });
  if (plan.upsert === undefined) return insertUntaken(plan, context.scope, { insert, propose });
  return insertOrUpdate({
    plan, upsert: plan.upsert, prepared: prepared.upsert, values, result, memory,
    steps: {
      insert, propose,
      load: context.load,
      run: (step, given, scope, how) => runDrawing(step, { ...context, scope }, (own) => runPlan(step, given, own, how)),
    },
  }, context.scope);
}

function runQueried(prepared: PreparedPlan, plan: QueriedInsertPlan, { values, context, result }: Call): Promise<QueryResult> {
  const { source, insert } = present(prepared.queried);
  return insertQueried({
    plan, values, result,
    read: (given, scope, how) => runPlan(source, given, { ...context, scope }, how),
    write: (part, given, { scope, memory }) => runSkipping(insert, part, { values: given, context: { ...context, scope }, result }, memory),
    bytesMax: context.options.maxIntermediateBytes,
  }, context.scope);
}

function runPlan(prepared: PreparedPlan, values: readonly unknown[], context: RunContext, result: ResultOptions): Promise<QueryResult> {
  const { plan } = prepared;
  switch (plan.kind) {
    case 'coordinator': {
      const query = { text: plan.text, values, rowMode: result.rowMode, types: result.types, name: prepared.serverName(result.name, []) };
      if (plan.changesViews !== undefined) return changeViews(context.scope, query, plan.changesViews);
      if (plan.changesCode === true) return changeCode(context.scope, query, { statement: prepared.statement, runsCode: context.runsCode(prepared, context.scope) });
      return runOnCoordinator(prepared, query, { effect: plan.effect === 'read' ? 'read' : 'write', context });
    }
    case 'select':
      return runSelect(prepared, plan, { values, context, result });
    case 'modify':
      return runModify(prepared, plan, { values, context, result });
    case 'insert':
      return runInsert(prepared, plan, { values, context, result });
    case 'queried_insert':
      throw new AssertionError('it keeps lookups by itself');
    case 'truncate':
      return runTruncate(context, plan);
    case 'definition':
      return defineAgain(context, { plan, query: { text: plan.text, values, rowMode: result.rowMode, types: result.types } });
    case 'maintenance':
      return runMaintenance(context.scope, { text: plan.text, rowMode: result.rowMode, types: result.types }, plan);
    case 'lock':
      // The server refuses it outside of a block.
      return context.scope.inTransaction ? runLock(context.scope, { text: plan.text }, plan) : context.scope.runParsed(coordinatorNodeId, { text: plan.text }, 'write');
    case 'concurrent_index':
      return runConcurrentIndex(context.scope, { text: plan.text }, plan, context.ddlLockTimeoutMs);
    case 'materialize': {
      const query = { text: plan.text, values, rowMode: result.rowMode, types: result.types };
      return fillRelation(context.scope, query, { plan, how: { options: context.options, host: context.nextNode() }, runsCode: () => context.runsCode(prepared, context.scope) });
    }
    case 'made_by_query':
      throw new AssertionError('the session runs it as two statements');
    case 'utility':
      return runUtility(plan, { values, context, result });
    case 'computed':
      return bindComputed(plan, values, context).then((bound) => runStatement(bound.prepared, bound.values, context, result));
    case 'explain':
      return runExplain(plan, { values, context, result });
  }
}

/** At once where nobody has to be asked what it runs. */
function runOnCoordinator(prepared: PreparedPlan, query: ParsedQuery, { effect, context }: { readonly effect: Effect; readonly context: RunContext }): Promise<QueryResult> {
  const { scope } = context;
  const runsCode = context.runsCode(prepared, scope);
  if (typeof runsCode !== 'boolean' || runsCode) return runCode(prepared, query, { effect, scope, runsCode });
  return prepared.readsLocalTables ? readLocalTables(scope, query, { effect }) : scope.runParsed(coordinatorNodeId, query, effect);
}

async function runCode(prepared: PreparedPlan, query: ParsedQuery, how: { readonly effect: Effect; readonly scope: StatementScope; readonly runsCode: boolean | Promise<boolean> }): Promise<QueryResult> {
  const { effect, scope } = how;
  const runsCode = await how.runsCode;
  if (!runsCode && !prepared.readsLocalTables) return scope.runParsed(coordinatorNodeId, query, effect);
  if (runsCode && !scope.inTransaction && (await mayCommit(prepared.statement, scope))) return runCommitting(scope, query);
  return readLocalTables(scope, query, { effect, namesTables: prepared.readsLocalTables, runsCode });
}

interface Call {
  readonly values: readonly unknown[];
  readonly context: RunContext;
  readonly result: ResultOptions;
}

/**
 * Values that do not fit the statement's parameters: the coordinator database, given both, says so in PostgreSQL's words before it runs
 * anything.
 */
export async function refuseValues(
  { statement, plan }: PreparedPlan,
  values: readonly unknown[],
  { scope, name }: { readonly scope: StatementScope; readonly name: string | undefined },
): Promise<never> {
  if (plan.kind === 'computed') throw misfit();
  try {
    // Without values pg uses the simple protocol, which has no parameters.
    await scope.run(coordinatorNodeId, { text: statement.text, values, simple: values.length === 0 && name === undefined }, 'read');
  } catch (error) {
    if (name !== undefined && error instanceof Error && sqlStateOf(error) === '08P01') error.message = error.message.replace('statement ""', `statement "${name}"`);
    throw error;
  }
  throw misfit();
}

function misfit(): ClusterError {
  return new ClusterError('invalidParameter', 'the values do not fit the parameters of the statement', { sqlState: '08P01' });
}

interface NodeCall {
  readonly node: NodeId;
  readonly text: string;
  readonly values: readonly unknown[];
  readonly effect: Effect;
  readonly name: string | undefined;
  readonly repeats: number | undefined;
  readonly tables: readonly CatalogTable[];
  /** Whose load it is. */
  readonly shardGroup: ShardGroupId | undefined;
  readonly groups?: boolean;
}

/** One statement answered by one node, in the words of the coordinator database; by that itself, where it locks rows of its copies. */
function runOnNode({ scope, objects, load }: RunContext, { node, text, values, effect, name, repeats, tables, shardGroup, groups }: NodeCall, { rowMode, types, wholeBytesMax: bytesMax }: ResultOptions): Promise<QueryResult> {
  const query = { text, values, rowMode, types: objects.parsers(node, types), name, repeats, groups, bytesMax };
  const where = { node, snapshot: scope.snapshot, tables };
  const answer = node === coordinatorNodeId ? readLocalTables(scope, query, { effect }) : scope.runParsed(node, query, effect);
  return answer.then((result) => {
    if (shardGroup !== undefined) load.note(shardGroup, result.rowCount ?? 0);
    return result.fields.length === 0 ? result : objects.translate(result, where, types);
  });
}

function runSelect(prepared: PreparedPlan, plan: SelectPlan, { values, context, result }: Call): Promise<QueryResult> {
  const target = targetOf(plan, values);
  if (target.kind === 'many') return runFanOut(prepared, plan, { ordinals: target.ordinals, values, context, result });
  const texts = present(prepared.texts);
  const ordinals = target.kind === 'one' ? target.ordinals : [];
  const node = target.kind === 'one' ? target.node : anyNode(plan, context);
  const text = target.kind === 'one' ? texts.forUses(ordinals) : textForAny(node, plan, texts);
  const name = result.name === undefined ? undefined : prepared.serverName(result.name, shardsOf(plan, ordinals));
  const answer = runOnNode(context, { node, text, values, name, repeats: prepared.repeats(), tables: plan.tables, shardGroup: groupOf(plan.uses, ordinals), effect: plan.locks ? 'write' : 'read' }, result);
  if (plan.columns === undefined) return answer;
  return answer.then((found) => {
    found.fields = withTablesOf(found.fields, plan.columns);
    return found;
  });
}

/** The shard group of the first table: others on the same node count for it, too. */
export function groupOf(uses: readonly PrunableUse[], ordinals: readonly number[]): ShardGroupId | undefined {
  return uses[0]?.placer.group.shardGroups[ordinals[0] ?? -1]?.id;
}

/** For a query of reference tables alone. Whoever locks their rows does so where writers come first: in the coordinator database, or, where that has no copies, on the first node. */
export function anyNode({ locks, tables }: Pick<SelectPlan, 'locks' | 'tables'>, { scope, nextNode }: Pick<RunContext, 'scope' | 'nextNode'>): NodeId {
  if (!locks) return nextNode();
  return tables.every((table) => table.kind === 'reference' && table.shellIsCopy) ? coordinatorNodeId : at(scope.snapshot.nodes, 0).id;
}

/** The text of such a query for that node. */
export function textForAny(node: NodeId, { whole }: Pick<SelectPlan, 'whole'>, texts: RenderedTexts): string {
  return node === coordinatorNodeId ? renderForShells(whole) : texts.forOrdinal(0);
}

/** A prepared statement has another text on each shard, so it needs another name. */
function shardsOf(plan: SelectPlan | ModifyPlan, ordinals: readonly number[]): readonly ShardId[] {
  const first = ordinals[0];
  if (first === undefined) return [];
  if (ordinals.every((ordinal) => ordinal === first)) return [at(tableOf(at(plan.uses, 0)).shardIds, first)];
  return plan.uses.map((use, i) => at(tableOf(use).shardIds, at(ordinals, i)));
}

/** A statement of the caller's reads tables only. */
function tableOf({ table }: PrunableUse): DistributedTable {
  return present(table, 'distributed table');
}

async function runFanOut(prepared: PreparedPlan, plan: SelectPlan, call: Call & { readonly ordinals: readonly number[] }): Promise<QueryResult> {
  const { values, context, result, ordinals } = call;
  const fanOut = await orAborted(plan.fanOut(), context.scope.signal);
  const rows = isStaged(fanOut)
    ? await collected(stagedRows(context.scope, { fanOut, uses: plan.uses, values }, stagedHow(prepared, context)), result.wholeBytesMax)
    : await collectFanOut(context.scope, { fanOut, uses: plan.uses, ordinals, values }, prepared.memoryOf(fanOut), { ...context.options, repeats: prepared.repeats(), wholeBytesMax: result.wholeBytesMax });
  context.load.noteEach(plan.uses[0]?.placer.group.shardGroups ?? [], ordinals, rows.length);
  return makeQueryResult({ command: 'SELECT', rowCount: rows.length, fields: fieldsOf(plan.columns ?? fanOut.columns), rows, ...result });
}

async function collected(batches: AsyncIterable<readonly RawRow[]>, bytesMax = Infinity): Promise<readonly RawRow[]> {
  const rows: RawRow[] = [];
  let bytes = 0;
  for await (const batch of batches) {
    for (const row of batch) {
      if (bytesMax !== Infinity) for (const value of row) bytes += value?.length ?? 0;
      rows.push(row);
    }
    if (bytes > bytesMax) throw new ResultTooLong(bytesMax);
  }
  return rows;
}

async function runModify(prepared: PreparedPlan, plan: ModifyPlan, call: Call): Promise<QueryResult> {
  const { values, context, result } = call;
  const blocks = context.blocks ?? new ValueBlocks(context.sequences, 1);
  const target = plan.everywhere !== undefined || !plan.routable ? undefined : bindTarget(plan.uses, values);
  if (target?.kind === 'one') {
    const text = present(prepared.texts).forUses(target.ordinals);
    const name = result.name === undefined ? undefined : prepared.serverName(result.name, shardsOf(plan, target.ordinals));
    const supplied = plan.sequences.length === 0 ? values : [...values, ...(await context.sequences.nextOfEach(plan.sequences))];
    const sent = plan.whole.draws.length === 0 ? supplied : partialValues(plan.whole, await blocks.forOne(context.scope, plan.whole, supplied));
    const done = await runOnNode(context, { node: target.node, text, values: sent, name, repeats: prepared.repeats(), tables: plan.tables, shardGroup: groupOf(plan.uses, target.ordinals), effect: 'write' }, result);
    blocks.wrote(plan.whole, done.rowCount ?? 0);
    return done;
  }
  const spread = await orAborted(plan.spread(), context.scope.signal);
  const outcome = await runWrite(context.scope, { plan, values, texts: (known) => prepared.spreadTexts(known) }, writeHow(prepared, context));
  if (target !== undefined) context.load.noteEach(plan.uses[0]?.placer.group.shardGroups ?? [], target.kind === 'many' ? target.ordinals : [], outcome.rowCount);
  return written(plan.command, { ...outcome, fields: fieldsOf(spread.columns) }, result);
}

function writeHow(prepared: PreparedPlan, context: RunContext): WriteHow {
  const { sequences, hotTexts, load, blocks = new ValueBlocks(sequences, 1) } = context;
  return { ...stagedHow(prepared, context), sequences, blocks, hotTexts, load };
}

function written(command: string, outcome: WriteOutcome, result: ResultOptions): QueryResult {
  const rows: readonly RawRow[] = outcome.rows;
  return makeQueryResult({ command, rowCount: outcome.rowCount, fields: outcome.fields, rows, ...result });
}

async function runInsert(prepared: PreparedPlan, plan: InsertPlan, call: Call): Promise<QueryResult> {
  const { values, context, result } = call;
  const tables = [plan.table];
  const ordinal = verbatimOrdinal(plan, values);
  if (ordinal !== undefined && plan.table.kind === 'distributed') {
    let text = prepared.insertTexts[ordinal];
    if (text === undefined) {
      text = verbatimText(plan, plan.table, ordinal);
      prepared.insertTexts[ordinal] = text;
    }
    const { id: shardGroup, node } = at(present(plan.placer).group.shardGroups, ordinal);
    const name = result.name === undefined ? undefined : prepared.serverName(result.name, [at(plan.table.shardIds, ordinal)]);
    return runOnNode(context, { node, text, values, name, repeats: prepared.repeats(), tables, shardGroup, effect: 'write', groups: plan.groups }, result);
  }
  if (plan.follow !== undefined) {
    const { lead, ...outcome } = await runLedInsert(context.scope, { plan, follow: plan.follow, values }, writeHow(prepared, context));
    const fields = lead === coordinatorNodeId ? outcome.fields : await logicalFields(context, outcome.fields, { node: lead, tables });
    return written('INSERT', { ...outcome, fields }, result);
  }
  const tasks = await bindInsert(context.scope, plan, values, context);
  const [only] = tasks;
  if (tasks.length === 1 && only !== undefined && only.counts !== true && plan.check === undefined) {
    return runOnNode(context, { node: only.node, text: only.sql, values: only.values, name: undefined, repeats: undefined, tables, shardGroup: undefined, effect: 'write' }, result);
  }
  const outcome = plan.table.kind === 'reference' ? await runEverywhere(context.scope, { tasks, check: plan.check }) : await runBriefSpread(context.scope, tasks);
  return written('INSERT', { ...outcome, fields: await logicalFields(context, outcome.fields, { node: tasks[0]?.node, tables }) }, result);
}

function logicalFields(
  { objects, scope }: RunContext,
  fields: readonly FieldDescriptor[],
  { node, tables }: { readonly node: NodeId | undefined; readonly tables: readonly CatalogTable[] },
): Promise<readonly FieldDescriptor[]> | readonly FieldDescriptor[] {
  return fields.length === 0 || node === undefined ? fields : objects.fields(fields, { node, snapshot: scope.snapshot, tables });
}

async function runTruncate(context: RunContext, plan: TruncatePlan): Promise<QueryResult> {
  const { snapshot } = context.scope;
  await context.scope.atomically(async (transaction, options) => {
    const coordinator = plan.cascade || plan.restartIdentity ? await transaction.join(coordinatorNodeId, 'write', options) : undefined;
    const { tables, locals } = plan.cascade ? await referringTables(present(coordinator), { snapshot, tables: plan.tables }, options) : { tables: plan.tables, locals: [] };
    await truncatedPartitionsLeave(transaction, { snapshot, tables }, options);
    await truncateTables(transaction, { snapshot, tables, locals }, { restartIdentity: plan.restartIdentity, signal: options.signal });
    await emptyLookups(transaction, { snapshot, tables }, options);
    if (coordinator === undefined || !plan.restartIdentity) return;
    for (const sequence of sequencesOf(tables)) await coordinator.query({ text: `ALTER SEQUENCE ${sequence} RESTART` }, options);
  });
  if (plan.restartIdentity) context.sequences.forget();
  return makeQueryResult({ command: 'TRUNCATE', rowCount: null, fields: [], rows: [] });
}

function sequencesOf(tables: readonly CatalogTable[]): string[] {
  return tables.flatMap(({ columns }) => columns.flatMap((column) => (column.default?.kind === 'sequence' ? [column.default.sequence] : [])));
}

/** Lines of text or one JSON value, as PostgreSQL's own EXPLAIN gives them. */
async function runExplain({ plan, statement, options }: ExplainPlan, { values, context, result }: Call): Promise<QueryResult> {
  const { plan: tree, text } = await explainStatement(new PreparedPlan(plan, context.scope.snapshot, statement), context, values, options);
  const isText = options.format === 'text';
  const rows = isText ? text.split('\n').map((line) => [line]) : [[planJson(tree)]];
  const field = { name: 'QUERY PLAN', tableID: 0, columnID: 0, dataTypeID: isText ? 25 : 114, dataTypeSize: -1, dataTypeModifier: -1, format: 'text' };
  return makeQueryResult({ command: 'EXPLAIN', rowCount: null, fields: [field], rows, ...result });
}

const typeOfVoid = { dataTypeID: 2278, dataTypeSize: 4 };
const typeOfInteger = { dataTypeID: 23, dataTypeSize: 4 };
const utilityTypes: Readonly<Record<string, { readonly dataTypeID: number; readonly dataTypeSize: number }>> = {
  citus_add_node: typeOfInteger,
  master_add_node: typeOfInteger,
  get_shard_id_for_distribution_column: { dataTypeID: 20, dataTypeSize: 8 },
  isolate_tenant_to_new_shard: { dataTypeID: 20, dataTypeSize: 8 },
  citus_rebalance_start: { dataTypeID: 20, dataTypeSize: 8 },
  shardwright_check_schema: { dataTypeID: 25, dataTypeSize: -1 },
  shardwright_verify: { dataTypeID: 25, dataTypeSize: -1 },
};

/** One row of one column, as a SELECT of the function gives. */
async function runUtility(call: UtilityCall, { values, context, result }: Call): Promise<QueryResult> {
  const value = await context.utility({ call, values, signal: context.scope.signal });
  assert(typeof value !== 'object' || value === null, `${call.name} gives rows`);
  const field = value === undefined ? { ...utilityField(call), ...typeOfVoid } : utilityField(call);
  return makeQueryResult({ command: 'SELECT', rowCount: 1, fields: [field], rows: [[value === undefined ? '' : value]], ...result });
}

/** The column of a function that gives one value. */
export function utilityField({ name, column }: UtilityCall): FieldDescriptor {
  return { name: column, tableID: 0, columnID: 0, dataTypeModifier: -1, format: 'text', ...(utilityTypes[name] ?? typeOfVoid) };
}
