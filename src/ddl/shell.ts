import type { RawRow } from '../cluster/node-connection.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { enableTrigger } from './render-behaviour.ts';
import type { CatalogChange } from './change-catalog.ts';
import type { TableDefinition } from './table-definition.ts';

type Shell = Pick<TableDefinition, 'schema' | 'name' | 'referencedBy'>;

export async function hasRows(change: CatalogChange, table: Pick<Shell, 'schema' | 'name'>): Promise<boolean> {
  const [row] = await onCoordinator(change, `SELECT EXISTS (SELECT FROM ONLY ${nameOf(table)})`);
  return row?.[0] === 't';
}

/** TRUNCATE is refused while another table refers to this one, even an empty one. */
export async function emptyShell(change: CatalogChange, shell: Shell): Promise<void> {
  const verb = shell.referencedBy === null ? 'TRUNCATE ONLY' : 'DELETE FROM ONLY';
  await onCoordinator(change, `${verb} ${nameOf(shell)}`);
}

/** Runs `work`, which moves rows that are there, without the user's triggers: nothing happens to the rows. */
export async function withoutTriggers<T>(change: CatalogChange, table: Pick<TableDefinition, 'schema' | 'name' | 'triggers'>, work: () => Promise<T>): Promise<T> {
  const enabled = (table.triggers ?? []).filter((trigger) => trigger.enabled !== 'D');
  const shell = { sql: nameOf(table) };
  for (const { name } of enabled) await onCoordinator(change, enableTrigger(shell, name, 'D'));
  const result = await work();
  for (const { name, enabled: how } of enabled) await onCoordinator(change, enableTrigger(shell, name, how));
  return result;
}

const fence = 'shardwright_shell';
/** For each row: a COPY without rows must pass, since it is how the options of a COPY are checked. */
const insertFence = 'shardwright_shell_insert';

export const fenceTriggers: readonly string[] = [fence, insertFence];

/**
 * Makes the server refuse whatever would change rows of the shell, with 42P01: a process whose snapshot is older than the table's
 * distribution must not lose rows in it.
 */
export async function fenceShell(change: CatalogChange, shell: Shell): Promise<void> {
  await onCoordinator(
    change,
    `CREATE TRIGGER ${fence} BEFORE UPDATE OR DELETE OR TRUNCATE ON ${nameOf(shell)}
     FOR EACH STATEMENT EXECUTE FUNCTION shardwright.refuse_shell_write()`,
  );
  await onCoordinator(
    change,
    `CREATE TRIGGER ${insertFence} BEFORE INSERT ON ${nameOf(shell)} FOR EACH ROW EXECUTE FUNCTION shardwright.refuse_shell_write()`,
  );
}

export async function unfenceShell(change: CatalogChange, shell: Shell): Promise<void> {
  for (const name of fenceTriggers) await onCoordinator(change, `DROP TRIGGER IF EXISTS ${name} ON ${nameOf(shell)}`);
}

export async function onCoordinator(change: CatalogChange, text: string, values: readonly unknown[] = []): Promise<RawRow[]> {
  const { rows } = await change.coordinator.query({ text, values }, { signal: change.signal });
  return rows;
}

function nameOf({ schema, name }: Pick<Shell, 'schema' | 'name'>): string {
  return quoteQualified(schema, name);
}
