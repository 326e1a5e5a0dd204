import { setTimeout as delay } from 'node:timers/promises';

/** The promise, or `late` thrown when it takes longer. Nobody hears of how it ends then. */
export async function inTime<T>(promise: Promise<T>, timeoutMs: number, late: Error): Promise<T> {
  const over = new AbortController();
  const timer = delay(timeoutMs, undefined, { signal: over.signal }).then(() => Promise.reject(late));
  try {
    return await Promise.race([promise, timer]);
  } finally {
    promise.catch(() => undefined);
    timer.catch(() => undefined);
    over.abort();
  }
}
