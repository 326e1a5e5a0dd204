/** One row for all rows of a copy of a reference table; equal of the same rows under the same settings. */
export function sumOfRows(copy: string): string {
  return `SELECT pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtextextended(ROW(t.*)::pg_catalog.text COLLATE pg_catalog."C", 0)) FROM ${copy} AS t`;
}
