import type { CatalogChange } from './change-catalog.ts';
import { unsupportedTable } from './check-table.ts';
import { hasRows } from './shell.ts';
import type { TableDefinition } from './table-definition.ts';

/**
 * `unsupportedTable` when rows of another table refer to this one: their foreign key would be checked against the empty shell from now on.
 * Empty tables may refer to it, since they are likely to be distributed next. `together`: OIDs of tables that are distributed with it, or find its rows where they are.
 */
export async function checkReferrers(change: CatalogChange, table: TableDefinition, together: ReadonlySet<number> = new Set()): Promise<void> {
  for (const { constraint, table: referrer } of table.referencedBy ?? []) {
    if (together.has(referrer.oid)) continue;
    if (referrer.distribution === null && !(await hasRows(change, referrer))) continue;
    throw unsupportedTable(table, {
      message: `rows of table "${referrer.name}" refer to it (foreign key "${constraint}")`,
      detail: 'The rows move to the nodes, where a foreign key of the coordinator database cannot see them.',
      hint: `Drop the constraint, or distribute both tables while "${referrer.name}" is empty: first "${table.name}", then "${referrer.name}".`,
    });
  }
}
