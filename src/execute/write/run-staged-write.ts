import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import { placesOf, type ShardPlace } from '../../plan/bind.ts';
import { shardSql } from '../../plan/shard-template.ts';
import type { ModifyPlan, SpreadModify } from '../../plan/statement-plan.ts';
import { checkLocalTables } from '../read-local-tables.ts';
import { StagedRun, type StagedOptions } from '../staged/run-staged.ts';
import type { StatementScope } from '../statement-scope.ts';
import { everywhereIn, spreadIn, type WriteOutcome, type WriteTask } from './run-spread.ts';

export interface StagedWriteCall {
  readonly plan: ModifyPlan;
  readonly spread: SpreadModify;
  readonly values: readonly unknown[];
}

/**
 * A write that needs rows of other servers: they are read first, in the transaction that then writes, and travel with the statements that write, since a temporary table would keep
 * the transaction from being prepared.
 */
export function runStagedWrite(scope: StatementScope, { plan, spread, values: given }: StagedWriteCall, how: StagedOptions): Promise<WriteOutcome> {
  return scope.atomically(async (transaction, options, steady) => {
    // Always in the same order: no two statements wait for each other's connections.
    if (!scope.inTransaction) for (const { id } of scope.snapshot.nodes) await steady.join(id);
    const run = new StagedRun(steady, how);
    const values = await run.hold({ ...spread, firstValues: [] }, given);
    const task = async ({ node, ordinal }: ShardPlace): Promise<WriteTask> => {
      const { text, values: sent = [] } = await run.statement({ template: spread.template, values, node, shard: (table) => shardSql(table, ordinal) });
      return { node, sql: text, values: sent };
    };
    const tasks = await Promise.all(targetsOf(scope, { plan, spread, values }).map(task));
    const outcome = plan.everywhere ? await everywhereIn(transaction, { tasks, compared: spread.compared }, options) : await spreadIn(transaction, tasks, options);
    if (spread.readsLocalTables) await checkLocalTables(steady);
    return outcome;
  });
}

function targetsOf({ snapshot }: StatementScope, { plan, spread, values }: StagedWriteCall): ShardPlace[] {
  if (spread.site === 'coordinator') return [{ node: coordinatorNodeId, ordinal: 0 }];
  if (plan.everywhere) return snapshot.nodes.map(({ id }) => ({ node: id, ordinal: 0 }));
  return placesOf(spread.uses ?? plan.uses, values);
}
