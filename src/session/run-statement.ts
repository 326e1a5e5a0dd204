import type { QueryResult } from 'pg';
import { at, present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { RawRow } from '../cluster/node-connection.ts';
import { makeQueryResult } from '../cluster/query-result.ts';
import { truncateTables } from '../ddl/truncate-tables.ts';
import { withEvaluated } from '../execute/evaluate.ts';
import { fieldsOf } from '../execute/fields.ts';
import { type BoundFanOut, collectFanOut, type FanOutOptions } from '../execute/run-fan-out.ts';
import type { ResultOptions, StatementScope } from '../execute/statement-scope.ts';
import { bindInsert, verbatimOrdinal, verbatimText } from '../execute/write/run-insert.ts';
import { runEverywhere, runSpread, type WriteOutcome, type WriteTask } from '../execute/write/run-spread.ts';
import type { SequenceBlocks } from '../execute/write/sequence-blocks.ts';
import { bindTarget, partialValues, RenderedTexts, valuesFor } from '../plan/bind.ts';
import type { InsertPlan } from '../plan/insert/insert-plan.ts';
import type { ModifyPlan, SelectPlan, TruncatePlan, UtilityCall } from '../plan/statement-plan.ts';
import type { PreparedPlan } from './planner.ts';

export interface RunContext {
  readonly scope: StatementScope;
  readonly sequences: SequenceBlocks;
  readonly options: FanOutOptions;
  /** Nodes for statements that any node can answer, in turn. */
  nextNode(): NodeId;
  /** Runs one of the cluster's own functions; resolves to its value, undefined for void. */
  utility(call: UtilityCall, values: readonly unknown[]): Promise<string | undefined>;
}

/** Runs a planned statement; the result is pg's own. */
export function runStatement(prepared: PreparedPlan, values: readonly unknown[], context: RunContext, result: ResultOptions): Promise<QueryResult> {
  const { plan } = prepared;
  switch (plan.kind) {
    case 'coordinator':
      return context.scope.runParsed(coordinatorNodeId, { text: plan.text, values, ...result }, plan.effect === 'read' ? 'read' : 'write');
    case 'select':
      return runSelect(prepared, plan, { values, context, result });
    case 'modify':
      return runModify(prepared, plan, { values, context, result });
    case 'insert':
      return runInsert(prepared, plan, { values, context, result });
    case 'truncate':
      return runTruncate(context, plan);
    case 'utility':
      return runUtility(plan, { values, context, result });
  }
}

interface Call {
  readonly values: readonly unknown[];
  readonly context: RunContext;
  readonly result: ResultOptions;
}

function runSelect(prepared: PreparedPlan, plan: SelectPlan, { values, context, result }: Call): Promise<QueryResult> {
  const target = bindTarget(plan.uses, values);
  if (target.kind === 'many') return runFanOut(prepared, plan, { ordinals: target.ordinals, values, context, result });
  const texts = present(prepared.texts);
  const text = target.kind === 'one' ? texts.forUses(target.ordinals) : texts.forOrdinal(0);
  const node = target.kind === 'one' ? target.node : context.nextNode();
  const own = valuesFor(plan.whole, values);
  const query = { text, values: own, rowMode: result.rowMode, types: result.types, name: shardStatementName(plan, target.kind === 'one' ? target.ordinals : [], result.name) };
  return context.scope.runParsed(node, query, plan.locks ? 'write' : 'read');
}

/** A prepared statement has another text on each shard, so it needs another name. */
function shardStatementName(plan: SelectPlan | ModifyPlan, ordinals: readonly number[], name: string | undefined): string | undefined {
  if (name === undefined || ordinals.length === 0) return name;
  const first = at(at(plan.uses, 0).table.shardIds, at(ordinals, 0));
  if (ordinals.every((ordinal) => ordinal === ordinals[0])) return `${name}_${first}`;
  return `${name}_${plan.uses.map((use, i) => at(use.table.shardIds, at(ordinals, i))).join('_')}`;
}

async function runFanOut(prepared: PreparedPlan, plan: SelectPlan, call: Call & { readonly ordinals: readonly number[] }): Promise<QueryResult> {
  const { values, context, result, ordinals } = call;
  const fanOut = await plan.fanOut();
  checkParameterCount(values, fanOut.parameters, result.name);
  const bound: BoundFanOut = { fanOut, uses: plan.uses, ordinals, values };
  const rows = await collectFanOut(context.scope, bound, prepared.memoryOf(fanOut), context.options);
  return makeQueryResult({ command: 'SELECT', rowCount: rows.length, fields: fieldsOf(fanOut.columns), rows, ...result });
}

export function checkParameterCount(values: readonly unknown[], needed: number, name = ''): void {
  if (values.length === needed) return;
  throw new ClusterError('invalidParameter', `bind message supplies ${values.length} parameters, but prepared statement "${name}" requires ${needed}`, { sqlState: '08P01' });
}

async function runModify(prepared: PreparedPlan, plan: ModifyPlan, call: Call): Promise<QueryResult> {
  const { values, context, result } = call;
  if (plan.everywhere) {
    const spread = await plan.spread();
    checkParameterCount(values, spread.parameters, result.name);
    const all = await withEvaluated(context.scope, spread, values);
    const sql = new RenderedTexts(spread.template).forOrdinal(0);
    const tasks = context.scope.snapshot.nodes.map(({ id }): WriteTask => ({ node: id, sql, values: partialValues(spread.template, all) }));
    return written(plan.command, await runEverywhere(context.scope, tasks), result);
  }
  const target = bindTarget(plan.uses, values);
  if (target.kind === 'one') {
    const text = present(prepared.texts).forUses(target.ordinals);
    const query = { text, values: valuesFor(plan.whole, values), rowMode: result.rowMode, types: result.types, name: shardStatementName(plan, target.ordinals, result.name) };
    return context.scope.runParsed(target.node, query, 'write');
  }
  const spread = await plan.spread();
  checkParameterCount(values, spread.parameters, result.name);
  const all = await withEvaluated(context.scope, spread, values);
  const texts = new RenderedTexts(spread.template);
  const groups = at(plan.uses, 0).placer.group.shardGroups;
  const ordinals = target.kind === 'many' ? target.ordinals : [0];
  const tasks = ordinals.map((ordinal): WriteTask => ({ node: at(groups, ordinal).node, sql: texts.forOrdinal(ordinal), values: partialValues(spread.template, all) }));
  return written(plan.command, await runSpread(context.scope, tasks), result);
}

function written(command: string, outcome: WriteOutcome, result: ResultOptions): QueryResult {
  const rows: readonly RawRow[] = outcome.rows;
  return makeQueryResult({ command, rowCount: outcome.rowCount, fields: outcome.fields, rows, ...result });
}

async function runInsert(prepared: PreparedPlan, plan: InsertPlan, call: Call): Promise<QueryResult> {
  const { values, context, result } = call;
  const ordinal = verbatimOrdinal(plan, values);
  if (ordinal !== undefined && plan.table.kind === 'distributed') {
    let text = prepared.insertTexts[ordinal];
    if (text === undefined) {
      text = verbatimText(plan, plan.table, ordinal);
      prepared.insertTexts[ordinal] = text;
    }
    const node = at(present(plan.placer).group.shardGroups, ordinal).node;
    const name = result.name === undefined ? undefined : `${result.name}_${at(plan.table.shardIds, ordinal)}`;
    return context.scope.runParsed(node, { text, values, rowMode: result.rowMode, types: result.types, name }, 'write');
  }
  const tasks = await bindInsert(context.scope, plan, values, context.sequences);
  const [only] = tasks;
  if (tasks.length === 1 && only !== undefined) {
    return context.scope.runParsed(only.node, { text: only.sql, values: only.values, rowMode: result.rowMode, types: result.types }, 'write');
  }
  const outcome = plan.table.kind === 'reference' ? await runEverywhere(context.scope, tasks) : await runSpread(context.scope, tasks);
  return written('INSERT', outcome, result);
}

async function runTruncate(context: RunContext, plan: TruncatePlan): Promise<QueryResult> {
  const { snapshot } = context.scope;
  await context.scope.atomically(async (transaction, options) => {
    await truncateTables(transaction, { snapshot, tables: plan.tables }, { signal: options.signal });
    if (!plan.restartIdentity) return;
    const coordinator = await transaction.join(coordinatorNodeId, 'write', options);
    for (const sequence of sequencesOf(plan)) await coordinator.query({ text: `ALTER SEQUENCE ${sequence} RESTART` }, options);
  });
  if (plan.restartIdentity) context.sequences.forget();
  return makeQueryResult({ command: 'TRUNCATE', rowCount: null, fields: [], rows: [] });
}

function sequencesOf({ tables }: TruncatePlan): string[] {
  return tables.flatMap(({ columns }) => columns.flatMap((column) => (column.default?.kind === 'sequence' ? [column.default.sequence] : [])));
}

/** One row of one column, as a SELECT of the function gives. */
async function runUtility(call: UtilityCall, { values, context, result }: Call): Promise<QueryResult> {
  const value = await context.utility(call, values);
  const dataTypeID = value === undefined ? 2278 : call.name === 'get_shard_id_for_distribution_column' ? 20 : 23;
  const field = { name: call.column, tableID: 0, columnID: 0, dataTypeID, dataTypeSize: dataTypeID === 20 ? 8 : 4, dataTypeModifier: -1, format: 'text' };
  return makeQueryResult({ command: 'SELECT', rowCount: 1, fields: [field], rows: [[value ?? '']], ...result });
}
