import { expect, test } from 'vitest';
import type { RawRow } from '../../../src/cluster/node-connection.ts';
import { runMerge } from '../../../src/execute/merge/run-merge.ts';
import type { MergePlan } from '../../../src/plan/merge-plan.ts';
import { collect, gather, noResidual, sortKey } from './merging.ts';
import { TrackedStream } from './tracked-stream.ts';

const merge: MergePlan = { kind: 'merge_sorted', keys: [sortKey(0)] };
const above = (input: MergePlan): MergePlan => ({ kind: 'project', columns: [0], input: { kind: 'distinct', input, columnTypes: [20] } });
const residual = (input: MergePlan): MergePlan => ({ kind: 'residual', input, residual: { before: '', after: '', parameters: [], columns: [] } });
const plans: readonly (readonly [string, MergePlan])[] = [
  ['gather', gather], ['merge_sorted', merge], ['stages', above(merge)], ['residual', above(residual(gather))],
];
const broken = new Error('broken');

async function* unchanged(_: unknown, rows: AsyncIterable<readonly RawRow[]>): AsyncGenerator<readonly RawRow[]> {
  yield* rows;
}

function streamsOf(count: number): TrackedStream[] {
  return Array.from({ length: count }, (_, i) => new TrackedStream({ rows: [[String(i)], [String(i + 10)]], batchRows: 1 }));
}

function run(plan: MergePlan, streams: readonly TrackedStream[]): ReturnType<typeof runMerge> {
  return runMerge(plan, { streams, residual: unchanged, values: [], batchRows: 1 });
}

test.each(plans)('%s: leaving the loop closes all streams', async (_, plan) => {
  const streams = streamsOf(3);
  for await (const batch of run(plan, streams)) {
    expect(batch).toHaveLength(1);
    break;
  }
  expect(streams.map(({ returns }) => returns)).toEqual([1, 1, 1]);
});

test.each(plans)('%s: closes streams that were never read', async (_, plan) => {
  const streams = streamsOf(3);
  const rows = run(plan, streams);
  await rows.return();
  expect(streams.map(({ state, pulls }) => [state, pulls])).toEqual([['closed', 0], ['closed', 0], ['closed', 0]]);
  expect(await rows.next()).toEqual({ done: true, value: undefined });
});

test.each(plans)('%s: streams that ended are not closed again', async (_, plan) => {
  const streams = streamsOf(3);
  expect(await collect(run(plan, streams))).toHaveLength(6);
  expect(streams.map(({ state, returns }) => [state, returns])).toEqual([['ended', 0], ['ended', 0], ['ended', 0]]);
});

test.each(plans)('%s: a failure is thrown when the others are closed', async (_, plan) => {
  for (const rows of [[], [['0'], ['1']]]) {
    const failing = new TrackedStream({ rows, batchRows: 1, ending: { kind: 'throw', error: broken } });
    const silent = new TrackedStream({ rows: [['2']], batchRows: 1, ending: { kind: 'silence' } });
    const [other = failing] = streamsOf(1);
    await expect(collect(run(plan, [silent, failing, other]))).rejects.toBe(broken);
    expect([failing.returns, silent.returns]).toEqual([0, 1]);
    expect(other.state === 'closed' || other.state === 'ended').toBe(true);
  }
});

test.each(plans)('%s: return interrupts a pending next', async (_, plan) => {
  const silent = new TrackedStream({ rows: [], batchRows: 1, ending: { kind: 'silence' } });
  const rows = run(plan, [silent]);
  const pending = rows.next();
  await new Promise(setImmediate);
  await rows.return();
  expect(await pending).toEqual({ done: true, value: undefined });
  expect(silent.state).toBe('closed');
});

test('throw closes and throws', async () => {
  const streams = streamsOf(2);
  const rows = run(merge, streams);
  await rows.next();
  await expect(rows.throw(broken)).rejects.toBe(broken);
  expect(streams.map(({ state }) => state)).toEqual(['closed', 'closed']);
});

test('an error of the merge itself closes the streams', async () => {
  const sum: MergePlan = { kind: 'combine_aggregates', input: gather, groupTypes: [], combines: [{ kind: 'sum', column: 0, typeOid: 1700, zero: false }] };
  const bad = new TrackedStream({ rows: [['not a number']], batchRows: 1 });
  const silent = new TrackedStream({ rows: [], batchRows: 1, ending: { kind: 'silence' } });
  await expect(collect(run(sum, [bad, silent]))).rejects.toThrow(SyntaxError);
  expect(silent.state).toBe('closed');
});

async function* failingResidual(): AsyncGenerator<readonly RawRow[]> {
  yield [['1']];
  throw broken;
}

async function* idleResidual(): AsyncGenerator<readonly RawRow[]> {
  yield [['1']];
}

test('a residual that fails closes the streams', async () => {
  const streams = streamsOf(2);
  await expect(collect(runMerge(residual(gather), { streams, residual: failingResidual, values: [] }))).rejects.toBe(broken);
  expect(streams.map(({ state }) => state)).toEqual(['closed', 'closed']);
});

test('a residual that does not read its rows to the end leaves no stream open', async () => {
  const streams = streamsOf(2);
  expect(await collect(runMerge(residual(gather), { streams, residual: idleResidual, values: [] }))).toEqual([['1']]);
  expect(streams.map(({ state }) => state)).toEqual(['closed', 'closed']);
});

test('leaving closes the residual, too', async () => {
  const output = new TrackedStream({ rows: [['1'], ['2']], batchRows: 1 });
  const rows = runMerge(residual(gather), { streams: streamsOf(1), residual: () => output, values: [] });
  await rows.next();
  await rows.return();
  expect(output.state).toBe('closed');
});

test('a stream that cannot be closed spoils nothing', async () => {
  const stream = new TrackedStream({ rows: [['1'], ['2']], batchRows: 1 });
  stream.return = () => Promise.reject(broken);
  const plan: MergePlan = { kind: 'limit', input: gather, limit: { kind: 'constant', rows: 1 }, offset: undefined, ties: undefined };
  expect(await collect(runMerge(plan, { streams: [stream], residual: noResidual, values: [] }))).toEqual([['1']]);
});

test('one batch of each stream is read ahead, no more', async () => {
  const streams = streamsOf(2);
  const rows = run(gather, streams);
  await rows.next();
  await new Promise(setImmediate);
  expect(streams.map(({ pulls }) => pulls)).toEqual([2, 1]);
  await rows.return();
});
