import type { RawRow } from '../cluster/node-connection.ts';
import type { FanOutOptions } from '../execute/run-fan-out.ts';
import { streamFanOut } from '../execute/run-fan-out.ts';
import { stagedRows } from '../execute/staged/staged-rows.ts';
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

/** The rows of a query over many shard groups as they come, in stages or not. */
export function fanOutRows(prepared: PreparedPlan, context: RunContext, call: FanOutCall, options: FanOutOptions = context.options): AsyncIterable<readonly RawRow[]> {
  const { plan: { uses }, fanOut, ordinals, values } = call;
  if (isStaged(fanOut)) return stagedRows(context.scope, { fanOut, uses, values }, { options, host: context.nextNode() });
  return streamFanOut(context.scope, { fanOut, uses, ordinals, values }, prepared.memoryOf(fanOut), options);
}
