/** A column as the coordinator database describes it. Its shells have the tables' own definitions, so names and types are PostgreSQL's. */
export interface DescribedColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly modifier: number;
  /** pg_type.typlen, as in a RowDescription. */
  readonly size: number;
  /** Qualified, quoted, with modifier: fit for a cast. */
  readonly typeSql: string;
  /** OID of the shell's table and its attnum, 0 for expressions. */
  readonly tableOid: number;
  readonly columnNumber: number;
  /** Undefined for types without collation, and where nobody asked. */
  readonly collation: ColumnCollation | undefined;
}

export interface ColumnCollation {
  /** As pg_collation_for prints it. */
  readonly sql: string;
  readonly isC: boolean;
  readonly deterministic: boolean;
}

export interface StatementDescription {
  /** SQL type names of `$1`, `$2` … */
  readonly parameterTypes: readonly string[];
  /** Empty for a statement that returns no rows. */
  readonly columns: readonly DescribedColumn[];
}

/** What planning asks of the coordinator database. Statements are described, never run. */
export interface Describe {
  /** Parse and Describe: PostgreSQL's own errors for what is wrong with a statement. With `collations`, those of its columns too. */
  statement(sql: string, options?: { readonly collations?: boolean }): Promise<StatementDescription>;
  /** The same of a text of ours that may be wrong: the session's transaction goes on all the same. */
  attempt(sql: string): Promise<StatementDescription>;
  /** Facts about functions by name, for those that are not PostgreSQL's own. */
  functions(names: readonly string[]): Promise<ReadonlyMap<string, FunctionFacts>>;
  /** Those of the names that mean a relation there, with or without a schema; none needs quotes. */
  relations(names: readonly string[]): Promise<ReadonlySet<string>>;
}

export interface FunctionFacts {
  readonly aggregate: boolean;
  readonly window: boolean;
  readonly setReturning: boolean;
  readonly volatility: 'immutable' | 'stable' | 'volatile';
}
