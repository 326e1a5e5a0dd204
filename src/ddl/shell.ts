import type { RawRow } from '../cluster/node-connection.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { enableTrigger } from './render-behaviour.ts';
import type { CatalogChange } from './change-catalog.ts';
import type { TableDefinition } from './table-definition.ts';

type Shell = Pick<TableDefinition, 'schema' | 'name' | 'referencedBy' | 'partition' | 'partitionKey'>;

export async function hasRows(change: CatalogChange, table: Pick<Shell, 'schema' | 'name'> & { readonly partitionKey?: string | null }): Promise<boolean> {
  const [row] = await onCoordinator(change, `SELECT EXISTS (SELECT FROM ${wholeTable(nameOf(table), table)})`);
  return row?.[0] === 't';
}

/** TRUNCATE is refused while another table refers to this one, even an empty one. */
export async function emptyShell(change: CatalogChange, shell: Shell): Promise<void> {
  const verb = shell.referencedBy === null ? 'TRUNCATE' : 'DELETE FROM';
  await onCoordinator(change, `${verb} ${wholeTable(nameOf(shell), shell)}`);
}

/** Several may refer to each other, but no other table to them. */
export async function emptyShells(change: CatalogChange, [first, ...others]: readonly Shell[]): Promise<void> {
  if (first !== undefined && others.length === 0) await emptyShell(change, first);
  else if (first !== undefined) await onCoordinator(change, `TRUNCATE ${[first, ...others].map((shell) => wholeTable(nameOf(shell), shell)).join(', ')}`);
}

/** Runs `work`, which moves rows that are there, without the user's triggers and without what policies say of the owner: nothing happens to the rows. */
export async function withoutTriggers<T>(change: CatalogChange, tables: readonly BehavingShell[], work: () => Promise<T>): Promise<T> {
  for (const table of tables) {
    const shell = { sql: nameOf(table) };
    for (const { name, enabled } of table.triggers ?? []) if (enabled !== 'D') await onCoordinator(change, enableTrigger(shell, name, 'D'));
    if (table.rowSecurityForced) await onCoordinator(change, `ALTER TABLE ${shell.sql} NO FORCE ROW LEVEL SECURITY`);
  }
  const result = await work();
  for (const table of tables.toReversed()) {
    const shell = { sql: nameOf(table) };
    for (const { name, enabled } of table.triggers ?? []) if (enabled !== 'D') await onCoordinator(change, enableTrigger(shell, name, enabled));
    if (table.rowSecurityForced) await onCoordinator(change, `ALTER TABLE ${shell.sql} FORCE ROW LEVEL SECURITY`);
  }
  return result;
}

type BehavingShell = Pick<TableDefinition, 'schema' | 'name' | 'triggers' | 'rowSecurityForced'>;

/** As it stands in FROM for all of a table's rows: those of a partitioned one are in its partitions. */
export function wholeTable(sql: string, { partitionKey }: { readonly partitionKey?: string | null }): string {
  return typeof partitionKey === 'string' ? sql : `ONLY ${sql}`;
}

const fence = 'shardwright_shell';
/** For each row: a COPY without rows must pass, since it is how the options of a COPY are checked. */
const insertFence = 'shardwright_shell_insert';

export const fenceTriggers: readonly string[] = [fence, insertFence];

/**
 * Makes the server refuse whatever would change rows of the shell, with 42P01: a process whose snapshot is older than the table's
 * distribution must not lose rows in it.
 */
export async function fenceShell(change: CatalogChange, shell: Shell, kind: ShellKind = 'empty'): Promise<void> {
  for (const { create } of fenceStatements(shell, kind)) await onCoordinator(change, create);
}

export async function unfenceShell(change: CatalogChange, shell: Shell): Promise<void> {
  for (const { drop } of fenceStatements(shell)) await onCoordinator(change, drop);
}

/** A shell that has no rows; or all of a reference table's, which come in as those of its other copies do. */
export type ShellKind = 'empty' | 'copy';

export interface FenceStatements {
  readonly name: string;
  readonly create: string;
  readonly drop: string;
}

/** A partition has the trigger for each row from its parent. In a copy one look at each statement is enough: what checks the options of a COPY is let through as well. */
export function fenceStatements(shell: Pick<Shell, 'schema' | 'name' | 'partition'>, kind: ShellKind = 'empty'): FenceStatements[] {
  const trigger = (name: string, events: string, each: string): FenceStatements => ({
    name,
    create: `CREATE TRIGGER ${name} BEFORE ${events} ON ${nameOf(shell)} FOR EACH ${each} EXECUTE FUNCTION shardwright.refuse_shell_write()`,
    drop: `DROP TRIGGER IF EXISTS ${name} ON ${nameOf(shell)}`,
  });
  return [trigger(fence, 'UPDATE OR DELETE OR TRUNCATE', 'STATEMENT'), ...(shell.partition ? [] : [trigger(insertFence, 'INSERT', kind === 'copy' ? 'STATEMENT' : 'ROW')])];
}

export async function onCoordinator(change: CatalogChange, text: string, values: readonly unknown[] = []): Promise<RawRow[]> {
  const { rows } = await change.coordinator.query({ text, values }, { signal: change.signal });
  return rows;
}

function nameOf({ schema, name }: Pick<Shell, 'schema' | 'name'>): string {
  return quoteQualified(schema, name);
}
