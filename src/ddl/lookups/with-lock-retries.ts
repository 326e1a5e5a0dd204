import { setTimeout as delay } from 'node:timers/promises';
import { throwIfAborted } from '../../base/abort.ts';
import { ClusterError, sqlStateOf } from '../../base/errors.ts';

/** How long locks on shards are waited for, with writers waiting behind. */
export const lockTimeoutMs = 2_000;
/** How long those on shells are, with users' changes of definitions waiting, which must not be found to be in a deadlock meanwhile. */
export const shellLockTimeoutMs = 200;
const triesMax = 30;
const pauseMs = { first: 50, max: 2_000 } as const;

/** lock_not_available, deadlock_detected, serialization_failure */
const passing: readonly string[] = ['55P03', '40P01', '40001'];

/** Work in a transaction of its own that gives up when it does not get its locks, or is a part of a deadlock: it is tried again, so that nobody waits behind it for long. `lockNotAvailable`. */
export async function withLockRetries<T>(signal: AbortSignal | undefined, work: () => Promise<T>, states = passing): Promise<T> {
  for (let tries = 1, pause: number = pauseMs.first; ; tries += 1, pause = Math.min(pause * 2, pauseMs.max)) {
    try {
      return await work();
    } catch (error) {
      if (!states.includes(sqlStateOf(error) ?? '')) throw error;
      if (tries === triesMax) throw new ClusterError('lockNotAvailable', 'the locks for a unique lookup were not to be had', { detail: 'Transactions hold locks on the table for longer than they were waited for.', cause: error });
    }
    await delay(pause, undefined, { signal }).catch(() => undefined);
    throwIfAborted(signal);
  }
}
