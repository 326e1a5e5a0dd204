/** Order by one column of the rows below. */
export interface SortKey {
  /** From 0. */
  readonly column: number;
  readonly typeOid: number;
  /** True also for types without collation. */
  readonly collationIsC: boolean;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** A LIMIT or OFFSET. NULL means no limit, or no offset. */
export type RowCount =
  | { readonly kind: 'constant'; readonly rows: number | null }
  | { readonly kind: 'parameter'; readonly number: number };

/** How one aggregate's partial results make its value. Columns are those of the rows below. */
export type Combine =
  /** Sums, of type int8, numeric, float4, float8 or interval. Zero for none when `zero`: a count. */
  | { readonly kind: 'sum'; readonly column: number; readonly typeOid: number; readonly zero: boolean }
  | { readonly kind: 'least' | 'greatest'; readonly column: number; readonly typeOid: number; readonly collationIsC: boolean }
  | { readonly kind: 'bool_and' | 'bool_or'; readonly column: number }
  | { readonly kind: 'bit_and' | 'bit_or' | 'bit_xor'; readonly column: number }
  /** numeric: exact quotient of a sum and a count, at PostgreSQL's scale. */
  | { readonly kind: 'numeric_average'; readonly sum: number; readonly count: number }
  | { readonly kind: 'float_average'; readonly sum: number; readonly count: number }
  | { readonly kind: 'numeric_deviation'; readonly count: number; readonly sum: number; readonly squares: number; readonly form: DeviationForm }
  | { readonly kind: 'float_deviation'; readonly count: number; readonly sum: number; readonly squares: number; readonly form: DeviationForm }
  /** Number of different non-NULL values of a column; rows where `filter` is not true do not count. */
  | { readonly kind: 'count_distinct'; readonly column: number; readonly typeOid: number; readonly filter: number | undefined }
  | { readonly kind: 'any'; readonly column: number };

export type DeviationForm = 'stddev_pop' | 'stddev_samp' | 'var_pop' | 'var_samp';

/** A column of an integer type or numeric, compared with a constant. */
export interface FilterCondition {
  readonly column: number;
  readonly operator: ComparisonOperator;
  /** A numeric constant as written. */
  readonly constant: string;
}

export type ComparisonOperator = '=' | '<>' | '<' | '<=' | '>' | '>=';

/** What the application does with the rows that the tasks return: the part of a plan above the gather, always one stream. */
export type MergePlan =
  | { readonly kind: 'gather' }
  /** The tasks return sorted rows. Ties in order of shard groups. */
  | { readonly kind: 'merge_sorted'; readonly keys: readonly SortKey[] }
  | {
      readonly kind: 'combine_aggregates';
      readonly input: MergePlan;
      /** The first columns are the group's; with none there is exactly one group, of no rows too. */
      readonly groupTypes: readonly number[];
      readonly combines: readonly Combine[];
    }
  | { readonly kind: 'distinct'; readonly input: MergePlan; readonly columnTypes: readonly number[] }
  /** Rows for which all conditions are true. */
  | { readonly kind: 'filter'; readonly input: MergePlan; readonly conditions: readonly FilterCondition[] }
  | { readonly kind: 'sort'; readonly input: MergePlan; readonly keys: readonly SortKey[] }
  | {
      readonly kind: 'limit';
      readonly input: MergePlan;
      readonly limit: RowCount | undefined;
      readonly offset: RowCount | undefined;
      /** For WITH TIES: rows equal to the last one by these keys come too. */
      readonly ties: readonly SortKey[] | undefined;
    }
  | { readonly kind: 'project'; readonly input: MergePlan; readonly columns: readonly number[] }
  /** A PostgreSQL finishes the rows: see `residual.ts`. */
  | { readonly kind: 'residual'; readonly input: MergePlan; readonly residual: Residual };

/** The plan's LIMIT, under a projection at most. */
export function limitOf(merge: MergePlan): (MergePlan & { readonly kind: 'limit' }) | undefined {
  if (merge.kind === 'project') return limitOf(merge.input);
  return merge.kind === 'limit' ? merge : undefined;
}

/** A statement over gathered rows, run by the coordinator database. */
export interface Residual {
  /** Its `$1` … are `parameters` of the caller; the relation of the gathered rows is cut out at the hole. */
  readonly before: string;
  readonly after: string;
  readonly parameters: readonly number[];
  /** Columns of the gathered rows, as the statement names and types them. */
  readonly columns: readonly { readonly name: string; readonly typeSql: string; readonly collation: string | undefined }[];
}
