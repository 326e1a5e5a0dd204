import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster } from '../../src/index.ts';
import { openCell } from '../oracle/cell.ts';
import type { OpenCell } from '../oracle/cell.ts';
import { runReads, runWrites } from '../oracle/run-section.ts';
import { misleading } from '../fuzz/wide/wide-hunting.ts';
import { readFinds, writeFinds } from './finds.ts';

// Batches of one row: a merge that goes wrong has nowhere to hide.
let open: OpenCell | undefined;
beforeAll(async () => {
  open = await openCell({ major: 18, nodes: 3, shardCount: 7, share: { every: 1, offset: 0 }, options: { tuning: { batchRows: 1 } } }, (options) => new Cluster(options));
});
afterAll(() => open?.[Symbol.asyncDispose]());

test('queries that once differed', async () => {
  if (open === undefined) throw new Error('the cell could not be loaded');
  expect((await runReads(open.pair, readFinds, open.share)).join('\n')).toBe('');
});

test('queries that once differed, where estimates of rows are wrong', async () => {
  const tuning = { adjustEstimate: misleading };
  await using misled = await openCell({ major: 18, nodes: 3, shardCount: 7, share: { every: 1, offset: 0 }, options: { tuning } }, (options) => new Cluster(options));
  expect((await runReads(misled.pair, readFinds, misled.share)).join('\n')).toBe('');
});

test('writes that once differed', async () => {
  if (open === undefined) throw new Error('the cell could not be loaded');
  expect((await runWrites(open.pair, writeFinds, open.share)).join('\n')).toBe('');
});
