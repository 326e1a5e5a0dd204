import type { RawRow } from '../cluster/node-connection.ts';
import { quoteQualified } from '../sql/identifiers.ts';
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

const fence = 'shardwright_shell';
/** For each row: a COPY without rows must pass, since it is how the options of a COPY are checked. */
const insertFence = 'shardwright_shell_insert';

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
  for (const name of [fence, insertFence]) await onCoordinator(change, `DROP TRIGGER IF EXISTS ${name} ON ${nameOf(shell)}`);
}

export async function onCoordinator(change: CatalogChange, text: string, values: readonly unknown[] = []): Promise<RawRow[]> {
  const { rows } = await change.coordinator.query({ text, values }, { signal: change.signal });
  return rows;
}

function nameOf({ schema, name }: Pick<Shell, 'schema' | 'name'>): string {
  return quoteQualified(schema, name);
}
