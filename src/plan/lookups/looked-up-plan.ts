import type { ConstantSet } from '../../analyze/constant-set.ts';
import type { UniqueLookup } from '../../catalog/unique-lookup.ts';
import type { Statement } from '../../sql/parse.ts';
import type { ModifyPlan, SelectPlan } from '../statement-plan.ts';

/** The same statement, for the shards of the rows that it is about, once a unique lookup has told their distribution values. */
export interface LookedUpPlan {
  readonly lookup: UniqueLookup;
  /** What each of its columns may be: the keys are among all combinations. */
  readonly keys: readonly ConstantSet[];
  /** Whether there may be several keys. */
  readonly several: boolean;
  /** With a condition on the distribution column besides, whose value is parameter `number`, the last one: NULL where there is no such row, or an array, where there may be several. */
  readonly number: number;
  readonly statement: Statement;
  readonly plan: SelectPlan | ModifyPlan;
}
