import { expect, test } from 'vitest';
import { nodeId } from '../../src/catalog/ids.ts';
import type { ChangeFeed } from '../../src/move/change-feed.ts';
import { defaultMoveLimits } from '../../src/move/move-context.ts';
import { settle } from '../../src/move/steps/catch-up.ts';

/** How often changes are drained whose round trips take so long, before the cut-over may begin. The last one goes on for ever, up to a hundred times. */
async function rounds(lags: readonly number[]): Promise<number> {
  const stopping = new AbortController();
  let drains = 0;
  const drain = (): Promise<number> => {
    drains += 1;
    if (drains === 100) stopping.abort();
    return Promise.resolve(lags[Math.min(drains, lags.length) - 1] ?? 0);
  };
  const feed = { drain, changesApplied: 0 } as unknown as ChangeFeed;
  await settle({ report: () => undefined, signal: stopping.signal, limits: defaultMoveLimits }, new Map([[nodeId(1), feed]])).catch(() => undefined);
  return drains;
}

test.each([
  ['little is left', [250], 1],
  ['less is left each time', [60_000, 20_000, 6_000, 2_000, 600, 200], 6],
  ['it becomes no less: the servers are as slow as that', [2_226], 8],
  ['it becomes more, and ever more: changes come faster than they go', Array.from({ length: 100 }, (_, i) => 500 * 1.4 ** i), 100],
] as const)('%s', async (_, lags, expected) => {
  expect(await rounds(lags)).toBe(expected);
});
