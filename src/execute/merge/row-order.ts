import { present } from '../../base/assert.ts';
import type { RawRow } from '../../cluster/node-connection.ts';
import type { SortKey } from '../../plan/merge-plan.ts';
import { comparatorFor } from '../../sql/values/comparator.ts';
import { type Rank, rankFor } from './value-rank.ts';

/** The order of rows by some keys. */
export interface RowOrder {
  /** Negative, zero or positive. */
  compare(a: RawRow, b: RawRow): number;
  /** A first, cheap answer: a row of smaller rank comes before one of larger. Of equal ranks only `compare` knows. Never NaN. */
  rank(row: RawRow): number;
}

/** The order that ORDER BY means. The type of each key must have a comparator. */
export function rowOrder(keys: readonly SortKey[]): RowOrder {
  const comparisons = keys.map(comparisonOf);
  const [first] = keys;
  return {
    compare: comparisons.length === 1 ? present(comparisons[0]) : (a, b) => compareInTurn(comparisons, a, b),
    rank: first === undefined ? () => 0 : rankOf(first),
  };
}

type RowComparison = RowOrder['compare'];

function compareInTurn(comparisons: readonly RowComparison[], a: RawRow, b: RawRow): number {
  for (const compare of comparisons) {
    const order = compare(a, b);
    if (order !== 0) return order;
  }
  return 0;
}

function comparisonOf({ column, typeOid, collationIsC, descending, nullsFirst }: SortKey): RowComparison {
  const compare = present(comparatorFor(typeOid, collationIsC), `comparator of type ${typeOid}`);
  const nullRank = nullsFirst ? -1 : 1;
  return (a, b) => {
    const left = a[column] ?? null;
    const right = b[column] ?? null;
    if (left === right) return 0;
    if (left === null) return nullRank;
    if (right === null) return -nullRank;
    return descending ? compare(right, left) : compare(left, right);
  };
}

/** NULLs share their rank with infinities, which is allowed. */
function rankOf({ column, typeOid, descending, nullsFirst }: SortKey): (row: RawRow) => number {
  const rank: Rank | undefined = rankFor(typeOid);
  if (rank === undefined) return () => 0;
  const nullRank = nullsFirst ? -Infinity : Infinity;
  return (row) => {
    const text = row[column] ?? null;
    if (text === null) return nullRank;
    return descending ? -rank(text) : rank(text);
  };
}
