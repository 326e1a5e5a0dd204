import type { ColocationId } from '../catalog/ids.ts';
import type { ConstantSet, ConstantSource } from './constant-set.ts';

/** One column of one occurrence of a relation in a statement. */
export type ColumnId = number;

/**
 * The key of every occurrence of the tables of a group of single-shard tables: their rows are together, whatever is in them. It is the column of no relation, is never NULL, and is
 * one number for the whole group.
 */
export function groupKey(colocation: ColocationId): ColumnId {
  return 0 - colocation;
}

export function isGroupKey(column: ColumnId): boolean {
  return column < 0;
}

/** What is certain of every row that matters in some context. */
export type Fact =
  | { readonly kind: 'equal'; readonly a: ColumnId; readonly b: ColumnId }
  | { readonly kind: 'among'; readonly column: ColumnId; readonly set: ConstantSet };

export type Facts = readonly Fact[];

/** All columns that are certainly equal to `column`, itself included. */
export function equivalents(facts: Facts, column: ColumnId): Set<ColumnId> {
  const found = new Set([column]);
  for (let grew = true; grew; ) {
    grew = false;
    for (const fact of facts) {
      if (fact.kind !== 'equal' || found.has(fact.a) === found.has(fact.b)) continue;
      found.add(fact.a);
      found.add(fact.b);
      grew = true;
    }
  }
  return found;
}

/** The sets of constants that `column` is certainly among: a conjunction. */
export function constantsOf(facts: Facts, column: ColumnId): ConstantSet[] {
  const columns = equivalents(facts, column);
  const sets: ConstantSet[] = [];
  for (const fact of facts) if (fact.kind === 'among' && columns.has(fact.column)) sets.push(fact.set);
  return sets;
}

/** Whether `column` is certainly this constant. */
export function isCertainly(facts: Facts, column: ColumnId, constant: ConstantSource): boolean {
  return constantsOf(facts, column).some(({ values, arrays }) => arrays.length === 0 && values.length === 1 && JSON.stringify(values[0]) === JSON.stringify(constant));
}

/** Whether some column of `left` certainly equals some column of `right`. */
export function anyEqual(facts: Facts, left: ReadonlySet<ColumnId>, right: ReadonlySet<ColumnId>): boolean {
  for (const column of left) {
    for (const other of equivalents(facts, column)) if (right.has(other)) return true;
  }
  return false;
}
