/**
 * Statements of the cases that have no distributed plan yet, and are refused with a number. One that is answered must be answered rightly; one that is
 * refused and does not stand here fails its case. What disappears from this list is progress.
 */
export const refusedStatements: ReadonlySet<string> = new Set([
  `SELECT public.items.label, other.items.label FROM items JOIN other.items ON public.items.tenant_id = other.items.tenant_id WHERE other.items.tenant_id = 3`,
  `SELECT tableoid IS NOT NULL AS has_oid, count(*) FROM orders GROUP BY 1`,
  `SELECT by, f8 FROM wide ORDER BY by, f8, id`,
  `INSERT INTO w_log (tenant_id, ref) OVERRIDING USER VALUE VALUES (1, 77)`,
  `WITH gone AS (DELETE FROM w_stock RETURNING *) SELECT count(*) FROM gone`,
  `CREATE TEMP TABLE items (label text)`,
]);
