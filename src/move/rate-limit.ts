import { setTimeout as delay } from 'node:timers/promises';

/** Lets so many bytes pass in a second. */
export interface RateLimit {
  /** Resolves when the bytes may pass; what comes at once is not held up by more than it is over the rate itself. */
  pass(bytes: number, signal?: AbortSignal): Promise<void>;
  /** From now on all may pass. */
  lift(): void;
}

interface Clock {
  /** Milliseconds that never go back. */
  now(): number;
  wait(ms: number, signal: AbortSignal | undefined): Promise<void>;
}

const realClock: Clock = { now: () => performance.now(), wait: (ms, signal) => delay(ms, undefined, { signal }) };

/** So much may come at once after a time of quiet. */
const burstMs = 200;

/** A token bucket (Turner, 1986): it fills at the rate, up to what passes within `burstMs`, and may be overdrawn by one piece, which the next ones wait for. Undefined: no limit. */
export function rateLimit(bytesPerSecond: number | undefined, clock: Clock = realClock): RateLimit {
  if (bytesPerSecond === undefined) return { pass: () => Promise.resolve(), lift: () => undefined };
  const perMs = bytesPerSecond / 1_000;
  const full = perMs * burstMs;
  let tokens = full;
  let filledAt = clock.now();
  let isLifted = false;
  return {
    lift: () => (isLifted = true),
    async pass(bytes, signal) {
      if (isLifted) return;
      const now = clock.now();
      tokens = Math.min(full, tokens + (now - filledAt) * perMs) - bytes;
      filledAt = now;
      if (tokens < 0) await clock.wait(-tokens / perMs, signal);
    },
  };
}
