import type { Statement } from '../../sql/parse.ts';
import type { StatementPlan, UtilityCall } from '../statement-plan.ts';

/**
 * A statement that asks for what only the cluster knows: its tables, shards and nodes, sizes, what runs on its servers. The cluster computes that first, as rows, and hands it to the statement as further
 * parameters; all else is SQL, which a PostgreSQL runs.
 */
export interface ComputedPlan {
  readonly kind: 'computed';
  /** As it was asked. */
  readonly asked: Statement;
  /** The statement in which parameters stand for what is computed. */
  readonly statement: Statement;
  readonly plan: StatementPlan;
  /** `$1`, `$2` … of it are these of the caller's. */
  readonly numbers: readonly number[];
  /** Its parameters behind those, in order; each is a text. */
  readonly inputs: readonly ComputedInput[];
  /** Sequences of which it takes values for its own rows, where it asks for such values. */
  readonly takes: readonly string[];
}

/** What the cluster computes for a statement. */
export type ComputedInput =
  /** Rows as a JSON array of objects; their columns are in `input-columns.ts`. */
  | { readonly kind: InputRows }
  /** Sizes by the OID of a relation of the coordinator database, as a JSON object of objects; with `forks`, those of each fork besides. */
  | { readonly kind: 'relation_sizes'; readonly forks: boolean }
  /** The rows of a function of the cluster, all columns as text. */
  | { readonly kind: 'call_rows'; readonly call: UtilityCall }
  /** The one value of such a function. */
  | { readonly kind: 'call_value'; readonly call: UtilityCall }
  | CurrentValue;

/** `currval` of a sequence, whose name is an expression over the caller's parameters; without one, `lastval`. */
export interface CurrentValue {
  readonly kind: 'current_value';
  readonly sequence: string | undefined;
}

export type InputRows = 'nodes' | 'tables' | 'schemas' | 'shards' | 'placements' | 'colocation_groups' | 'shard_relations' | 'shard_sizes' | 'table_sizes' | 'activity' | 'clients' | 'lock_waits' | 'statements';
