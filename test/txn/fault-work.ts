import { clusterId } from './transaction-cluster.ts';
import type { NodePools } from '../../src/cluster/node-pools.ts';
import { beginTransaction } from '../../src/txn/begin-transaction.ts';
import { commitBatches } from '../../src/txn/commit-batches.ts';
import type { CommitStep } from '../../src/txn/distributed-transaction.ts';
import { recover, type RecoveryStep } from '../../src/txn/recover.ts';

/** What is disturbed: a transaction that writes the cell's row on every node, committed in one of two ways, or recovery. */
export interface FaultWork {
  readonly way: 'begun' | 'batches' | 'recovery';
  readonly cell: string;
}

export async function doFaultWork(pools: NodePools, { way, cell }: FaultWork, onStep: (step: CommitStep | RecoveryStep) => void | Promise<void>): Promise<void> {
  const insert = { text: 'INSERT INTO t VALUES ($1)', values: [cell] };
  if (way === 'recovery') await recover(pools, { clusterId, keepDecisionsMs: 0, onStep });
  else if (way === 'batches') await commitBatches(pools, pools.nodeIds.map((node) => ({ node, queries: [insert] })), { clusterId, onStep });
  else {
    const transaction = beginTransaction(pools, { clusterId, onStep });
    for (const node of pools.nodeIds) await (await transaction.join(node, 'write')).query(insert);
    await transaction.commit();
  }
}
