import type { ResultColumn } from '../../analyze/result-table.ts';
import type { DescribedColumn } from '../describe.ts';

/** The column of an intermediate result that holds what a query's column has; described with collations. */
export function resultColumn(name: string, { typeSql, collation }: DescribedColumn): ResultColumn {
  return { name, typeSql, collation: collation?.sql, deterministic: collation?.deterministic ?? true };
}
