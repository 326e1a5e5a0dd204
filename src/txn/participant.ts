import { collecting, type CommitPositions } from '../cluster/commit-positions.ts';
import type { CallOptions, NodeConnection, NodeQuery } from '../cluster/node-connection.ts';
import { isConnectionFailure, wasNotSent } from '../cluster/translate-error.ts';
import { ClusterError } from '../base/errors.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import { gidCluster } from './gid.ts';
import { formatTransactionId, numberIfAnySql, numberSql, readNumber, type TransactionNumber } from './transaction-id.ts';

/** A server that takes part in a transaction, and the transaction's connection to it. */
export interface Participant {
  readonly node: NodeId;
  readonly connection: NodeConnection;
  effect: 'read' | 'write';
  /** The number of the transaction's part there, once it is known: what tells its outcome when the connection is lost. */
  number?: TransactionNumber | undefined;
  /** Whether it holds the transaction's claim. */
  claimed?: boolean;
}

/** What the errors of a transaction call it by. */
export interface TransactionName {
  readonly clusterId: string;
  readonly transactionId: string;
}

/** A prepared statement's name. A session may say DEALLOCATE ALL on its own connection to the coordinator database, so nothing is prepared there. */
export function nameOn(node: NodeId, name: string): string | undefined {
  return node === coordinatorNodeId ? undefined : name;
}

/** A statement that learns the participant's number, at the latest before what stands behind it in a batch is done. */
export function numbering(participant: Participant): NodeQuery {
  return { name: nameOn(participant.node, 'shardwright_number'), text: `SELECT ${numberSql}`, answered: ({ rows }) => (participant.number = readNumber(rows[0]?.[0])) };
}

/** Who hears what deferred triggers say at COMMIT, and what is told where it ends. It cannot be aborted. */
export interface CommitOptions extends Pick<CallOptions, 'onNotice'> {
  readonly committed?: CommitPositions | undefined;
}

/** COMMIT. Throws `transactionAborted` if the server rolled back instead, and what the server throws. */
export async function commitParticipant({ connection }: Participant, { onNotice, committed }: CommitOptions = {}): Promise<void> {
  const { command } = await collecting(committed, connection, () => connection.query({ text: 'COMMIT', simple: true }, { onNotice }));
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

/** COMMIT of the only writer. A connection lost meanwhile leaves the outcome unknown here; its number on the server tells it. */
export async function commitOnlyWriter(writer: Participant, name: TransactionName, { onNotice, committed }: CommitOptions = {}): Promise<void> {
  try {
    // One message, and no answer is waited for: the server says the number before it begins to commit.
    if (writer.number === undefined) await collecting(committed, writer.connection, () => writer.connection.batch([numberingIfAny(writer), { text: 'COMMIT' }], { onNotice }));
    else await commitParticipant(writer, { onNotice, committed });
  } catch (error) {
    throw isConnectionFailure(error) && !wasNotSent(error) ? outcomeUnknown(name, writer, error) : error;
  }
}

/** What has written nothing has no number, and its COMMIT changes nothing. */
function numberingIfAny(writer: Participant): NodeQuery {
  return { ...numbering(writer), name: nameOn(writer.node, 'shardwright_number_if_any'), text: `SELECT ${numberIfAnySql}` };
}

export function outcomeUnknown({ clusterId, transactionId }: TransactionName, { node, number }: Pick<Participant, 'node' | 'number'>, cause: unknown): ClusterError {
  const id = formatTransactionId({ cluster: gidCluster(clusterId), node, number, transactionId });
  return new ClusterError('outcomeUnknown', `the outcome of transaction ${id} is unknown`, {
    detail: 'The connection was lost while the transaction was being committed.',
    hint: number === undefined ? 'Check whether its changes are there before you try it again.' : `cluster.outcomeOf('${id}') tells whether it was committed. Ask before you try it again.`,
    transactionId: id,
    cause,
  });
}

export function transactionAborted(cause?: unknown): ClusterError {
  return new ClusterError('transactionAborted', 'the transaction was rolled back', { cause });
}
