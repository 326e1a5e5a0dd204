/** One statement that must have the same outcome on the cluster and on one plain PostgreSQL. */
export interface OracleCase {
  readonly sql: string;
  readonly values?: readonly unknown[];
  /**
   * How far the statement fixes the order of its rows: `total` (row by row), or the result columns (from 0) that it sorts by.
   * Without it rows are compared as a multiset.
   */
  readonly order?: 'total' | readonly number[];
  /** The statement may choose among equals (LIMIT without a total order): only the number of rows and sort keys are compared. */
  readonly choosesFreely?: boolean;
  /** Result columns (from 0) with float8 sums and the like, equal within 1e-12 of their size. */
  readonly floats?: readonly number[];
  /** Result columns (from 0) whose values differ between two runs (`now()`, sequences): only compared for being NULL. */
  readonly volatile?: readonly number[];
  /** A refusal (0A000 with a number) is acceptable; an answer must still be right. */
  readonly refused?: boolean;
  /** What of an error is compared: all fields; the SQLSTATE alone where the text depends on which row fails first; or that there is one. */
  readonly errorFields?: 'all' | 'code' | 'none';
  /** First major version whose plain PostgreSQL understands it. */
  readonly since?: number;
}

/** Statements that run one after the other on fresh copies of `tables`, whose contents are compared afterwards. */
export interface WriteCase {
  readonly name: string;
  readonly steps: readonly OracleCase[];
  /** The steps share one client from `connect()`, instead of any of the pool. */
  readonly session?: true;
  /** Columns of the written tables that are filled from sequences or clocks: `changed`, `w_log.id`. */
  readonly volatileColumns?: readonly string[];
  readonly since?: number;
}

/** Shorthand for many cases that differ in nothing but their text. */
export function cases(...list: readonly (string | OracleCase)[]): OracleCase[] {
  return list.map((entry) => (typeof entry === 'string' ? { sql: entry } : entry));
}

/** Cases whose ORDER BY leaves no ties. */
export function ordered(...list: readonly (string | OracleCase)[]): OracleCase[] {
  return cases(...list).map((entry) => ({ ...entry, order: 'total' }));
}

export function withValues(sql: string, ...values: readonly unknown[]): OracleCase {
  return { sql, values };
}
