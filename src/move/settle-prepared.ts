import { ClusterError } from '../base/errors.ts';
import { recover } from '../txn/recover.ts';
import type { MoveContext } from './move-context.ts';

/** A process that died in the cut-over, or lost a connection there, may have left its parts prepared, with their locks. */
export async function settlePrepared({ pools, clusterId, job, signal }: MoveContext): Promise<void> {
  const { left } = await recover(pools, { clusterId, signal });
  const ours = left.find((one) => [...job.sources, ...job.targets].some(({ node }) => node === one.node));
  if (ours !== undefined) throw ours.reason instanceof Error ? ours.reason : new ClusterError('moveInProgress', `a transaction on node ${ours.node} is in doubt`);
}
