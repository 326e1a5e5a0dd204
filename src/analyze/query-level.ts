import type { Node, RangeVar, SelectStmt } from '@pgsql/types';
import type { ColumnId, Facts } from './facts.ts';
import type { Relation, TableUse } from './relation.ts';
import type { ResultUse } from './result-table.ts';
import type { Scope, VisibleColumn } from './scope.ts';

/** The FROM list of a query level as a tree: commas are inner joins without a condition. */
export type FromTree =
  | { readonly kind: 'empty' }
  | { readonly kind: 'table'; readonly relation: Relation; readonly use: TableUse }
  | { readonly kind: 'result'; readonly relation: Relation; readonly use: ResultUse }
  | { readonly kind: 'query'; readonly relation: Relation; readonly query: Query; readonly lateral: boolean }
  /** A reference to a common table expression that is used more than once: computed once, by itself. */
  | { readonly kind: 'shared'; readonly relation: Relation; readonly shared: SharedQuery }
  /** TABLESAMPLE: two evaluations may differ. */
  | { readonly kind: 'sample'; readonly input: FromTree }
  /** A reference of WITH RECURSIVE's queries to themselves or to one that stands later. */
  | { readonly kind: 'cycle'; readonly relation: Relation; readonly cycle: Cycle }
  /** A function, VALUES-like or other relation that every server can compute alike. */
  | { readonly kind: 'computed'; readonly relation: Relation; readonly node: Node; readonly sublinks: readonly Sublink[] }
  /** A local or system table. */
  | { readonly kind: 'foreign'; readonly relation: Relation; readonly rangeVar: RangeVar }
  | {
      readonly kind: 'join';
      readonly type: 'inner' | 'left' | 'right' | 'full';
      readonly left: FromTree;
      readonly right: FromTree;
      /** What the join's own condition makes certain for matching pairs. */
      readonly facts: Facts;
      /** Columns of which the condition is certainly false when they are NULL. */
      readonly strict: ReadonlySet<ColumnId>;
      /** Ids of the columns merged by USING in a full join: they have values of their own. */
      readonly merged: readonly { readonly id: ColumnId; readonly left: ColumnId; readonly right: ColumnId }[];
    };

export interface OutputColumn extends VisibleColumn {
  /** True when the output is exactly a column of this level; else its id is an own one. */
  readonly plain: boolean;
}

/** One query: a SELECT, a set operation, or VALUES, with the scopes resolved but nothing placed yet. */
export type Query = SelectQuery | SetQuery | ValuesQuery;

interface QueryBase {
  readonly statement: SelectStmt;
  /** Undefined when only a server knows them (a star over a relation with unknown columns). */
  readonly outputs: readonly OutputColumn[] | undefined;
  readonly common: readonly CommonQuery[];
  /** The ids of all columns in it, those of queries in it among them: from `first` on, before `end`. Undefined for a write: it sees nothing around, and has no LIMIT. */
  readonly ids: ColumnRange | undefined;
}

export interface ColumnRange {
  readonly first: ColumnId;
  readonly end: ColumnId;
}

export interface SelectQuery extends QueryBase {
  readonly kind: 'select';
  readonly scope: Scope;
  readonly from: FromTree;
  /** What WHERE makes certain of the rows that remain. */
  readonly facts: Facts;
  readonly strict: ReadonlySet<ColumnId>;
  /** Queries inside expressions, each with where it stands. */
  readonly sublinks: readonly Sublink[];
}

export interface SetQuery extends QueryBase {
  readonly kind: 'set';
  readonly operation: 'union' | 'intersect' | 'except';
  readonly all: boolean;
  readonly left: Query;
  readonly right: Query;
}

export interface ValuesQuery extends QueryBase {
  readonly kind: 'values';
  readonly sublinks: readonly Sublink[];
}

/** A query inside an expression. `column`: the outer column of `column = ANY (…)` / `column IN (…)` as a plain conjunct or not. */
export interface Sublink {
  readonly query: Query;
  readonly test: ColumnId | undefined;
}

/** A common table expression. */
export interface CommonQuery {
  readonly name: string;
  readonly query: Query | undefined;
  readonly shared: SharedQuery | undefined;
  /** What is known of references that come before the query is built, or when it is none that can be built. */
  readonly cycle: Cycle;
}

/** The queries of one WITH RECURSIVE together; settled when all of them are built. */
export interface Cycle {
  readsDistributed: boolean;
}

/** A common table expression used more than once. */
export interface SharedQuery {
  readonly query: Query;
}
