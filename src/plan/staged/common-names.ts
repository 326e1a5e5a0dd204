import type { CommonTableExpr, WithClause } from '@pgsql/types';
import { isRangeVar } from '../../analyze/analyze-statement.ts';

/** The common table expressions of one WITH. */
export interface CommonTables {
  readonly tables: readonly CommonTableExpr[];
  /** Each is in sight of all of them; else only of those behind it. */
  readonly recursive: boolean;
}

export function commonTables({ ctes, recursive }: WithClause): CommonTables {
  return { tables: (ctes ?? []).flatMap((node) => ('CommonTableExpr' in node ? [node.CommonTableExpr] : [])), recursive: recursive === true };
}

/** Relation names without schema that no WITH in the tree defines where they stand: what a WITH around it may define. */
export function freeNames(tree: unknown): Set<string> {
  const found = new Set<string>();
  collectFree(tree, new Set(), found);
  return found;
}

function collectFree(tree: unknown, defined: ReadonlySet<string>, found: Set<string>): void {
  if (Array.isArray(tree)) {
    for (const item of tree) collectFree(item, defined, found);
    return;
  }
  if (typeof tree !== 'object' || tree === null) return;
  if (isRangeVar(tree) && tree.schemaname === undefined && !defined.has(tree.relname ?? '')) found.add(tree.relname ?? '');
  const { withClause, ...body } = tree as { readonly withClause?: WithClause };
  const within = withClause === undefined ? defined : collectFreeInWith(commonTables(withClause), defined, found);
  for (const [key, value] of Object.entries(body)) if (key !== 'LockingClause') collectFree(value, within, found);
}

/** The names that are defined behind the WITH. */
function collectFreeInWith({ tables, recursive }: CommonTables, around: ReadonlySet<string>, found: Set<string>): ReadonlySet<string> {
  const all = new Set([...around, ...tables.map(nameOf)]);
  const before = new Set(around);
  for (const table of tables) {
    collectFree(table.ctequery, recursive ? all : before, found);
    before.add(nameOf(table));
  }
  return all;
}

/** Positions of those that are named, that stand in `always`, and that these name, in their order. */
export function neededTables({ tables, recursive }: CommonTables, named: ReadonlySet<string>, always: readonly number[] = []): number[] {
  const needed = new Set<number>();
  const take = (names: ReadonlySet<string>, end: number): void => {
    for (const [index, table] of tables.slice(0, end).entries()) if (names.has(nameOf(table))) need(index);
  };
  const need = (index: number): void => {
    if (needed.has(index)) return;
    needed.add(index);
    take(freeNames(tables[index]?.ctequery), recursive ? tables.length : index);
  };
  take(named, tables.length);
  for (const index of always) need(index);
  return [...needed].sort((a, b) => a - b);
}

function nameOf({ ctename }: CommonTableExpr): string {
  return ctename ?? '';
}
