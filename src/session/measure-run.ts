import { present } from '../base/assert.ts';
import { checkLocalTables } from '../execute/read-local-tables.ts';
import { type Measured, RunMeasurements } from '../execute/staged/run-measurements.ts';
import { StagedRun } from '../execute/staged/run-staged.ts';
import { targetOf } from '../plan/bind.ts';
import { unsupported } from '../plan/select/unsupported.ts';
import type { PreparedPlan } from './planner.ts';
import type { RunContext } from './run-statement.ts';

export interface MeasuredRun {
  readonly measurements: RunMeasurements;
  readonly total: Measured;
}

export interface MeasureInput {
  readonly values: readonly unknown[];
  /** One node of each statement is asked for its own plan. */
  readonly explains: boolean;
}

/** Runs a query for EXPLAIN ANALYZE: statement by statement, each over the one connection of its server. Its rows are dropped. */
export async function measureRun({ plan }: PreparedPlan, context: RunContext, { values, explains }: MeasureInput): Promise<MeasuredRun> {
  if (plan.kind !== 'select') throw unsupported('EXPLAIN with ANALYZE would run the statement, which is no query of distributed tables.', 'Leave ANALYZE out.');
  if (plan.locks && targetOf(plan, values).kind === 'many') throw unsupported('EXPLAIN with ANALYZE would lock rows of several shard groups.', 'Leave ANALYZE out.');
  const { scope, options } = context;
  const measurements = new RunMeasurements({ explains, now: () => performance.now() });
  const steady = scope.steady();
  try {
    const rows = new StagedRun(steady, { options, host: context.nextNode(), measurements }).select(plan, values);
    let total: Measured | undefined;
    for await (const _ of measurements.measured(rows, (measured) => (total = measured)));
    if (targetOf(plan, values).kind === 'many' && (await plan.fanOut()).readsLocalTables) await checkLocalTables(scope);
    return { measurements, total: present(total, 'measurement') };
  } finally {
    await steady.end();
  }
}
