import { rowHash } from '../../sql/row-hash.ts';

/** One row for all rows of a copy of a reference table; equal of the same rows under the same settings. */
export function sumOfRows(copy: string): string {
  return `SELECT pg_catalog.count(*), pg_catalog.sum(${rowHash('ROW(t.*)')}) FROM ${copy} AS t`;
}
