import { ClusterError } from '../base/errors.ts';
import { isConnectionFailure } from '../cluster/translate-error.ts';
import type { NodePools } from '../cluster/node-pools.ts';

/** Whether a transaction that failed so before its commit may find another primary when it is tried again. Nothing of it was committed. */
export function isLostToFailover(pools: NodePools, error: unknown): boolean {
  return pools.failsOver === true && isConnectionFailure(error);
}

/** What a transaction's statement fails with, where a node of several servers has lost its primary: as a serialization failure, so that whoever tries those again tries this again. */
export function transactionLost(pools: NodePools, error: unknown): unknown {
  if (!isLostToFailover(pools, error)) return error;
  return new ClusterError('transactionLost', 'the connection to a server of the transaction was lost', {
    detail: error instanceof Error ? `${error.message}.` : undefined, hint: 'Nothing of it was committed: begin the transaction again.', cause: error,
  });
}
