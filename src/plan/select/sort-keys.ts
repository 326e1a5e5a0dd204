import type { Node } from '@pgsql/types';
import { nameParts } from '../../sql/ast.ts';
import { comparatorFor } from '../../sql/values/comparator.ts';
import type { DescribedColumn } from '../describe.ts';
import type { SortKey } from '../merge-plan.ts';

/** Direction of an ORDER BY item; undefined for `USING operator`, which only a PostgreSQL knows. */
export function sortDirection(item: Node): { readonly descending: boolean; readonly nullsFirst: boolean } | undefined {
  if (!('SortBy' in item)) return undefined;
  const { sortby_dir, sortby_nulls, useOp } = item.SortBy;
  if (sortby_dir === 'SORTBY_USING') {
    const operator = nameParts(useOp).join('.');
    if (operator !== '<' && operator !== '>') return undefined;
    return { descending: operator === '>', nullsFirst: operator === '>' };
  }
  const descending = sortby_dir === 'SORTBY_DESC';
  const nullsFirst = sortby_nulls === 'SORTBY_NULLS_FIRST' || (descending && sortby_nulls !== 'SORTBY_NULLS_LAST');
  return { descending, nullsFirst };
}

/** The key for one column, if the application can compare its values exactly as PostgreSQL does. */
export function sortKeyFor(item: Node, column: number, described: DescribedColumn | undefined): SortKey | undefined {
  const direction = sortDirection(item);
  if (direction === undefined || described === undefined) return undefined;
  const collationIsC = described.collation?.isC ?? true;
  if (comparatorFor(described.typeOid, collationIsC) === undefined) return undefined;
  return { column, typeOid: described.typeOid, collationIsC, ...direction };
}
