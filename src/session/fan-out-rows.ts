import type { RawRow } from '../cluster/node-connection.ts';
import type { FanOutOptions } from '../execute/run-fan-out.ts';
import { streamFanOut } from '../execute/run-fan-out.ts';
import { stagedRows } from '../execute/staged/staged-rows.ts';
import type { StagedOptions } from '../execute/staged/run-staged.ts';
import type { FanOut } from '../plan/fan-out.ts';
import { isStaged } from '../plan/fan-out.ts';
import type { SelectPlan } from '../plan/statement-plan.ts';
import type { PreparedPlan } from './planner.ts';
import type { RunContext } from './run-statement.ts';

export interface FanOutCall {
  readonly plan: SelectPlan;
  readonly fanOut: FanOut;
  readonly ordinals: readonly number[];
  readonly values: readonly unknown[];
}

/** What a run sees of the sizes of parts is remembered, and the plan is made anew when they are not what it was chosen by. */
export function stagedHow(prepared: PreparedPlan, context: RunContext, options: FanOutOptions = context.options): StagedOptions {
  const surprised = (part: string, bytes: number): void => {
    context.statistics.note(part, bytes);
    prepared.outgrow();
  };
  return { options, host: context.nextNode(), surprised, runsCode: () => context.runsCode(prepared, context.scope) };
}

/** The rows of a query over many shard groups as they come, in stages or not. */
export function fanOutRows(prepared: PreparedPlan, context: RunContext, call: FanOutCall, options: FanOutOptions = context.options): AsyncIterable<readonly RawRow[]> {
  const { plan: { uses }, fanOut, ordinals, values } = call;
  if (isStaged(fanOut)) return stagedRows(context.scope, { fanOut, uses, values }, stagedHow(prepared, context, options));
  return streamFanOut(context.scope, { fanOut, uses, ordinals, values }, prepared.memoryOf(fanOut), options);
}
