import { expect, test } from 'vitest';
import { runFeed } from './run-feed.ts';

test('a receiver that believes nothing, while shards move and split and servers fail over', async () => {
  const { objections, made, failovers, events, writes, openings } = await runFeed({ major: 18, nodes: 2 }, { seed: 1, seconds: 14 });
  expect(objections).toEqual([]);
  for (const some of [made.size, failovers, events, writes, openings]) expect(some).toBeGreaterThan(0);
}, 240_000);
