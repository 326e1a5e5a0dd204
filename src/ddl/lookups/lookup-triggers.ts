import { quoteIdentifier, quoteLiteral, quoteQualified } from '../../sql/identifiers.ts';
import type { TableDefinition, TriggerDefinition } from '../table-definition.ts';

/** The part of a lookup that its triggers know. */
export interface TriggeringLookup {
  readonly id: number;
  /** The lookup's columns, then the distribution column. */
  readonly columns: readonly string[];
}

interface NamedTrigger {
  readonly name: string;
  readonly create: string;
}

/**
 * The triggers that note what a write to a row means for a lookup. They stand on the shell, as a user's would, and so on every shard, wherever it comes to be; on the shell itself no row is written. Three, since the conditions of each
 * event are others: a row that keeps its key costs no call.
 */
export function lookupTriggers({ schema, name }: Pick<TableDefinition, 'schema' | 'name'>, { id, columns }: TriggeringLookup): NamedTrigger[] {
  const table = quoteQualified(schema, name);
  const args = [String(id), ...columns].map(quoteLiteral).join(', ');
  const trigger = (event: string, condition: string): NamedTrigger => {
    const own = `shardwright_lookup_${id}_${event.toLowerCase()}`;
    return { name: own, create: `CREATE TRIGGER ${own} AFTER ${event} ON ${table} FOR EACH ROW WHEN (${condition}) EXECUTE FUNCTION shardwright.note_lookup_change(${args})` };
  };
  const isKey = (row: string): string => columns.map((column) => `${row}.${quoteIdentifier(column)} IS NOT NULL`).join(' AND ');
  const differs = columns.map((column) => `OLD.${quoteIdentifier(column)} IS DISTINCT FROM NEW.${quoteIdentifier(column)}`).join(' OR ');
  return [trigger('INSERT', isKey('NEW')), trigger('UPDATE', differs), trigger('DELETE', isKey('OLD'))];
}

export function isLookupTrigger({ function: { signature } }: Pick<TriggerDefinition, 'function'>): boolean {
  return signature === 'shardwright.note_lookup_change()';
}
