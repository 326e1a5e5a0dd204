import { ClusterError } from '../../base/errors.ts';
import type { DefinitionChange } from './definition-change.ts';

/** Distributed and reference tables whose empty shells the transaction has read, and changed nothing of; by OID. PostgreSQL keeps the locks of all that was read until the end, but GRANT takes the same. */
export async function readShells({ coordinator, options }: DefinitionChange): Promise<ReadonlySet<number>> {
  const { rows } = await coordinator.query({ text: locksOfReaders }, options);
  return new Set(rows.map(([oid]) => Number(oid)));
}

const locksOfReaders = `SELECT l.relation::bigint FROM pg_catalog.pg_locks l JOIN shardwright.distributed_table t ON t.relation = l.relation JOIN pg_catalog.pg_class c ON c.oid = l.relation
  WHERE l.locktype = 'relation' AND l.pid = pg_catalog.pg_backend_pid() AND NOT t.shell_is_copy
    AND pg_catalog.age(c.xmin) > pg_catalog.age(pg_catalog.pg_current_xact_id()::pg_catalog.xid) AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  GROUP BY l.relation HAVING pg_catalog.bool_and(l.mode IN ('AccessShareLock', 'RowShareLock'))`;

/** `unsupportedDdl` where code, which nobody could read beforehand, has read the shell of a table that it had not read `before`. */
export async function refuseReading(change: DefinitionChange, before: ReadonlySet<number>): Promise<void> {
  const found = [...(await readShells(change))].find((oid) => !before.has(oid));
  const table = [...change.snapshot.tables.values()].find(({ oid }) => oid === found);
  if (table === undefined) return;
  const { schema, name } = table;
  throw new ClusterError('unsupportedDdl', `the DO block has read "${name}", which is distributed or a reference table`, {
    detail: 'Its code runs in the coordinator database, where the table is an empty shell.', hint: 'Send the statements through the cluster.', schema, table: name,
  });
}
