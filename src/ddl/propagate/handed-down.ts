import type { ColumnDefinition, ConstraintDefinition, TableDefinition } from '../table-definition.ts';
import { matchColumns, type TableChange } from './table-change.ts';

/**
 * What PostgreSQL does to a partition by itself when it changes the table above, on shards as on shells: it must not be done twice. Columns come, go and change; CHECK and NOT NULL constraints too, under
 * the names that they have above; whatever else goes above goes below. Keys, indexes and foreign keys that come are made below first, under names of their own, and taken over from above.
 */
type Kept = { readonly from: ColumnDefinition; readonly to: ColumnDefinition };

export function comesFromAbove({ above }: TableChange, { name }: ColumnDefinition): boolean {
  return above !== undefined && matchColumns(above).added.some((column) => column.name === name);
}

export function goesAbove({ above }: TableChange, { name }: ColumnDefinition): boolean {
  return above !== undefined && matchColumns(above).gone.some((column) => column.name === name);
}

/** Whether a column changes in the same way above; `differs` says in what. */
export function changesAbove({ above }: TableChange, { from, to }: Kept, differs: (kept: Kept) => boolean): boolean {
  return above !== undefined && matchColumns(above).kept.some((kept) => kept.from.name === from.name && kept.to.name === to.name && differs(kept));
}

/** Of a constraint that is added, renamed or altered. */
export function isFromAbove({ above }: TableChange, { kind, inherited }: ConstraintDefinition): boolean {
  return above !== undefined && inherited && (kind === 'check' || kind === 'not_null');
}

/** Of a constraint or index that goes. */
export function wentAbove({ above }: TableChange, { inherited }: { readonly inherited: boolean }): boolean {
  return above !== undefined && inherited;
}

/** Their NOT NULL constraints have names of their own, or those from above; nobody needs to know. */
export function isInTree({ partition, partitionKey }: Pick<TableDefinition, 'partition' | 'partitionKey'>): boolean {
  return partition || partitionKey !== null;
}
