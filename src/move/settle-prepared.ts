import { setTimeout as delay } from 'node:timers/promises';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import { recover } from '../txn/recover.ts';
import type { MoveContext } from './move-context.ts';

const again = { attemptsMax: 100, waitMs: 50 } as const;

/** A process that died in the cut-over, or lost a connection there, may have left its parts prepared, with their locks. One that its server is still at is busy (55000) for moments. */
export async function settlePrepared({ pools, clusterId, job, signal }: MoveContext): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const { left } = await recover(pools, { clusterId, signal });
    const ours = left.find((one) => [...job.sources, ...job.targets].some(({ node }) => node === one.node));
    if (ours === undefined) return;
    const isBusy = sqlStateOf(ours.reason) === '55000';
    if (!isBusy || attempt === again.attemptsMax) throw ours.reason instanceof Error ? ours.reason : new ClusterError('moveInProgress', `a transaction on node ${ours.node} is in doubt`);
    await delay(again.waitMs, undefined, { signal });
  }
}
