import { ClusterError } from '../base/errors.ts';
import type { NodeConnections } from '../cluster/node-connection.ts';
import { judgeFailure } from './judge-failure.ts';

export function writeOutcomeUnknown(name: string, cause: unknown): ClusterError {
  return new ClusterError('writeOutcomeUnknown', `the connection to node ${name} was lost while a write ran: it may or may not have been done`, {
    hint: 'Check whether its changes are there before you try it again. Writes in a transaction with COMMIT have an outcome that can be asked for.', cause,
  });
}

/** What a write fails with that ran, with its COMMIT, on a connection taken for it: as one that needs none, where the node has replicas. */
export function failureOfWrite({ name, hasReplicas }: Pick<NodeConnections, 'name' | 'hasReplicas'>, error: unknown): unknown {
  return hasReplicas === true && judgeFailure(error, undefined) === 'unknown' ? writeOutcomeUnknown(name, error) : error;
}
