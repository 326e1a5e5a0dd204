import { ClusterError } from '../../base/errors.ts';
import type { CodeInBlock } from '../../plan/ddl/definition-plan.ts';
import { scansOf } from '../../store/shell-uses.ts';
import type { DefinitionChange } from './definition-change.ts';

/** What the transaction has done to the empty shell of a distributed or reference table. */
interface ShellUse {
  readonly scans: number;
  /** It holds the lock of a change of its definition, which scans it, too. */
  readonly isChanged: boolean;
  /** It holds the lock of a query, which changes of its definition do not take. */
  readonly isQueried: boolean;
}

export type ShellUses = ReadonlyMap<number, ShellUse>;

/** By OIDs of tables; those that were not scanned are not in it. Nothing where the server counts nothing (`track_counts`). */
export async function readShells({ coordinator, options }: DefinitionChange): Promise<ShellUses> {
  const { rows } = await coordinator.query({ text: usesQuery }, options);
  return new Map(rows.map(([oid, scans, isChanged, isQueried]) => [Number(oid), { scans: Number(scans), isChanged: isChanged === 't', isQueried: isQueried === 't' }]));
}

const holds = (modes: string): string => `EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.relation = t.relation::oid AND l.locktype = 'relation' AND l.pid = pg_catalog.pg_backend_pid()
    AND l.mode ${modes} ('AccessShareLock', 'RowShareLock') AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))`;

const usesQuery = `SELECT t.relation::oid::int8, s.scans, ${holds('NOT IN')}, ${holds('IN')} FROM shardwright.distributed_table t, LATERAL (${scansOf('t.relation::oid')}) AS s(scans)
  WHERE s.scans > 0 AND NOT t.shell_is_copy`;

/**
 * `unsupportedDdl` where code, which nobody could read beforehand, has read the shell of a table that had been used as `before` says. A table whose definition it changes as well is scanned for that: there the lock of a query tells, unless all of
 * the code's statements could be read.
 */
export async function refuseReading(change: DefinitionChange, { code, before }: { readonly code: CodeInBlock; readonly before: ShellUses }): Promise<void> {
  const used = [...(await readShells(change))].filter(([oid, { scans }]) => scans > (before.get(oid)?.scans ?? 0));
  const isLegible = used.every(([, { isChanged }]) => !isChanged) || !(code.isOpen || (await callsCode(change, code.functions)));
  const found = used.find(([, { isChanged, isQueried }]) => !isChanged || (isQueried && !isLegible));
  const table = [...change.snapshot.tables.values()].find(({ oid }) => oid === found?.[0]);
  if (table === undefined) return;
  const { schema, name } = table;
  throw new ClusterError('unsupportedDdl', `the DO block has read "${name}", which is distributed or a reference table`, {
    detail: 'Its code runs in the coordinator database, where the table is an empty shell.', hint: 'Send the statements through the cluster.', schema, table: name,
  });
}

/** Whether one of the names may be that of a function of somebody's. */
async function callsCode({ coordinator, options }: DefinitionChange, names: readonly string[]): Promise<boolean> {
  if (names.length === 0) return false;
  const { rows } = await coordinator.query({ text: `SELECT FROM pg_catalog.pg_proc WHERE oid >= 16384 AND proname = ANY ($1::text[]) LIMIT 1`, values: [names] }, options);
  return rows.length > 0;
}
