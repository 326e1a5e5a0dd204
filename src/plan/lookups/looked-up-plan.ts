import type { ConstantSource } from '../../analyze/constant-set.ts';
import type { UniqueLookup } from '../../catalog/unique-lookup.ts';
import type { Statement } from '../../sql/parse.ts';
import type { ModifyPlan, SelectPlan } from '../statement-plan.ts';

/** The same statement, for one shard, once a unique lookup has told the distribution value of the row that it is about. */
export interface LookedUpPlan {
  readonly lookup: UniqueLookup;
  /** What each of its columns is compared with. */
  readonly keys: readonly ConstantSource[];
  /** With a condition on the distribution column besides, whose value is parameter `number`, the last one: NULL where there is no such row. */
  readonly number: number;
  readonly statement: Statement;
  readonly plan: SelectPlan | ModifyPlan;
}
