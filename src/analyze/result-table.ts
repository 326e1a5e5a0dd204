import type { ColocationId } from '../catalog/ids.ts';
import type { RangeVar } from '../sql/ast.ts';
import type { ColumnId } from './facts.ts';

/** A column of rows that are sent to a server. */
export interface SentColumn {
  readonly name: string;
  /** Qualified, quoted, with modifier: fit for a cast and for CREATE TABLE. */
  readonly typeSql: string;
  /** As SQL names it; undefined for the type's own, and for types without. */
  readonly collation: string | undefined;
}

export interface ResultColumn extends SentColumn {
  /** False where its collation says that equal values need not be the same. True by default, as under a type's own collation. */
  readonly deterministic?: boolean;
}

/** An intermediate result, as a relation of the statements that read it. They call it `pg_temp.name`. */
export interface ResultTable {
  readonly kind: 'result';
  /** Unique in the caller's statement. */
  readonly name: string;
  readonly columns: readonly ResultColumn[];
  /** Its rows are placed by the hash of a column, as those of a distributed table; else each server that needs them has all of them. */
  readonly distribution: ResultDistribution | undefined;
  /** Columns by which it is looked up row by row: worth an index. */
  readonly lookups: readonly string[];
  /** TABLESAMPLE takes rows of it, which only a table has. */
  readonly sampled: boolean;
  /** A relation with the same columns in the coordinator database, for describing: a table, or a query in parentheses. */
  readonly standIn: string;
  /** What EXPLAIN calls it. */
  readonly label: string;
}

export interface ResultDistribution {
  readonly colocation: ColocationId;
  /** Position of the column, from 0. NULLs lie in the first shard group. */
  readonly column: number;
}

/** The schema under which statements name intermediate results until they are sent. */
export const resultSchema = 'pg_temp';

/** One occurrence of an intermediate result. */
export interface ResultUse {
  readonly result: ResultTable;
  readonly rangeVar: RangeVar;
  /** The id of the column that its rows are placed by. */
  readonly key: ColumnId | undefined;
}
