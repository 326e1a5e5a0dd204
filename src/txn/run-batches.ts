import type { DistributedTransaction } from './distributed-transaction.ts';
import type { CallOptions, NodeQuery, RawResult } from '../cluster/node-connection.ts';
import type { NodeId } from '../catalog/ids.ts';

/** Statements of one transaction for one server, known before any of them runs. */
export interface NodeBatch {
  readonly node: NodeId;
  readonly queries: readonly NodeQuery[];
}

/** Runs writes in a transaction, all servers side by side; results in the order of batches and queries. Waits for all before it throws. */
export async function runBatches(transaction: DistributedTransaction, batches: readonly NodeBatch[], options: CallOptions): Promise<RawResult[][]> {
  return allSettledOrThrow(batches.map(async ({ node, queries }) => {
    const connection = await transaction.join(node, 'write', options);
    return connection.batch(queries, options);
  }));
}

/** Waits for all; throws the first's reason, by position. */
export async function allSettledOrThrow<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}
