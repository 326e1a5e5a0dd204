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

/** The statement for one shard, with its values, once the lookup has been asked. */
export async function bindLookup({ plan, lookedUp: prepared }: PreparedPlan, values: readonly unknown[], { scope }: Pick<RunContext, 'scope'>): Promise<BoundLookup> {
  const lookedUp = present(plan.kind === 'select' || plan.kind === 'modify' ? plan.lookedUp : undefined, 'lookup');
  return { lookup: lookedUp.lookup, prepared: present(prepared), values: [...values.slice(0, lookedUp.number - 1), await lookUp(scope, lookedUp, values)] };
}
