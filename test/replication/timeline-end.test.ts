import { expect, test } from 'vitest';
import { endOfTimeline, timelineSince } from '../../src/replication/timeline-end.ts';

const history = '1\t0/3000110\tno recovery target specified\n\n2\t0/5000A28\tno recovery target specified\n\n3\t1/2\tat restore point "x"\n';

test.each([[1, 0x3000110n], [2, 0x5000a28n], [3, 0x1_0000_0002n], [4, undefined]] as const)('timeline %i was left at its own end', (timeline, end) => {
  expect(endOfTimeline(history, timeline)).toBe(end);
});

test('what a later timeline has left out is not kept either', () => {
  // A restore to a moment within what the first one had written, after a failover.
  expect(endOfTimeline('1\t0/5000000\tx\n2\t0/4000000\ty\n', 1)).toBe(0x4000000n);
});

test('a server on the same timeline has lost nothing, one on an older or on another one does not descend from it', async () => {
  const server = (timeline: number) => ({ timeline: async () => timeline, timelineHistory: async () => history.split('\n\n').slice(1).join('\n') });
  expect(await timelineSince(server(3), 3)).toBeUndefined();
  expect(await timelineSince(server(3), 2)).toEqual({ timeline: 3, end: 0x5000a28n });
  expect(await timelineSince(server(2), 3)).toEqual({ timeline: 2, end: undefined });
  expect(await timelineSince(server(4), 1)).toEqual({ timeline: 4, end: undefined });
});
