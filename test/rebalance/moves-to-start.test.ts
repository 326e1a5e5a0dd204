import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { nodeId } from '../../src/catalog/ids.ts';
import { movesToStart, type ScheduledMove } from '../../src/rebalance/moves-to-start.ts';

const node = fc.integer({ min: 1, max: 4 }).map(nodeId);
const moves = fc.array(fc.record({ from: node, to: node }).filter(({ from, to }) => from !== to), { maxLength: 30 });
const limits = fc.record({ parallel: fc.integer({ min: 1, max: 6 }), parallelPerNode: fc.integer({ min: 1, max: 3 }) });

test('all moves are made, never more at once than the limits say, and none waits for nothing', () => {
  fc.assert(fc.property(moves, limits, fc.infiniteStream(fc.nat()), (wishes, limit, chance) => {
    const states = wishes.map((move): { -readonly [Key in keyof ScheduledMove]: ScheduledMove[Key] } => ({ ...move, state: 'waiting' }));
    for (;;) {
      const started = movesToStart(states, limit);
      for (const place of started) {
        const move = states[place];
        expect(move?.state).toBe('waiting');
        if (move !== undefined) move.state = 'running';
      }
      const running = states.filter(({ state }) => state === 'running');
      expect(running.length).toBeLessThanOrEqual(limit.parallel);
      for (const one of [1, 2, 3, 4].map(nodeId)) {
        expect(running.filter(({ from }) => from === one).length).toBeLessThanOrEqual(limit.parallelPerNode);
        expect(running.filter(({ to }) => to === one).length).toBeLessThanOrEqual(limit.parallelPerNode);
      }
      expect(movesToStart(states, limit)).toEqual([]);
      const [done] = running.length === 0 ? [] : running.slice(chance.next().value % running.length);
      if (done === undefined) break;
      done.state = 'over';
    }
    expect(states.every(({ state }) => state === 'over')).toBe(true);
  }));
});
