import type { UniqueLookup } from '../../catalog/unique-lookup.ts';
import type { Statement } from '../../sql/parse.ts';
import type { DescribedColumn } from '../describe.ts';
import type { InsertPlan } from '../insert/insert-plan.ts';
import type { ModifyPlan, SelectPlan } from '../statement-plan.ts';

/** What becomes of a row of INSERT … ON CONFLICT whose key in a unique lookup is taken. */
export interface UpsertPlan {
  readonly lookup: UniqueLookup;
  /** What the statement returns. */
  readonly returned: readonly DescribedColumn[];
  /** Returns columns of the rows that are proposed: `columns`, by name. The first are those of the lookup. */
  readonly proposed: InsertPlan;
  readonly columns: readonly string[];
  /** The same for a row that a unique constraint of its shard, by name, refuses as well: it is the update of the row that is there to what was proposed. */
  readonly refused: ReadonlyMap<string, InsertPlan>;
  /** Undefined for DO NOTHING. */
  readonly taken: TakenPlan | undefined;
}

export interface TakenPlan {
  /** Locks the row that has the key, and tells its key and distribution value as the lookup's changes do. `$1` is the distribution value, the others are the key. */
  readonly lock: PlannedUpsertStep<SelectPlan>;
  /** `$1` is the distribution value of that row; then come all that `proposed` returns, and then the caller's parameters `numbers`. */
  readonly update: PlannedUpsertStep<ModifyPlan>;
  readonly numbers: readonly number[];
  /** The same for all rows of a shard at once; undefined where they have to be updated one after the other. */
  readonly set: TakenSetPlan | undefined;
}

/** Statements for one shard of the table, of which `rows` of `TakenRows` are the first parameters. */
export interface TakenSetPlan {
  /** For rows of distribution value and key: gives of each that is there its place, what other rows are compared by, and then what `lock` gives. */
  readonly lock: PlannedUpsertStep<SelectPlan>;
  /** For rows of all that `update` takes: gives of each that is updated its place, what other rows are compared by, and then what the caller wants. Behind the rows come the caller's parameters. */
  readonly update: PlannedUpsertStep<ModifyPlan>;
}

export interface PlannedUpsertStep<Plan> {
  readonly statement: Statement;
  readonly plan: Plan;
}
