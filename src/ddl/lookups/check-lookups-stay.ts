import { ClusterError } from '../../base/errors.ts';
import type { CatalogSnapshot } from '../../catalog/catalog-snapshot.ts';
import type { TableDefinition } from '../table-definition.ts';
import { isLookupTrigger, lookupTriggers } from './lookup-triggers.ts';

interface Change {
  readonly before: TableDefinition;
  readonly after: TableDefinition;
}

/** `tableHasLookup` for changes of a table by which its lookups would miss writes of its rows, or name columns that have another name now. */
export function checkLookupsStay({ lookups }: Pick<CatalogSnapshot, 'lookups'>, { before, after }: Change): void {
  for (const { id, name, table, columns, lookupTable } of lookups) {
    const why = table === before.oid ? objectionTo({ before, after }, { id, columns }) : lookupTable === before.oid && hasChanged(before, after) ? 'its table is the cluster\'s own' : undefined;
    if (why === undefined) continue;
    throw new ClusterError('tableHasLookup', `the unique lookup "${name}" does not allow this change of table "${after.name}": ${why}`, {
      hint: 'Drop the lookup first, cluster.dropUniqueLookup(), and make it again afterwards.', schema: after.schema, table: after.name,
    });
  }
}

function objectionTo({ before, after }: Change, { id, columns }: { readonly id: number; readonly columns: readonly string[] }): string | undefined {
  const keys = [...columns, before.distribution?.columnName ?? ''];
  const positionOf = (table: TableDefinition, column: string): number | undefined => table.columns.find(({ name }) => name === column)?.position;
  const changed = keys.find((column) => positionOf(before, column) !== positionOf(after, column));
  if (changed !== undefined) return `it knows column "${changed}" by that name`;
  const stays = lookupTriggers(after, { id, columns: keys }).every(({ name }) => after.triggers?.some((trigger) => trigger.name === name && isLookupTrigger(trigger) && trigger.enabled === 'O') === true);
  if (!stays) return 'its triggers must stay as they are';
  return after.partition ? 'a partition has no unique lookup of its own' : undefined;
}

function hasChanged(before: TableDefinition, after: TableDefinition): boolean {
  return JSON.stringify(before) !== JSON.stringify(after);
}
