import { computeInput } from '../execute/computed/compute-input.ts';
import { findTable } from '../execute/find-table.ts';
import type { ComputedPlan, CurrentValue } from '../plan/computed/computed-plan.ts';
import type { UtilityCall } from '../plan/statement-plan.ts';
import { argumentValue } from '../plan/utility-call.ts';
import { PreparedPlan } from './planner.ts';
import type { RunContext } from './run-statement.ts';
import type { UtilityValue } from './session-services.ts';

export interface BoundComputed {
  readonly prepared: PreparedPlan;
  readonly values: readonly unknown[];
}

/** The statement that is left once the cluster has computed what it asks for, with its values. */
export async function bindComputed(plan: ComputedPlan, values: readonly unknown[], { scope, utility, clients, sequences }: Pick<RunContext, 'scope' | 'utility' | 'clients' | 'sequences'>): Promise<BoundComputed> {
  const run = (call: UtilityCall): Promise<UtilityValue> => utility({ call, values, signal: scope.signal });
  const current = await sequences.current({ plan, values, scope });
  if (current === 'as_it_is') return { prepared: new PreparedPlan({ kind: 'coordinator', text: plan.asked.text, effect: 'write' }, scope.snapshot, plan.asked), values };
  const context = {
    scope, clients,
    argument: (call: UtilityCall, name: string) => textOf(argumentValue(call.arguments.get(name), values)),
    table: (name: string) => findTable(scope.snapshot, name),
    current: (input: CurrentValue) => current.get(input) ?? null,
    rowsOf: async (call: UtilityCall) => rowsOf(await run(call)),
    valueOf: async (call: UtilityCall) => valueOf(await run(call)),
  };
  const computed: (string | null)[] = [];
  for (const input of plan.inputs) computed.push(await computeInput(input, context));
  return { prepared: new PreparedPlan(plan.plan, scope.snapshot, plan.statement), values: [...plan.numbers.map((number) => values[number - 1]), ...computed] };
}

function textOf(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function rowsOf(value: UtilityValue): object[] {
  if (typeof value !== 'object' || value === null) return [];
  return value.rows.map((row) => Object.fromEntries(value.columns.map((column, i) => [column, row[i] ?? null])));
}

function valueOf(value: UtilityValue): string | null {
  return typeof value === 'string' ? value : null;
}
