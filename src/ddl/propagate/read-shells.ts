import { ClusterError } from '../../base/errors.ts';
import type { DefinitionChange } from './definition-change.ts';

/** How often the transaction has read the empty shell of each distributed or reference table, by its OID, but for tables that it changes the definitions of. Nothing where the server counts nothing (`track_counts`). */
export async function readShells({ coordinator, options }: DefinitionChange): Promise<ReadonlyMap<number, number>> {
  const { rows } = await coordinator.query({ text: scansOfShells }, options);
  return new Map(rows.map(([oid, scans]) => [Number(oid), Number(scans)]));
}

const scansOfShells = `SELECT t.relation::oid::int8, s.scans FROM shardwright.distributed_table t,
    LATERAL (SELECT pg_catalog.pg_stat_get_xact_numscans(t.relation::oid) + coalesce((SELECT sum(pg_catalog.pg_stat_get_xact_numscans(i.indexrelid)) FROM pg_catalog.pg_index i WHERE i.indrelid = t.relation::oid), 0)) AS s(scans)
  WHERE s.scans > 0 AND NOT t.shell_is_copy AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.relation = t.relation::oid AND l.locktype = 'relation' AND l.pid = pg_catalog.pg_backend_pid()
    AND l.mode NOT IN ('AccessShareLock', 'RowShareLock') AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))`;

/** `unsupportedDdl` where code, which nobody could read beforehand, has read the shell of a table that had been read as often as `before` says. */
export async function refuseReading(change: DefinitionChange, before: ReadonlyMap<number, number>): Promise<void> {
  const found = [...(await readShells(change))].find(([oid, scans]) => scans > (before.get(oid) ?? 0));
  const table = [...change.snapshot.tables.values()].find(({ oid }) => oid === found?.[0]);
  if (table === undefined) return;
  const { schema, name } = table;
  throw new ClusterError('unsupportedDdl', `the DO block has read "${name}", which is distributed or a reference table`, {
    detail: 'Its code runs in the coordinator database, where the table is an empty shell.', hint: 'Send the statements through the cluster.', schema, table: name,
  });
}
