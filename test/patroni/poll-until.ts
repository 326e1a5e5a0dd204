import { setTimeout as delay } from 'node:timers/promises';

export interface PollOptions {
  readonly everyMs?: number;
  /** After so long it fails, naming what was waited for. */
  readonly limitMs?: number;
}

export async function pollUntil(what: string, isSo: () => Promise<boolean> | boolean, { everyMs = 100, limitMs = 120_000 }: PollOptions = {}): Promise<void> {
  const deadlineMs = performance.now() + limitMs;
  while (!(await isSo())) {
    if (performance.now() > deadlineMs) throw new Error(`${what}: not within ${limitMs} ms`);
    await delay(everyMs);
  }
}
