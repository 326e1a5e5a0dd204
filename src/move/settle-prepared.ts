import { setTimeout as delay } from 'node:timers/promises';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { recover } from '../txn/recover.ts';
import type { MoveContext } from './move-context.ts';

const again = { attemptsMax: 100, waitMs: 50 } as const;

/** A process that died in the cut-over, or lost a connection there, may have left its parts prepared, with their locks. One that its server is still at is busy (55000) for moments. */
export async function settlePrepared({ pools, clusterId, job, signal }: MoveContext): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const { left } = await recover(withTargets(pools, job.targets), { clusterId, signal });
    const ours = left.find((one) => [...job.sources, ...job.targets].some(({ node }) => node === one.node) && !isNoNodeYet(one));
    if (ours === undefined) return;
    const isBusy = sqlStateOf(ours.reason) === '55000';
    if (!isBusy || attempt === again.attemptsMax) throw ours.reason instanceof Error ? ours.reason : new ClusterError('moveInProgress', `a transaction on node ${ours.node} is in doubt`);
    await delay(again.waitMs, undefined, { signal });
  }
}

/** It has no table of decisions, which were asked for, so it has none; what it has prepared was finished nevertheless. */
function isNoNodeYet({ gid, reason }: { readonly gid: string | undefined; readonly reason: unknown }): boolean {
  return gid === undefined && ['42P01', '3F000'].includes(sqlStateOf(reason) ?? '');
}

/** A node that is being added is in no catalog yet, but may have a part of the cut-over. */
function withTargets(pools: NodePools, targets: readonly { readonly node: NodeId }[]): NodePools {
  return {
    get nodeIds() {
      return [...new Set([...pools.nodeIds, ...targets.map(({ node }) => node)])];
    },
    get: (node) => pools.get(node),
    setNodes: (nodes) => pools.setNodes(nodes),
    end: () => pools.end(),
  };
}
