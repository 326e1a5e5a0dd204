import type { ConstantSource } from '../../analyze/constant-set.ts';
import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import type { Template } from '../../sql/template.ts';
import type { UntakenPlan } from '../lookups/untaken-plan.ts';
import type { UpsertPlan } from '../lookups/upsert-plan.ts';
import type { ArrayRows } from './array-rows.ts';
import type { MomentParameter } from './moments.ts';
import type { Placer } from '../prune.ts';
import type { CopyCheck, FollowingCopies } from '../statement-plan.ts';

/** A value that a PostgreSQL must make before the rows can be placed or sent. */
export type ComputedValue =
  | { readonly kind: 'sequence'; readonly sequence: string }
  /** Evaluated by the coordinator database; `$n` are the caller's parameters. `nextOf`: it is `nextval` of this sequence, in the caller's words, and nothing else. */
  | { readonly kind: 'expression'; readonly sql: string; readonly nextOf?: string | undefined };

/** A value sent with a row: the caller's parameter `number`, or a computed one. */
export type ValueSlot =
  | { readonly kind: 'parameter'; readonly number: number }
  | { readonly kind: 'computed'; readonly index: number };

export type TargetHole = { readonly kind: 'target' } | { readonly kind: 'constraint'; readonly name: string };

export interface InsertRow {
  /** `(…, …)` with values to be numbered. */
  readonly template: Template<ValueSlot>;
  /** Where the distribution value comes from; undefined for reference and single-shard tables. */
  readonly distribution: ConstantSource | { readonly kind: 'computed'; readonly index: number } | undefined;
}

/** INSERT … VALUES, cut into what stands before the rows, the rows, and what stands behind them. */
export interface InsertPlan {
  readonly kind: 'insert';
  readonly table: CatalogTable;
  /** Undefined for reference tables. */
  readonly placer: Placer | undefined;
  readonly head: Template<TargetHole | ValueSlot>;
  readonly rows: readonly InsertRow[];
  readonly tail: Template<TargetHole | ValueSlot>;
  readonly computed: readonly ComputedValue[];
  /** Those of them that rows take, in the order in which PostgreSQL comes to them. */
  readonly computedInOrder: readonly number[];
  /**
   * Each row goes in a statement of its own: DO NOTHING with RETURNING, where only so it is known which rows came back, and in which order.
   */
  readonly rowByRow: boolean;
  /**
   * True when the statement can go to one node as it is: one row, nothing computed. Then `head`, row and `tail` join to
   * the caller's text, and its parameters keep their numbers.
   */
  readonly verbatim: boolean;
  /** A verbatim statement whose only effect is its row: it may share a transaction with others, and may be run again. */
  readonly groups: boolean;
  /** Parameters of a reference table's rows whose values may name a moment, which is to be one for all copies. */
  readonly moments?: readonly MomentParameter[];
  /** Of a reference table, where ON CONFLICT computes what may differ between copies. */
  readonly check?: CopyCheck | undefined;
  /** Of a reference table with triggers: what the copies behind the first do. Then `check` says how they are compared. */
  readonly follow?: FollowingCopies | undefined;
  /** Undefined when the rows must be sent as VALUES. */
  readonly arrays: ArrayRows | undefined;
  /** Names of unique lookups: a row whose key in one of them is taken is left out. */
  readonly skips?: readonly string[];
  /** How it is told which rows these are; undefined where each has to be tried. */
  readonly untaken?: UntakenPlan | undefined;
  /** What is done with such a row instead. */
  readonly upsert?: UpsertPlan;
}
