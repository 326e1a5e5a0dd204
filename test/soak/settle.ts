import { setTimeout as wait } from 'node:timers/promises';
import type { Cluster } from '../../src/index.ts';

const settleMsMax = 30_000;

/** Recovers until nothing is in doubt any more. Throws when that takes too long. */
export async function settle(cluster: Cluster): Promise<void> {
  const deadline = performance.now() + settleMsMax;
  for (;;) {
    const done = await isSettled(cluster).catch((error: unknown) => error);
    if (done === true) return;
    if (performance.now() > deadline) throw new Error('something stays in doubt', { cause: done });
    await wait(100);
  }
}

async function isSettled(cluster: Cluster): Promise<boolean> {
  const { left } = await cluster.recover();
  return left.length === 0 && (await cluster.transactions()).length === 0;
}
