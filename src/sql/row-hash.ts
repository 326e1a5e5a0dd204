/** SQL for a hash of a row as text, int8: equal of equal rows on all servers under the same settings. `row` is an expression such as `ROW(a, b)`. */
export function rowHash(row: string): string {
  return `pg_catalog.hashtextextended(${row}::pg_catalog.text COLLATE pg_catalog."C", 0)`;
}
