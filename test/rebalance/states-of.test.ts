import { expect, test } from 'vitest';
import { nodeId, shardGroupId } from '../../src/catalog/ids.ts';
import { statesOf } from '../../src/rebalance/run-rebalance.ts';

test('how the moves of a rebalance are, by their jobs; one in a state of a newer version is under way', () => {
  const states = ['polish', 'copy', 'retain', 'done', 'undone'];
  const moves = [...states, 'refused', 'waiting'].map((_, i) => ({ group: shardGroupId(i + 1), shard: 102_008 + i, from: nodeId(1), to: nodeId(2), cost: 1 }));
  const rebalance = { id: '1', state: 'running', moves, failures: { 5: 'refused' }, options: {}, createdAt: new Date(0), finishedAt: undefined } as const;
  const begun = states.map((state, place) => ({ place, jobId: String(place), state, progress: {}, error: undefined }));
  expect(statesOf(rebalance, begun)).toEqual(['running', 'running', 'done', 'done', 'failed', 'failed', 'waiting']);
});
