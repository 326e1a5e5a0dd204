import type { CatalogTable, ReferenceTable } from '../../catalog/catalog-snapshot.ts';
import type { Everywhere } from './everywhere.ts';

/**
 * A statement that changes definitions. The coordinator database runs it as it is, on the shells; then the shards are made what their shells have become. So it says
 * only what that does not tell.
 */
export interface DefinitionPlan {
  readonly kind: 'definition';
  readonly text: string;
  /** Distributed and reference tables that it names, itself or by what belongs to them. */
  readonly tables: readonly CatalogTable[];
  /** What else it may change: nothing, what foreign keys connect with its tables (CASCADE), what is in or depends on `droppedSchemas`, or any table. */
  readonly reach: 'named' | 'connected' | 'schemas' | 'all';
  readonly droppedSchemas: readonly string[];
  /** ALTER COLUMN … TYPE by column: all rows are computed anew, as it says. */
  readonly conversions: ReadonlyMap<string, Conversion>;
  /** Constraints that it adds by name. */
  readonly addedConstraints: ReadonlySet<string>;
  /** It may make tables in distributed schemas, or put them there. */
  readonly makesTables: boolean;
  /** It may make schemas, which are distributed where the session asks for that, or drop them. */
  readonly schemas: 'made' | 'dropped' | undefined;
  /** A distributed table that it makes a partition of another one. */
  readonly attached: CatalogTable | undefined;
  /** Reference tables that a local table, or one to which local tables refer, gets foreign keys to: their shells must have rows. */
  readonly referenced: readonly ReferenceTable[];
  /** Given where the rows of a table that is there are checked against them. */
  readonly checksRows: boolean;
  /** Of an ALTER TABLE … DISABLE TRIGGER that names none: all, or those that no constraint has made. */
  readonly disabledTriggers?: 'all' | 'user' | undefined;
  /** Of a DO block. */
  readonly code: CodeInBlock | undefined;
  /** It cannot be run inside a transaction block. */
  readonly isAlone: boolean;
  /** Given where the nodes run it as well. */
  readonly everywhere: Everywhere | undefined;
}

/** What may read tables that the block's own statements do not name. */
export interface CodeInBlock {
  /** It makes queries at run time that nobody could read beforehand. */
  readonly isOpen: boolean;
  /** Names, without schemas, of what it calls. */
  readonly functions: readonly string[];
}

/** An expression of USING. */
export interface Using {
  /** What is evaluated once for all rows, such as now(). */
  readonly once: readonly string[];
  /** Its text, with the name that the table has, quoted, and values for what is evaluated once. */
  sql(table: string, once: readonly string[]): string;
}

export interface Conversion {
  /** Undefined without one. */
  readonly using: Using | undefined;
}
