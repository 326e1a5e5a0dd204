import { orAborted } from '../../base/abort.ts';
import { at } from '../../base/assert.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { CallOptions, RawRow } from '../../cluster/node-connection.ts';
import type { ReferenceTable } from '../../catalog/catalog-snapshot.ts';
import type { NodeId } from '../../catalog/ids.ts';
import { copyHolders, copyWrite } from '../../catalog/reference-copies.ts';
import { bindTarget, partialValues, placesOf, RenderedTexts, type ShardPlace } from '../../plan/bind.ts';
import { firstDrawn } from '../../plan/drawn-values.ts';
import { constraintSql, renderForShells, shardSql } from '../../plan/shard-template.ts';
import type { FollowingCopies, ModifyPlan, RowKey, SpreadModify, WritingParts, WrittenRows } from '../../plan/statement-plan.ts';
import { closeParameterGaps } from '../../sql/parameters.ts';
import type { DistributedTransaction } from '../../txn/distributed-transaction.ts';
import { withEvaluated } from '../evaluate.ts';
import { checkLocalTables } from '../read-local-tables.ts';
import type { HeldResults } from '../staged/held-result.ts';
import { StagedRun } from '../staged/run-staged.ts';
import { mayRunAgain, type StatementScope, type SteadyScope } from '../statement-scope.ts';
import { checkUnreferenced } from './check-unreferenced.ts';
import { bindInsert } from './run-insert.ts';
import { noShard, runLed } from './run-led.ts';
import { runLedInsert } from './run-led-insert.ts';
import { everywhereIn, inItsOwnName, Patience, runEverywhere, summed } from './run-everywhere.ts';
import { runSpread, spreadIn, type WriteOutcome, type WriteTask } from './run-spread.ts';
import { type RowBatch, rowsByShard, takeRows, type WriteHow } from './written-rows.ts';

/** Runs a plan that reads or writes rows, as a part of a larger statement. */
export async function runPart(scope: SteadyScope, plan: WritingParts['main'], values: readonly unknown[], how: WriteHow): Promise<WriteOutcome> {
  switch (plan.kind) {
    case 'modify':
      return runWrite(scope, { plan, values }, how);
    case 'insert': {
      if (plan.follow !== undefined) return runLedInsert(scope, { plan, follow: plan.follow, values }, how);
      const tasks = await bindInsert(scope, plan, values, how);
      return plan.table.kind === 'reference' ? runEverywhere(scope, { tasks, check: plan.check }) : runSpread(scope, tasks);
    }
    case 'coordinator': {
      const { text, numbers } = closeParameterGaps(plan.text);
      const { rowCount, rows, fields } = await scope.run(coordinatorNodeId, { text, values: numbers.map((number) => values[number - 1]) }, 'write');
      return { rowCount: rowCount ?? 0, rows, fields };
    }
    case 'select': {
      const rows: RawRow[] = [];
      for await (const batch of new StagedRun(scope, how).select(plan, values)) for (const row of batch) rows.push(row);
      return { rowCount: rows.length, rows, fields: [] };
    }
  }
}

/** All parts in one transaction, each after the one before. */
function runParts(scope: StatementScope, { parts, main }: WritingParts, values: readonly unknown[], how: WriteHow): Promise<WriteOutcome> {
  return scope.atomically(async (_transaction, _options, steady) => {
    await joinAll(scope, steady);
    const results: HeldResults = new Map(how.results);
    for (const { plan, result } of parts) {
      const { rows } = await runPart(steady, plan, values, { ...how, results });
      if (result !== undefined) results.set(result, { kind: 'rows', rows });
    }
    return runPart(steady, main, values, { ...how, results });
  }, mayRunAgain);
}

export interface WriteCall {
  readonly plan: ModifyPlan;
  readonly values: readonly unknown[];
  /** Texts by ordinal that were rendered before. */
  readonly texts?: ((spread: SpreadModify) => RenderedTexts) | undefined;
}

interface SpreadCall extends WriteCall {
  readonly spread: SpreadModify;
}

/** A write in the scope's transaction, or in one of its own; rows of RETURNING as the servers give them. */
export async function runWrite(scope: StatementScope, call: WriteCall, how: WriteHow): Promise<WriteOutcome> {
  const { plan, values } = call;
  const target = plan.routable && plan.everywhere === undefined ? bindTarget(plan.uses, values) : undefined;
  if (target?.kind === 'one') {
    const sent = await sentValues(scope, plan, values, how);
    const { rowCount, rows, fields } = await scope.run(target.node, { text: new RenderedTexts(plan.whole).forUses(target.ordinals), values: sent }, 'write');
    return { rowCount: rowCount ?? 0, rows, fields };
  }
  const spread = await orAborted(plan.spread(), scope.signal);
  if ('parts' in spread) return runParts(scope, spread, values, how);
  const written = spread.uses === undefined && spread.follow === undefined ? runByTemplate(scope, { ...call, spread }, how) : runStagedWrite(scope, { ...call, spread }, how);
  return plan.everywhere === undefined ? written : written.catch((error: unknown) => Promise.reject(inItsOwnName(error, plan.command)));
}

/** The values that a part of a larger statement has parameters for: some of the caller's, and those of sequences behind them. */
async function sentValues(scope: StatementScope, { whole, sequences }: ModifyPlan, values: readonly unknown[], how: WriteHow): Promise<readonly unknown[]> {
  const drawn = (given: readonly unknown[]): Promise<readonly unknown[]> => how.blocks.forOne(scope, whole, given);
  if (sequences.length === 0) return partialValues(whole, await drawn(values));
  const before = Math.max(...whole.parameters.filter((number) => number < firstDrawn)) - sequences.length;
  return partialValues(whole, await drawn([...Array.from({ length: before }, (_, i) => values[i]), ...(await how.sequences.nextOfEach(sequences))]));
}

/** Shards or copies have all they need. */
async function runByTemplate(scope: StatementScope, { plan, spread, values: given, texts }: SpreadCall, { blocks }: WriteHow): Promise<WriteOutcome> {
  const { template } = spread;
  const evaluated = await withEvaluated(scope, spread, given);
  const rendered = texts?.(spread) ?? new RenderedTexts(spread.template);
  if (plan.everywhere !== undefined) {
    const values = partialValues(template, evaluated);
    const tasks = copyHolders(scope.snapshot, plan.everywhere).map((node) => ({ node, ...ofCopy(spread, node, node === coordinatorNodeId ? renderForShells(template) : rendered.forOrdinal(0)), values }));
    return runEverywhere(scope, { tasks, check: spread.check });
  }
  const places = placesOf(plan.uses, given);
  const values = await blocks.forTasks(scope, template, { values: evaluated, count: places.length });
  return runSpread(scope, places.map(({ node, ordinal }, i) => ({ node, sql: rendered.forOrdinal(ordinal), values: partialValues(template, at(values, i)) })));
}

/** What a copy is sent. */
function ofCopy({ check, columns }: SpreadModify, node: NodeId, text: string): Pick<WriteTask, 'sql' | 'counts'> {
  const counts = check?.kind === 'compared' && columns.length === 0;
  return { sql: copyWrite(counts ? summed(text) : text, node), counts };
}

/**
 * A write that needs rows of other servers: they are read first, in the transaction that then writes, and travel with the statements that write, since a temporary table would keep
 * the transaction from being prepared.
 */
function runStagedWrite(scope: StatementScope, { plan, spread, values: given }: SpreadCall, how: WriteHow): Promise<WriteOutcome> {
  const patience = new Patience(scope);
  return scope.atomically(async (transaction, options, steady) => {
    await joinAll(scope, steady);
    if (spread.unreferenced !== undefined) await checkUnreferenced(steady, spread.unreferenced);
    const run = new StagedRun(steady, how);
    const values = await run.hold({ ...spread, firstValues: [] }, given);
    const taken = spread.rows === undefined ? undefined : await takeRows(steady, { rows: rowsOf(steady, { run, written: spread.rows, values, how }), written: spread.rows }, how);
    const write: StagedWrite = { plan, spread, values, run, taken, how, patience };
    const outcome = plan.everywhere !== undefined && spread.follow !== undefined ? await leadWrite({ transaction, steady, options }, write, { table: plan.everywhere, follow: spread.follow }) : await spreadWrite({ transaction, steady, options }, write);
    if (spread.readsLocalTables) await checkLocalTables(steady);
    return outcome;
  }, mayRunAgain);
}

interface WriteContext {
  readonly transaction: DistributedTransaction;
  readonly steady: SteadyScope;
  readonly options: CallOptions;
}

/** What is left when all that the write needs has been read. */
interface StagedWrite extends SpreadCall {
  readonly run: StagedRun;
  readonly taken: readonly RawRow[] | undefined;
  readonly how: WriteHow;
  readonly patience: Patience;
}

async function spreadWrite({ transaction, steady, options }: WriteContext, { plan, spread, values, run, taken, how, patience }: StagedWrite): Promise<WriteOutcome> {
  const places = await targetsOf(steady, { plan, spread, values }, taken);
  const valuesOf = await how.blocks.forTasks(steady, spread.template, { values, count: places.length });
  const task = async ({ node, ordinal, batch }: WritePlace, i: number): Promise<WriteTask> => {
    const own = spread.rows === undefined || batch === undefined ? [] : [{ result: spread.rows.result, rows: batch.rows }];
    const { text, values: sent = [] } = await run.statement({
      template: spread.template, values: at(valuesOf, i), node, shard: (table) => shardSql(table, ordinal), constraint: (table, name) => constraintSql(table, name, ordinal),
    }, own);
    return { node, ...(plan.everywhere === undefined ? { sql: text } : ofCopy(spread, node, text)), values: sent, slots: plan.command === 'INSERT' ? batch?.slots : undefined };
  };
  const tasks = await Promise.all(places.map(task));
  return plan.everywhere === undefined ? spreadIn(transaction, tasks, options) : everywhereIn(transaction, { tasks, check: spread.check, patience }, options);
}

/** Values of sequences go to the one copy that takes some. */
async function leadWrite({ transaction, steady, options }: WriteContext, { spread, values, run, taken, how, patience }: StagedWrite, { table, follow }: { readonly table: ReferenceTable; readonly follow: FollowingCopies }): Promise<WriteOutcome> {
  const own = spread.rows === undefined || taken === undefined ? [] : [{ result: spread.rows.result, rows: taken }];
  const drawn = await how.blocks.forOne(steady, spread.template, values);
  const statement = async (node: NodeId): Promise<Pick<WriteTask, 'sql' | 'values'>> => {
    const { text, values: sent = [] } = await run.statement({ template: spread.template, values: drawn, node, shard: noShard }, own);
    return { sql: copyWrite(text, node), values: sent };
  };
  return runLed(transaction, { check: spread.check, follow, holders: copyHolders(steady.snapshot, table), run, statement, values: drawn, own, how, patience }, options);
}

/** Always in the same order: no two statements wait for each other's connections. */
async function joinAll(scope: StatementScope, steady: SteadyScope): Promise<void> {
  if (!scope.inTransaction) for (const { id } of scope.snapshot.nodes) await steady.join(id);
}

interface RowsOf {
  readonly run: StagedRun;
  readonly written: WrittenRows;
  readonly values: readonly unknown[];
  readonly how: WriteHow;
}

/** Of a query, or of a write that returns them. */
async function* rowsOf(steady: SteadyScope, { run, written: { source }, values, how }: RowsOf): AsyncGenerator<readonly RawRow[]> {
  if (source.kind === 'write') yield (await runWrite(steady, { plan: source.plan, values }, how)).rows;
  else yield* run.source(source, values);
}

/** Where the write is done, and the rows that it takes in there. */
interface WritePlace extends ShardPlace {
  readonly batch?: RowBatch | undefined;
}

async function targetsOf(steady: SteadyScope, { plan, spread, values }: SpreadCall, taken: readonly RawRow[] | undefined): Promise<WritePlace[]> {
  const { rows: written } = spread;
  if (written?.key !== undefined && taken !== undefined) return placesOfRows(written, written.key, await rowsByShard(steady, written, taken));
  const batch = taken === undefined ? undefined : { rows: taken, slots: [...taken.keys()] };
  if (spread.site === 'coordinator') return [{ node: coordinatorNodeId, ordinal: 0, batch }];
  if (plan.everywhere !== undefined) return copyHolders(steady.snapshot, plan.everywhere).map((node) => ({ node, ordinal: 0, batch }));
  return placesOf(spread.uses ?? plan.uses, values);
}

const noRows: RowBatch = { rows: [], slots: [] };

function placesOfRows({ everyShard }: WrittenRows, { placer: { group: { shardGroups } } }: RowKey, batches: ReadonlyMap<number, RowBatch>): WritePlace[] {
  const all = shardGroups.map(({ node }, ordinal) => ({ node, ordinal, batch: batches.get(ordinal) ?? noRows }));
  return everyShard ? all : all.filter(({ ordinal }) => batches.has(ordinal));
}
