import type { UniqueLookup } from '../../catalog/unique-lookup.ts';
import type { InsertPlan } from '../insert/insert-plan.ts';

/** Tells which rows of INSERT … ON CONFLICT DO NOTHING have keys that are taken, in any of several unique lookups. */
export interface UntakenPlan {
  /** Each with the places of its columns in what `proposed` returns. */
  readonly lookups: readonly { readonly lookup: UniqueLookup; readonly positions: readonly number[] }[];
  /** As those of `UpsertPlan`. */
  readonly proposed: InsertPlan;
  readonly refused: ReadonlyMap<string, InsertPlan>;
}
