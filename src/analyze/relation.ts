import type { CatalogTable } from '../catalog/catalog-snapshot.ts';
import type { RangeVar } from '../sql/ast.ts';
import type { ColumnId } from './facts.ts';

/**
 * One column that a relation in FROM offers. `type` is the SQL name without modifier; undefined when it is not known, and under a nondeterministic collation: what
 * such a column equals need not be the same value, so nothing follows from it.
 */
export interface RelationColumn {
  readonly name: string;
  readonly type: string | undefined;
}

/**
 * One entry of a FROM list, or the target of a write. Its columns have the ids `firstColumn`, `firstColumn + 1` …
 * `columns` is undefined when only a server knows them (local and system tables, functions).
 */
export interface Relation {
  readonly alias: string;
  /** For names written with a schema; undefined when an alias hides the table's own name. */
  readonly schema: string | undefined;
  readonly firstColumn: ColumnId;
  readonly columns: readonly RelationColumn[] | undefined;
  /** The alias of a USING clause: it offers its columns only behind its name, never bare. */
  readonly merging?: boolean;
}

/** One occurrence of a distributed or reference table. */
export interface TableUse {
  readonly table: CatalogTable;
  readonly rangeVar: RangeVar;
  /** The distribution column's id in this use, of a single-shard table its group's key; undefined for a reference table. */
  readonly key: ColumnId | undefined;
}

/** A relation that the catalog does not know: a local or system table, a view, or nothing at all. */
export interface ForeignUse {
  readonly rangeVar: RangeVar;
}
