import { present } from '../base/assert.ts';
import type { UniqueLookup } from '../catalog/unique-lookup.ts';
import { lookUp } from '../execute/lookups/look-up.ts';
import type { PreparedPlan } from './planner.ts';
import type { RunContext } from './run-statement.ts';

interface BoundLookup {
  readonly lookup: UniqueLookup;
  readonly prepared: PreparedPlan;
  readonly values: readonly unknown[];
}

/** The statement for the shards that have its keys, with its values, once the lookup has been asked. Undefined where there is none, or it cannot be asked for these values. */
export async function bindLookup({ plan, lookedUp: prepared }: PreparedPlan, values: readonly unknown[], { scope }: Pick<RunContext, 'scope'>): Promise<BoundLookup | undefined> {
  const lookedUp = plan.kind === 'select' || plan.kind === 'modify' ? plan.lookedUp : undefined;
  const found = lookedUp === undefined ? undefined : await lookUp(scope, lookedUp, values);
  if (lookedUp === undefined || found === undefined) return undefined;
  return { lookup: lookedUp.lookup, prepared: present(prepared), values: [...values.slice(0, lookedUp.number - 1), lookedUp.several ? found : (found[0] ?? null)] };
}
