import type { ColocationId } from '../catalog/ids.ts';
import type { RangeVar, SelectStmt } from '../sql/ast.ts';
import type { ColumnId } from './facts.ts';

/** Why a query cannot be answered by every shard group alone: a sentence for the error's detail, and a way out. */
export interface Obstacle {
  readonly detail: string;
  readonly hint: string;
  /** What would take it away, each by itself; the obstacle may then be another. */
  readonly ways: readonly Way[];
}

/** Rows that could be put elsewhere first: on every server, so that what reads them can be computed anywhere; or beside the rows that they join. */
export interface Way {
  /** Occurrences of tables, for every server. */
  readonly tables: readonly RangeVar[];
  /** Queries that do not depend on rows around them, for every server. */
  readonly queries: readonly SelectStmt[];
  /** Occurrences of tables to be placed by the hash of another column. */
  readonly rehashed?: ReadonlyMap<RangeVar, Rehash>;
}

export interface Rehash {
  readonly colocation: ColocationId;
  /** Position in the table, from 0: an alias may have another name for it. */
  readonly column: number;
}

/** What is taken to have been put elsewhere already. */
export interface Spread {
  readonly tables: ReadonlySet<RangeVar>;
  readonly queries: ReadonlySet<SelectStmt>;
  readonly rehashed: ReadonlyMap<RangeVar, Rehash>;
}

export const nothingSpread: Spread = { tables: new Set(), queries: new Set(), rehashed: new Map() };

/** Where the rows of a query, or of a part of its FROM list, can be computed. */
export type Placement =
  /**
   * On any one node, with the same result: no distributed table is in it. Not `repeatable` when two evaluations may differ
   * (LIMIT, volatile functions): then it must not be computed on several nodes for one result.
   */
  | { readonly kind: 'everywhere'; readonly repeatable: boolean }
  /**
   * The union of what each shard group computes from its own rows, without duplicates. Columns in `keys` hold the distribution value of
   * each row's shard group, never NULL. Where the group's key is among them, there is one shard group, which can compute anything.
   */
  | { readonly kind: 'by_shard'; readonly colocation: ColocationId; readonly keys: ReadonlySet<ColumnId> }
  /** For each row of the query around it, on that row's shard group. */
  | { readonly kind: 'aligned' }
  /** Not by shard groups alone. */
  | { readonly kind: 'scattered'; readonly obstacle: Obstacle };

export type Scattered = Extract<Placement, { readonly kind: 'scattered' }>;

export function scattered(detail: string, hint: string): Scattered {
  return { kind: 'scattered', obstacle: { detail, hint, ways: [] } };
}

/** The same obstacle where it is known what would take it away. */
export function withWays({ obstacle }: Scattered, ways: readonly Way[]): Scattered {
  return { kind: 'scattered', obstacle: { ...obstacle, ways } };
}

export const everywhere: Placement = { kind: 'everywhere', repeatable: true };
