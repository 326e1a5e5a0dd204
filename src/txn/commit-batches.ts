import type { BeginOptions } from './distributed-transaction.ts';
import { numbering, outcomeUnknown, type Participant, type TransactionName } from './participant.ts';
import { allSettledOrThrow, type NodeBatch } from './run-batches.ts';
import { newTransactionId } from './transaction-id.ts';
import { runInTwoPhases } from './two-phase-commit.ts';
import { throwIfAborted } from '../base/abort.ts';
import { at } from '../base/assert.ts';
import { collecting } from '../cluster/commit-positions.ts';
import type { CallOptions, RawResult } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { isConnectionFailure, wasNotSent } from '../cluster/translate-error.ts';

type CommitOptions = CallOptions & Pick<BeginOptions, 'clusterId' | 'onStep' | 'watch'>;

/**
 * A whole transaction of writes: one round trip on one server, three with several. All or nothing; errors as those of
 * `DistributedTransaction.commit` and of the statements. One batch per server; results in the order of batches and queries.
 */
export async function commitBatches(pools: NodePools, batches: readonly NodeBatch[], options: CommitOptions): Promise<RawResult[][]> {
  const name = { clusterId: options.clusterId, transactionId: newTransactionId() };
  const participants = await acquireAll(pools, batches, options);
  const watched = { id: name.transactionId, began: Date.now(), connections: new Map(participants.map(({ node, connection }) => [node, connection])) };
  // Before the decision: who has decided waits for nobody, and must not be given up.
  const leave = (): void => options.watch?.leave(watched);
  try {
    throwIfAborted(options.signal);
    if (batches.length === 1) return [await commitAlone(at(participants, 0), at(batches, 0), { name, options })];
    options.watch?.enter(watched);
    const work = batches.map(({ queries }, i) => ({ participant: at(participants, i), queries }));
    return await runInTwoPhases({ ...name, pools, onStep: options.onStep, beforeDecision: leave }, work, options);
  } finally {
    leave();
    for (const { connection } of participants) connection.release();
  }
}

/** All are asked for at once, so that no two transactions wait for each other's. */
async function acquireAll(pools: NodePools, batches: readonly NodeBatch[], options: CallOptions): Promise<Participant[]> {
  const acquired = batches.map(({ node }) => pools.get(node).acquire(options));
  try {
    const connections = await allSettledOrThrow(acquired);
    return connections.map((connection, i) => ({ node: at(batches, i).node, connection, effect: 'write' }));
  } catch (error) {
    for (const one of acquired) one.then((connection) => connection.release(), () => undefined);
    throw error;
  }
}

interface Alone {
  readonly name: TransactionName;
  readonly options: CallOptions;
}

/** Without BEGIN the statements of a batch are one transaction, which ends with them. Its number is said before the first of them runs. */
async function commitAlone(writer: Participant, { queries }: NodeBatch, { name, options }: Alone): Promise<RawResult[]> {
  try {
    const [, ...results] = await collecting(options.committed, writer.connection, () => writer.connection.batch([numbering(writer), ...queries], options));
    return results;
  } catch (error) {
    throw isConnectionFailure(error) && !wasNotSent(error) ? outcomeUnknown(name, writer, error) : error;
  }
}
