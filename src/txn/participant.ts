import type { NodeConnection } from '../cluster/node-connection.ts';
import { isConnectionFailure } from '../cluster/translate-error.ts';
import { ClusterError } from '../base/errors.ts';
import type { NodeId } from '../catalog/ids.ts';

/** A server that takes part in a transaction, and the transaction's connection to it. */
export interface Participant {
  readonly node: NodeId;
  readonly connection: NodeConnection;
  effect: 'read' | 'write';
}

/** COMMIT. Throws `transactionAborted` if the server rolled back instead, and what the server throws. */
export async function commitParticipant({ connection }: Participant): Promise<void> {
  const { command } = await connection.query({ text: 'COMMIT', simple: true });
  if (command === 'ROLLBACK') throw transactionAborted();
}

/** ROLLBACK of what is still open; never throws. */
export async function rollbackParticipant({ connection }: Pick<Participant, 'connection'>): Promise<void> {
  try {
    await connection.query({ text: 'ROLLBACK', simple: true });
  } catch {
    // The connection is lost, and with it the transaction.
  }
}

/** COMMIT of the only writer. A connection lost meanwhile leaves the outcome unknown: nobody else knows it. */
export async function commitOnlyWriter(writer: Participant, transactionId: string): Promise<void> {
  try {
    await commitParticipant(writer);
  } catch (error) {
    throw isConnectionFailure(error) ? outcomeUnknown(transactionId, error) : error;
  }
}

export function outcomeUnknown(transactionId: string, cause: unknown): ClusterError {
  return new ClusterError('outcomeUnknown', `the outcome of transaction ${transactionId} is unknown`, {
    detail: 'The connection was lost while the transaction was being committed.',
    hint: 'Check whether its changes are there before you try it again.',
    cause,
  });
}

export function transactionAborted(cause?: unknown): ClusterError {
  return new ClusterError('transactionAborted', 'the transaction was rolled back', { cause });
}
