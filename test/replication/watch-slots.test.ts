import { expect, test } from 'vitest';
import { judgeSlot } from '../../src/replication/watch-slots.ts';

const good = { node: 'n', status: 'reserved', retainedBytes: 1_000 };

test.each([
  ['as it should be', good, {}, undefined],
  ['not made yet', { ...good, status: null }, { isMade: false }, undefined],
  ['gone', { ...good, status: null }, {}, /slot on node n is gone/],
  ['lost', { ...good, status: 'lost' }, { isMade: false }, /slot on node n is lost/],
  ['in danger, which is not over', { ...good, status: 'unreserved' }, {}, undefined],
  ['at its limit', good, { maxRetainedBytes: 1_000 }, undefined],
  ['over its limit', { ...good, retainedBytes: 3 * 1024 ** 2 }, { maxRetainedBytes: 1_048_576 }, /node n keeps 3.00 MB of its log/],
])('a slot that is %s', (_, slot, limits, message) => {
  const error = judgeSlot(slot, { maxRetainedBytes: undefined, isMade: true, owner: { error: 'moveUndone', name: 'the move', remedy: 'Start the move again' }, ...limits });
  if (message === undefined) expect(error).toBeUndefined();
  else expect(error).toMatchObject({ id: 'moveUndone', message: expect.stringMatching(message) as string, hint: expect.any(String) as string });
});
