import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { BackgroundWork, FailureCounter, soonAgain } from '../../src/base/background-work.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

/** Lets time pass, with the turns that are due. */
const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

test('what goes wrong is told the third time in a row, and once, until it has gone well', () => {
  const told: unknown[] = [];
  const failures = new FailureCounter((error) => told.push(error));
  for (const outcome of [1, 2, 'well', 3, 4, 5, 6, 7, 'well', 8, 9, 10]) {
    if (outcome === 'well') failures.succeeded();
    else failures.failed(outcome);
  }
  expect(told).toEqual([5, 10]);
});

test('work goes on after it has failed, and not after its end', async () => {
  const told: unknown[] = [];
  const turns: Error[] = [];
  const work = new BackgroundWork(1, (error) => told.push(error));
  work.start(() => {
    turns.push(new Error(`turn ${turns.length + 1}`));
    return Promise.reject(turns.at(-1));
  });
  while (turns.length < 6) await pass(1);
  await work.end();
  const until = turns.length;
  await pass(20);
  expect(turns).toHaveLength(until);
  expect(told).toEqual([new Error('turn 3')]);
});

test('what is asked for comes soon, and again while there is more to do; trouble meanwhile is no news', async () => {
  const told: unknown[] = [];
  const turns: true[] = [];
  const work = new BackgroundWork(10_000_000, (error) => told.push(error));
  work.hasten();
  work.start(() => {
    turns.push(true);
    if (turns.length < 4) return Promise.reject(new Error('not yet'));
    return Promise.resolve(turns.length < 6 ? soonAgain : undefined);
  });
  // Asked for before the start: nothing.
  await pass(300);
  expect(turns).toHaveLength(0);
  work.hasten();
  while (turns.length < 6) await pass(1);
  await pass(300);
  expect(turns).toHaveLength(6);
  work.hasten();
  while (turns.length < 7) await pass(1);
  await work.end();
  work.hasten();
  await pass(300);
  expect(turns).toHaveLength(7);
  expect(told).toEqual([]);
});

test('what is asked for during a turn has a turn of its own', async () => {
  const turns: true[] = [];
  const work = new BackgroundWork(10_000_000, () => undefined);
  work.start(async () => {
    turns.push(true);
    if (turns.length === 1) work.hasten();
    await new Promise((resolve) => setTimeout(resolve, 5));
  });
  work.hasten();
  while (turns.length < 2) await pass(1);
  // It waits for the second turn.
  await Promise.all([work.end(), pass(5)]);
});
