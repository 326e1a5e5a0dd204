import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RawRow } from '../../../src/cluster/node-connection.ts';
import { mergeComplete } from '../../../src/execute/merge/merge-complete.ts';
import { runMerge } from '../../../src/execute/merge/run-merge.ts';
import type { MergePlan, RowCount } from '../../../src/plan/merge-plan.ts';
import { collect, gather, mergeBothWays, noResidual, sortKey } from './merging.ts';
import { TrackedStream } from './tracked-stream.ts';

interface Counts {
  readonly limit?: RowCount;
  readonly offset?: RowCount;
  readonly withTies?: boolean;
}

function limited({ limit, offset, withTies = false }: Counts): MergePlan {
  return { kind: 'limit', input: gather, limit, offset, ties: withTies ? [sortKey(0)] : undefined };
}

const constant = (rows: number | null): RowCount => ({ kind: 'constant', rows });
const parameter = (number: number): RowCount => ({ kind: 'parameter', number });
const tenRows: readonly RawRow[] = Array.from({ length: 10 }, (_, i) => [String(i)]);

test('OFFSET and LIMIT cut a slice out of any batches', async () => {
  const count = fc.option(fc.integer({ min: 0, max: 12 }));
  await fc.assert(
    fc.asyncProperty(count, count, fc.integer({ min: 1, max: 11 }), async (limit, offset, batchRows) => {
      const rows = await mergeBothWays(limited({ limit: constant(limit), offset: constant(offset) }), [tenRows], { batchRows });
      expect(rows).toEqual(tenRows.slice(offset ?? 0, (offset ?? 0) + (limit ?? 10)));
    }),
    { numRuns: 300 },
  );
});

test('WITH TIES goes on while rows equal the last one', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 12 }), fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 4 }), fc.integer({ min: 1, max: 5 }),
      async (keys, limit, offset, batchRows) => {
        const rows: RawRow[] = keys.toSorted((a, b) => a - b).map((key, i) => [String(key), String(i)]);
        const last = limit === 0 ? undefined : rows[Math.min(offset + limit, rows.length) - 1]?.[0];
        const expected = rows.filter(([key], i) => i >= offset && (i < offset + limit || (key === last && offset < rows.length)));
        const plan = limited({ limit: constant(limit), offset: constant(offset), withTies: true });
        expect(await mergeBothWays(plan, [rows], { batchRows })).toEqual(expected);
      },
    ),
    { numRuns: 500 },
  );
});

test.each([
  [3, 3], [3n, 3], ['3', 3], [' +3 ', 3], [null, 10], [undefined, 10], ['9223372036854775807', 10], [0, 0], ['-0', 0],
])('parameter %s lets %i of ten rows through', (value, rows) => {
  expect(mergeComplete(limited({ limit: parameter(2) }), [tenRows], ['unused', value])).toHaveLength(rows);
  const offset = value === null || value === undefined ? 0 : Math.min(rows, 10);
  expect(mergeComplete(limited({ offset: parameter(1) }), [tenRows], [value])).toEqual(tenRows.slice(offset));
});

test.each<readonly [RowCount, unknown, string, string]>([
  [constant(-1), null, 'LIMIT must not be negative', '2201W'],
  [parameter(1), -1, 'LIMIT must not be negative', '2201W'],
  [parameter(1), '-9223372036854775808', 'LIMIT must not be negative', '2201W'],
  [parameter(1), 1.5, 'invalid input syntax for type bigint: "1.5"', '22P02'],
  [parameter(1), '', 'invalid input syntax for type bigint: ""', '22P02'],
  [parameter(1), true, 'invalid input syntax for type bigint: "true"', '22P02'],
  [parameter(1), 2n ** 63n, 'value "9223372036854775808" is out of range for type bigint', '22003'],
])('LIMIT %o of %s is refused as PostgreSQL does', async (limit, value, message, code) => {
  const stream = new TrackedStream({ rows: tenRows, batchRows: 1 });
  const rows = runMerge(limited({ limit }), { streams: [stream], residual: noResidual, values: [value] });
  await expect(collect(rows)).rejects.toMatchObject({ message, code });
  expect(stream).toMatchObject({ state: 'closed', pulls: 0 });
  expect(() => mergeComplete(limited({ limit }), [tenRows], [value])).toThrow(message);
});

test('of a bad LIMIT and a bad OFFSET the OFFSET is reported', () => {
  const plan = limited({ limit: constant(-1), offset: constant(-2) });
  expect(() => mergeComplete(plan, [tenRows], [])).toThrow(expect.objectContaining({ message: 'OFFSET must not be negative', code: '2201X' }));
});

test('nothing is pulled once there is enough', async () => {
  const stream = new TrackedStream({ rows: tenRows, batchRows: 2 });
  const rows = runMerge(limited({ limit: constant(2), offset: constant(1) }), { streams: [stream], residual: noResidual, values: [] });
  expect(await collect(rows)).toEqual([['1'], ['2']]);
  // Two batches were needed; the third was asked for when the second came.
  expect(stream).toMatchObject({ state: 'closed', pulls: 3, returns: 1 });
});

test('LIMIT 0 reads nothing, and evaluates nothing below', async () => {
  const stream = new TrackedStream({ rows: [['9223372036854775807'], ['1']], batchRows: 1 });
  const sum: MergePlan = { kind: 'combine_aggregates', input: gather, groupTypes: [], combines: [{ kind: 'sum', column: 0, typeOid: 20, zero: false }] };
  const plan: MergePlan = { kind: 'limit', input: sum, limit: constant(0), offset: undefined, ties: undefined };
  expect(await collect(runMerge(plan, { streams: [stream], residual: noResidual, values: [] }))).toEqual([]);
  expect(stream).toMatchObject({ state: 'closed', pulls: 0 });
});
