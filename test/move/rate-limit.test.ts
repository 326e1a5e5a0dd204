import { expect, test } from 'vitest';
import { rateLimit } from '../../src/move/rate-limit.ts';

test('bytes pass at the rate, after a small burst, whatever the pieces', async () => {
  for (const piece of [100, 7_000, 65_536, 500_000]) {
    let now = 5;
    const limit = rateLimit(100_000, {
      now: () => now,
      wait: (ms) => {
        now += ms;
        return Promise.resolve();
      },
    });
    for (let sent = 0; sent < 1_000_000; sent += piece) await limit.pass(piece);
    expect(now - 5).toBeGreaterThanOrEqual(9_800 - 1);
    expect(now - 5).toBeLessThanOrEqual(9_800 + piece / 100);
    // What was not used for long does not add up.
    now += 3_600_000;
    const before = now;
    await limit.pass(100_000);
    expect(now - before).toBe(800);
  }
});

test('two that share a limit wait for each other; without one nobody waits; an abort ends the waiting', async () => {
  const waits: number[] = [];
  const limit = rateLimit(1_000, { now: () => 0, wait: (ms) => Promise.resolve(void waits.push(ms)) });
  await Promise.all([limit.pass(700), limit.pass(500)]);
  expect(waits).toEqual([500, 1_000]);
  await rateLimit(undefined).pass(1e15);
  await expect(rateLimit(1).pass(1_000, AbortSignal.timeout(1))).rejects.toMatchObject({ name: 'AbortError' });
});
