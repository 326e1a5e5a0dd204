import { ClusterError } from '../base/errors.ts';
import type { RawRow } from '../cluster/node-connection.ts';

/** For who finds a shard other than its table. */
export const driftHint = 'cluster.checkSchema(), in SQL shardwright_check_schema(), tells what is missing where, and the statements that repair it.';

/** Checks rows of several shards, as they come: where a shard has lost a column behind the cluster's back, `*` means fewer there, and values would stand in the wrong columns. Throws `undefinedColumn`. */
export function sameWidth(): (rows: readonly RawRow[]) => void {
  let width: number | undefined;
  return ([row]) => {
    if (row === undefined) return;
    width ??= row.length;
    if (row.length === width) return;
    throw new ClusterError('undefinedColumn', 'shards of a table have different columns', {
      detail: `A row of one has ${width}, of another ${row.length}.`,
      hint: driftHint,
    });
  };
}
