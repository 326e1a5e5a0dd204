import { at } from '../../base/assert.ts';
import type { ReferenceTable } from '../../catalog/catalog-snapshot.ts';
import type { NodeId } from '../../catalog/ids.ts';
import { copySql } from '../../catalog/reference-copies.ts';
import type { CallOptions } from '../../cluster/node-connection.ts';
import type { DistributedTransaction } from '../../txn/distributed-transaction.ts';
import { runBatches } from '../../txn/run-batches.ts';
import { sumOfRows } from './sum-of-rows.ts';

export interface LockedCopies {
  /** Servers with a copy: those of one turn side by side, after those of the turns before. */
  readonly turns: readonly (readonly NodeId[])[];
  readonly options: CallOptions;
}

/**
 * Keeps all others from writing to the table, until the transaction ends; not from reading, locking or referring to its rows. Whoever has written there has then committed on every copy. Resolves to whether the
 * transaction sees the same rows in all copies: surely where each of its statements sees what was committed before it, else by looking.
 */
export async function lockCopies(transaction: DistributedTransaction, table: ReferenceTable, { turns, options }: LockedCopies): Promise<boolean> {
  let level = '';
  for (const nodes of turns) {
    const locked = await runBatches(transaction, nodes.map((node) => ({
      node, queries: [{ text: `LOCK TABLE ${copySql(table, node)} IN SHARE ROW EXCLUSIVE MODE` }, { text: `SELECT pg_catalog.current_setting('transaction_isolation')` }],
    })), options);
    level = at(at(locked, 0), 1).rows[0]?.[0] ?? '';
  }
  if (level.startsWith('read ')) return true;
  return areAlike(transaction, table, { turns, options });
}

/** Whether the transaction sees the same rows in all copies. Reads all of them. */
export async function areAlike(transaction: DistributedTransaction, table: ReferenceTable, { turns, options }: LockedCopies): Promise<boolean> {
  const sums = await runBatches(transaction, turns.flat().map((node) => ({ node, queries: [{ text: sumOfRows(copySql(table, node)) }] })), options);
  return new Set(sums.map((results) => JSON.stringify(at(results, 0).rows))).size === 1;
}
