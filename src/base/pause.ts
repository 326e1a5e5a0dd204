import { setTimeout as wait } from 'node:timers/promises';
import { canceled } from './abort.ts';

/** Between a half and the whole of a time, by chance, so that those that met do not meet again. */
export function aboutMs(longestMs: number): number {
  return longestMs * (0.5 + Math.random() / 2);
}

/** Waits for about so long; throws `canceled` when the signal aborts. */
export async function pauseAbout(longestMs: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await wait(aboutMs(longestMs), undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    if (signal?.aborted === true) throw canceled(signal);
    throw error;
  }
}
