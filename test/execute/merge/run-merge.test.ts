import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RawRow } from '../../../src/cluster/node-connection.ts';
import { mergeComplete } from '../../../src/execute/merge/merge-complete.ts';
import { runMerge } from '../../../src/execute/merge/run-merge.ts';
import type { MergePlan, SortKey } from '../../../src/plan/merge-plan.ts';
import { collect, gather, mergeBothWays, mergeStreams, noResidual, sortKey } from './merging.ts';
import { TrackedStream } from './tracked-stream.ts';

/** Few different values, so that ties and NULLs abound; some beyond 2^53, where doubles cannot tell neighbours. */
const bigints = ['-9223372036854775808', '-9007199254740993', '-9007199254740992', '-1', '0', '7', '10', '9007199254740992', '9007199254740993', '9223372036854775807', null];
const batchRows = fc.constantFrom(1, 2, 3, 256);
const direction = fc.record({ descending: fc.boolean(), nullsFirst: fc.boolean() });
/** Key, second key, and a third column that tells all rows apart. */
const rowSets = fc
  .array(fc.array(fc.tuple(fc.constantFrom(...bigints), fc.constantFrom('1', '2', null)), { maxLength: 12 }), { maxLength: 9 })
  .map((sets): RawRow[][] => sets.map((rows, set) => rows.map(([a, b], index) => [a, b, `${set}.${index}`])));

/** ORDER BY by the book: no ranks, no trees. */
function modelCompare(keys: readonly SortKey[]): (a: RawRow, b: RawRow) => number {
  return (a, b) => {
    for (const { column, descending, nullsFirst } of keys) {
      const [left, right] = [a[column] ?? null, b[column] ?? null];
      if (left === right) continue;
      if (left === null) return nullsFirst ? -1 : 1;
      if (right === null) return nullsFirst ? 1 : -1;
      return BigInt(left) < BigInt(right) === descending ? 1 : -1;
    }
    return 0;
  };
}

const keyLists = fc.tuple(direction, direction, fc.boolean()).map(([first, second, both]) => (both ? [sortKey(0, first), sortKey(1, second)] : [sortKey(0, first)]));

test('merged streams are their sorted concatenation, ties by stream', async () => {
  await fc.assert(
    fc.asyncProperty(rowSets, keyLists, batchRows, async (sets, keys, batch) => {
      const compare = modelCompare(keys);
      const streams = sets.map((rows) => rows.toSorted(compare));
      expect(await mergeBothWays({ kind: 'merge_sorted', keys }, streams, { batchRows: batch })).toEqual(streams.flat().toSorted(compare));
    }),
    { numRuns: 500 },
  );
});

test('sorted rows are those of a stable sort', () => {
  fc.assert(
    fc.property(rowSets, keyLists, (sets, keys) => {
      expect(mergeComplete({ kind: 'sort', input: gather, keys }, sets, [])).toEqual(sets.flat().toSorted(modelCompare(keys)));
    }),
  );
});

test('one stream is sorted alike in both forms', async () => {
  await fc.assert(
    fc.asyncProperty(rowSets, keyLists, batchRows, async (sets, keys, batch) => {
      const rows = sets.flat();
      expect(await mergeBothWays({ kind: 'sort', input: gather, keys }, [rows], { batchRows: batch })).toEqual(rows.toSorted(modelCompare(keys)));
    }),
  );
});

test('gathered rows are all rows, in order within a stream; complete ones also across streams', async () => {
  await fc.assert(
    fc.asyncProperty(rowSets, batchRows, async (sets, batch) => {
      const rows = await mergeStreams(gather, sets, { batchRows: batch });
      expect(sets.map((_, set) => rows.filter((row) => row[2]?.startsWith(`${set}.`)))).toEqual(sets);
      expect(mergeComplete(gather, sets, [])).toEqual(sets.flat());
    }),
  );
});

test('rows of a stream do not wait for a silent one', async () => {
  const quick = new TrackedStream({ rows: [['1'], ['2']], batchRows: 1 });
  const silent = new TrackedStream({ rows: [], batchRows: 1, ending: { kind: 'silence' } });
  const rows = runMerge(gather, { streams: [silent, quick], residual: noResidual, values: [] });
  expect([await rows.next(), await rows.next()]).toEqual([{ done: false, value: [['1']] }, { done: false, value: [['2']] }]);
  await rows.return();
  expect(silent.state).toBe('closed');
});

test('distinct rows are the first of equal ones', async () => {
  await fc.assert(
    fc.asyncProperty(rowSets, batchRows, async (sets, batch) => {
      const rows = sets.flat();
      const first = rows.filter((row, index) => rows.findIndex((other) => other[0] === row[0] && other[1] === row[1]) === index);
      expect(await mergeBothWays({ kind: 'distinct', input: gather, columnTypes: [20, 20] }, [rows], { batchRows: batch })).toEqual(first);
    }),
  );
});

function distinct(columnTypes: number[], rows: RawRow[]): unknown {
  return mergeComplete({ kind: 'distinct', input: gather, columnTypes }, [rows], []);
}

test('equality is that of the type, and column by column', () => {
  expect(distinct([1700], [['1.0'], ['1.00'], ['2'], [null], [null]])).toEqual([['1.0'], ['2'], [null]]);
  expect(distinct([701], [['-0'], ['0'], ['NaN'], ['NaN']])).toEqual([['-0'], ['NaN']]);
  const apart: RawRow[] = [['a', 'bc'], ['ab', 'c'], ['1:a', ''], ['', '1:a'], [null, '-'], ['-', null], ['', null], [null, '']];
  expect(distinct([25, 25], apart)).toEqual(apart);
  expect(distinct([25], [[''], [null], ['-']])).toEqual([[''], [null], ['-']]);
});

function project(columns: number[]): MergePlan {
  return { kind: 'project', input: gather, columns };
}

test('columns are picked, repeated and turned round', async () => {
  const sets = [[['a', null, 'c']], [['d', 'e', 'f']]];
  expect(await mergeBothWays(project([2, 0, 0]), sets)).toEqual([['c', 'a', 'a'], ['f', 'd', 'd']]);
  expect(await mergeBothWays(project([0, 1]), sets)).toEqual([['a', null], ['d', 'e']]);
  expect(await mergeBothWays(project([0, 1, 2]), sets)).toEqual(sets.flat());
  expect(await mergeBothWays(project([]), sets)).toEqual([[], []]);
});

test('infinities, NaN and NULL', async () => {
  const texts = ['-Infinity', '-1.5', '-0', '0', '1e-300', '2', 'Infinity', 'NaN', null];
  for (const typeOid of [700, 701, 1700]) {
    const values = typeOid === 1700 ? texts.filter((text) => text !== '-0' && text !== '1e-300') : texts;
    for (const descending of [false, true]) {
      const expected = descending ? values.toReversed() : values;
      const plan: MergePlan = { kind: 'merge_sorted', keys: [sortKey(0, { typeOid, descending, nullsFirst: descending })] };
      const rows = await mergeBothWays(plan, expected.map((text) => [[text]]).toReversed());
      // -0 and 0 are equal: ties come in order of the streams, which are turned round.
      const order = expected.includes('-0') ? expected.with(expected.indexOf('0'), '-0').with(expected.indexOf('-0'), '0') : expected;
      expect(rows.map(([text]) => text)).toEqual(order);
    }
  }
});

test('numerics too close for doubles', async () => {
  const values = ['0.1000000000000000000000000001', '0.1000000000000000000000000002', '9'.repeat(400), `${'9'.repeat(400)}.5`];
  const plan: MergePlan = { kind: 'merge_sorted', keys: [sortKey(0, { typeOid: 1700 })] };
  expect(await mergeBothWays(plan, values.map((text) => [[text]]).toReversed())).toEqual(values.map((text) => [text]));
});

test('text under collation C', async () => {
  const values = ['', 'A', 'a', 'ab', '\uffff', '\u{10000}'];
  const plan: MergePlan = { kind: 'merge_sorted', keys: [sortKey(0, { typeOid: 25 })] };
  expect(await mergeBothWays(plan, values.map((text) => [[text]]).toReversed())).toEqual(values.map((text) => [text]));
});

async function* doubled(_: unknown, rows: AsyncIterable<readonly RawRow[]>): AsyncGenerator<readonly RawRow[]> {
  for await (const batch of rows) yield batch.flatMap((row) => [row, row]);
}

test('a residual gets the rows below, its rows go on above', async () => {
  const plan: MergePlan = {
    kind: 'limit', limit: { kind: 'constant', rows: 3 }, offset: undefined, ties: undefined,
    input: { kind: 'residual', input: { kind: 'merge_sorted', keys: [sortKey(0)] }, residual: { before: 'SELECT', after: '', parameters: [], columns: [] } },
  };
  expect(await mergeStreams(plan, [[['1'], ['3']], [['2']]], { residual: doubled })).toEqual([['1'], ['1'], ['2']]);
  expect(mergeComplete(plan, [[['1']]], [])).toBeUndefined();
});

test('no streams at all', async () => {
  expect(await mergeBothWays(gather, [])).toEqual([]);
  expect(await mergeBothWays({ kind: 'merge_sorted', keys: [sortKey(0)] }, [])).toEqual([]);
});

test('what is held back until the end comes in batches', async () => {
  const rows = Array.from({ length: 10 }, (_, i) => [String(i)]);
  const stream = new TrackedStream({ rows, batchRows: 10 });
  const sizes: number[] = [];
  const merged = runMerge({ kind: 'sort', input: gather, keys: [sortKey(0)] }, { streams: [stream], residual: noResidual, values: [], batchRows: 4 });
  for await (const batch of merged) sizes.push(batch.length);
  expect(sizes).toEqual([4, 4, 2]);
  expect(await collect(merged)).toEqual([]);
});
