import { expect, test } from 'vitest';
import { isOver, isUndoable, moveStates, nextState, type MoveState } from '../../src/move/move-state.ts';

const working = moveStates.filter((state) => !isOver(state));

test('a move that succeeds goes through every state but those of the way back, once and in order', () => {
  const way: MoveState[] = [];
  for (let state: MoveState = 'preflight'; ; state = nextState(state, 'succeeded')) {
    way.push(state);
    if (isOver(state)) break;
  }
  expect(way).toEqual(['preflight', 'register', 'create', 'copy', 'index', 'catch_up', 'verify', 'cut_over', 'constrain', 'retain', 'clean_up', 'done']);
});

test('up to the cut-over a failure leads back, behind it nowhere', () => {
  const back = working.map((state) => `${state} → ${nextState(state, 'failed')}`);
  expect(back).toEqual([
    'preflight → undone', 'register → undo', 'create → undo', 'copy → undo', 'index → undo', 'catch_up → undo', 'verify → undo', 'cut_over → undo',
    'constrain → constrain', 'retain → retain', 'clean_up → clean_up', 'undo → undo',
  ]);
  expect(working.filter((state) => isUndoable(state))).toEqual(['preflight', 'register', 'create', 'copy', 'index', 'catch_up', 'verify', 'cut_over']);
});

test('a failover leads back to where the copy begins, as long as it matters', () => {
  expect(working.filter((state) => nextState(state, 'replaced') !== state).map((state) => `${state} → ${nextState(state, 'replaced')}`)).toEqual([
    'copy → create', 'index → create', 'catch_up → create', 'verify → create', 'cut_over → create',
  ]);
});
