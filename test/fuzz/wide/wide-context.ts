import type { Random } from '../../oracle/random.ts';
import type { FuzzTable } from '../fuzz-tables.ts';
import type { ScopeColumn } from '../generate-expression.ts';
import type { Select, ValueType } from '../query-tree.ts';

/** A common table expression in sight. */
export interface NamedQuery {
  readonly name: string;
  readonly types: readonly ValueType[];
}

export interface QueryWish {
  /** Types of the result columns; the generator's choice without. */
  readonly types?: readonly ValueType[];
  /** Exactly one row, or at most one. */
  readonly single?: boolean;
}

/** Where in a query the generator stands. */
export interface WideContext {
  readonly random: Random;
  readonly tables: readonly FuzzTable[];
  /** How many levels of queries may still be opened. */
  readonly depth: number;
  readonly ctes: readonly NamedQuery[];
  /** Columns of the queries around, as far as no alias hides them. */
  readonly outer: readonly ScopeColumn[];
  /** Number of the level, for its aliases. */
  readonly level: number;
  /** A query of its own within this one. `near`: columns around it that it may name. */
  readonly query: (context: WideContext, wish: QueryWish) => Select;
}

/** The context of a query one level down that may name `columns` too. */
export function below(context: WideContext, columns: readonly ScopeColumn[]): WideContext {
  return { ...context, depth: context.depth - 1, level: context.level + 1, outer: [...context.outer, ...columns] };
}

/** The same where the query stands in FROM without LATERAL: it sees nothing of its own level. */
export function beside(context: WideContext): WideContext {
  return below(context, []);
}

const prefixes = ['t', 'r', 's', 'q'] as const;

/** Mostly another letter for each level; sometimes the same, so that inner aliases hide outer ones. */
export function aliasOf({ random, level }: WideContext, index: number): string {
  if (random.chance(0.06)) return `"T ü${index}"`;
  return `${random.chance(0.15) ? 't' : (prefixes[level % prefixes.length] ?? 't')}${index}`;
}

/** Without the columns whose alias one of `hiding` has too. */
export function notHidden(columns: readonly ScopeColumn[], hiding: readonly ScopeColumn[]): ScopeColumn[] {
  const aliases = new Set(hiding.map(({ sql }) => qualifierOf(sql)));
  return columns.filter(({ sql }) => !aliases.has(qualifierOf(sql)));
}

/** The alias in front of a column; of a bare column the column itself. */
export function qualifierOf(sql: string): string {
  return /^(?:"[^"]*"|[^."]+)(?=\.)/u.exec(sql)?.[0] ?? sql;
}

/** A column's name without its alias. */
export function bareName(sql: string): string {
  const qualifier = qualifierOf(sql);
  return qualifier === sql ? sql : sql.slice(qualifier.length + 1);
}

export const emptySelect: Select = {
  kind: 'select', ctes: [], distinct: false, items: [], from: undefined, where: [], groupBy: [], having: [], setOperation: undefined, order: undefined, limit: undefined, offset: undefined,
};
