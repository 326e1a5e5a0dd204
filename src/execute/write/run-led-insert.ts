import { present } from '../../base/assert.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { InsertPlan } from '../../plan/insert/insert-plan.ts';
import type { FollowingCopies } from '../../plan/statement-plan.ts';
import { StagedRun } from '../staged/run-staged.ts';
import { mayRunAgain, type StatementScope } from '../statement-scope.ts';
import { Patience } from './run-everywhere.ts';
import { bindInsert } from './run-insert.ts';
import { leadOf, runLed } from './run-led.ts';
import type { WriteOutcome, WriteTask } from './run-spread.ts';
import type { WriteHow } from './written-rows.ts';

export interface LedInsertCall {
  readonly plan: InsertPlan;
  readonly follow: FollowingCopies;
  readonly values: readonly unknown[];
}

/** INSERT … VALUES into a reference table with triggers: the first copy gets the rows, the others what it has stored. Resolves also to which copy was the first. Errors as of `runLed`. */
export async function runLedInsert(scope: StatementScope, { plan, follow, values }: LedInsertCall, how: WriteHow): Promise<WriteOutcome & { readonly lead: NodeId }> {
  const tasks = await bindInsert(scope, plan, values, how);
  const patience = new Patience(scope);
  const { lead } = leadOf(tasks.map(({ node }) => node));
  const outcome = await scope.atomically((transaction, options, steady) => {
    const statement = (first: NodeId): WriteTask => present(tasks.find(({ node }) => node === first), 'statement for a copy');
    return runLed(transaction, { check: plan.check, follow, holders: tasks.map(({ node }) => node), run: new StagedRun(steady, how), statement, values: [], own: [], how, patience }, options);
  }, mayRunAgain);
  return { ...outcome, lead };
}
