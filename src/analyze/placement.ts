import type { ColocationId } from '../catalog/ids.ts';
import type { ColumnId } from './facts.ts';

/** Why a query cannot be answered by every shard group alone: a sentence for the error's detail, and a way out. */
export interface Obstacle {
  readonly detail: string;
  readonly hint: string;
}

/** Where the rows of a query, or of a part of its FROM list, can be computed. */
export type Placement =
  /**
   * On any one node, with the same result: no distributed table is in it. Not `repeatable` when two evaluations may differ
   * (LIMIT, volatile functions): then it must not be computed on several nodes for one result.
   */
  | { readonly kind: 'everywhere'; readonly repeatable: boolean }
  /**
   * The union of what each shard group computes from its own rows, without duplicates. Columns in `keys` hold the distribution value of
   * each row's shard group, never NULL.
   */
  | { readonly kind: 'by_shard'; readonly colocation: ColocationId; readonly keys: ReadonlySet<ColumnId> }
  /** For each row of the query around it, on that row's shard group. */
  | { readonly kind: 'aligned' }
  /** Not by shard groups alone. */
  | { readonly kind: 'scattered'; readonly obstacle: Obstacle };

export function scattered(detail: string, hint: string): Placement {
  return { kind: 'scattered', obstacle: { detail, hint } };
}

export const everywhere: Placement = { kind: 'everywhere', repeatable: true };
