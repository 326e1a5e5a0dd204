import type { DistributedTransaction } from './distributed-transaction.ts';
import type { CallOptions, NodeQuery, RawResult } from '../cluster/node-connection.ts';
import type { NodeId } from '../catalog/ids.ts';

/** Statements of one transaction for one server, known before any of them runs. */
export interface NodeBatch {
  readonly node: NodeId;
  readonly queries: readonly NodeQuery[];
}

/** Runs writes in a transaction, all servers side by side unless it has another order; results in the order of batches and queries. Waits for what it has begun before it throws. */
export async function runBatches(transaction: DistributedTransaction, batches: readonly NodeBatch[], options: CallOptions): Promise<RawResult[][]> {
  const run = async ({ node, queries }: NodeBatch): Promise<RawResult[]> => {
    const connection = await transaction.join(node, 'write', options);
    return connection.batch(queries, options);
  };
  const { order = 'side_by_side' } = transaction;
  if (order === 'side_by_side' || batches.length < 2) return allSettledOrThrow(batches.map(run));
  const inTurn = batches.map((batch, place) => ({ batch, place })).sort((a, b) => a.batch.node - b.batch.node);
  const results: RawResult[][] = batches.map(() => []);
  const runInto = async ({ batch, place }: { batch: NodeBatch; place: number }): Promise<void> => {
    results[place] = await run(batch);
  };
  const alone = order === 'first_alone' ? 1 : inTurn.length;
  for (const one of inTurn.slice(0, alone)) await runInto(one);
  await allSettledOrThrow(inTurn.slice(alone).map(runInto));
  return results;
}

/** Waits for all; throws the first's reason, by position. */
export async function allSettledOrThrow<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}
