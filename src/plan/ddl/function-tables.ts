import type { RelationNames } from '../../analyze/relation-names.ts';
import { ClusterError } from '../../base/errors.ts';
import { readCode } from '../../sql/code-statements.ts';
import type { Statement } from '../../sql/parse.ts';
import { distributedNamed } from './reads-distributed.ts';

/** `unsupportedDdl` for a function whose code, as far as it can be read, names a distributed or reference table: wherever it is called, there is no such table with rows. */
export function refuseReaderOfShells(statement: Statement, names: RelationNames): void {
  const { node } = statement;
  if (names.snapshot.tables.size === 0) return;
  const inside = [node, ...(readCode(statement)?.statements ?? []).map((one) => one.node)];
  const table = inside.map((one) => distributedNamed(one, names)).find((name) => name !== undefined);
  if (table !== undefined) throw readsShells('the function', table);
}

export function readsShells(what: string, table: string): ClusterError {
  return new ClusterError('unsupportedDdl', `${what} names "${table}", which is distributed, a reference table, or a view over one`, {
    detail: 'Its code runs inside a server, where the table is an empty shell, or shards of other names.',
    hint: 'Send the statements through the cluster, or pass the rows to the function.',
  });
}
