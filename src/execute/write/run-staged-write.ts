import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { RawRow } from '../../cluster/node-connection.ts';
import { placesOf, type ShardPlace } from '../../plan/bind.ts';
import { constraintSql, shardSql } from '../../plan/shard-template.ts';
import type { ModifyPlan, RowKey, SpreadModify, WrittenRows } from '../../plan/statement-plan.ts';
import { checkLocalTables } from '../read-local-tables.ts';
import { StagedRun } from '../staged/run-staged.ts';
import type { StatementScope, SteadyScope } from '../statement-scope.ts';
import { everywhereIn, spreadIn, type WriteOutcome, type WriteTask } from './run-spread.ts';
import { type RowBatch, rowsByShard, takeRows, type WriteHow } from './written-rows.ts';

export interface StagedWriteCall {
  readonly plan: ModifyPlan;
  readonly spread: SpreadModify;
  readonly values: readonly unknown[];
}

/**
 * A write that needs rows of other servers: they are read first, in the transaction that then writes, and travel with the statements that write, since a temporary table would keep
 * the transaction from being prepared.
 */
export function runStagedWrite(scope: StatementScope, { plan, spread, values: given }: StagedWriteCall, how: WriteHow): Promise<WriteOutcome> {
  return scope.atomically(async (transaction, options, steady) => {
    // Always in the same order: no two statements wait for each other's connections.
    if (!scope.inTransaction) for (const { id } of scope.snapshot.nodes) await steady.join(id);
    const run = new StagedRun(steady, how);
    const values = await run.hold({ ...spread, firstValues: [] }, given);
    const taken = spread.rows === undefined ? undefined : await takeRows(steady, { run, written: spread.rows, values }, how);
    const task = async ({ node, ordinal, batch }: WritePlace): Promise<WriteTask> => {
      const own = spread.rows === undefined || batch === undefined ? undefined : { result: spread.rows.result, rows: batch.rows };
      const { text, values: sent = [] } = await run.statement({
        template: spread.template, values, node, shard: (table) => shardSql(table, ordinal), constraint: (table, name) => constraintSql(table, name, ordinal),
      }, own);
      return { node, sql: text, values: sent, slots: plan.command === 'INSERT' ? batch?.slots : undefined };
    };
    const tasks = await Promise.all((await targetsOf(steady, { plan, spread, values }, taken)).map(task));
    const outcome = plan.everywhere ? await everywhereIn(transaction, { tasks, compared: spread.compared }, options) : await spreadIn(transaction, tasks, options);
    if (spread.readsLocalTables) await checkLocalTables(steady);
    return outcome;
  });
}

/** Where the write is done, and the rows that it takes in there. */
interface WritePlace extends ShardPlace {
  readonly batch?: RowBatch | undefined;
}

async function targetsOf(steady: SteadyScope, { plan, spread, values }: StagedWriteCall, taken: readonly RawRow[] | undefined): Promise<WritePlace[]> {
  const { rows: written } = spread;
  if (written?.key !== undefined && taken !== undefined) return placesOfRows(written, written.key, await rowsByShard(steady, written, taken));
  const batch = taken === undefined ? undefined : { rows: taken, slots: [...taken.keys()] };
  if (spread.site === 'coordinator') return [{ node: coordinatorNodeId, ordinal: 0, batch }];
  if (plan.everywhere) return steady.snapshot.nodes.map(({ id }) => ({ node: id, ordinal: 0, batch }));
  return placesOf(spread.uses ?? plan.uses, values);
}

const noRows: RowBatch = { rows: [], slots: [] };

function placesOfRows({ everyShard }: WrittenRows, { placer: { group: { shardGroups } } }: RowKey, batches: ReadonlyMap<number, RowBatch>): WritePlace[] {
  const all = shardGroups.map(({ node }, ordinal) => ({ node, ordinal, batch: batches.get(ordinal) ?? noRows }));
  return everyShard ? all : all.filter(({ ordinal }) => batches.has(ordinal));
}
