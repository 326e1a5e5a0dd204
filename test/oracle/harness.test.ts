import { describe, expect, test } from 'vitest';
import { readSections } from './all-cases.ts';
import { openCell } from './cell.ts';
import { describeCell } from './describe-cell.ts';
import { FakeCluster } from './fake-cluster.ts';
import { compareOutcomes } from './compare-outcomes.ts';
import { compareRows } from './compare-rows.ts';
import { runRaw } from './outcome.ts';
import type { Failure, Outcome, Rows } from './outcome.ts';

// One plain PostgreSQL in the cluster's place: whatever differs is the harness's or a case's fault.
describeCell({ major: 18, nodes: 0, shardCount: 1, share: { every: 1, offset: 0 } }, (options) => new FakeCluster(options));
describeCell({ major: 15, nodes: 0, shardCount: 1, share: { every: 3, offset: 0 } }, (options) => new FakeCluster(options));

// Two equal errors agree: a slip of the pen in a case would pass for a success.
test('PostgreSQL answers every case that is not meant to fail', async () => {
  await using open = await openCell({ major: 18, nodes: 0, shardCount: 1, share: { every: 1, offset: 0 } }, (options) => new FakeCluster(options));
  const list = sectionsThatAnswer.flatMap((section) => readSections[section] ?? []);
  const failing: string[] = [];
  for (const { sql, values } of list) {
    const outcome = await runRaw(open.pair.plain, open.pair.plainNames, sql, values);
    if (outcome.kind === 'failed') failing.push(`${sql}: ${outcome.failure.message}`);
  }
  expect(failing).toEqual([]);
});

const sectionsThatAnswer = ['router', 'pushdown', 'aggregates', 'grouping', 'sorting', 'sorting by type', 'columns', 'expressions'];

describe('compareRows', () => {
  const rows = [['1', 'a'], ['2', 'b'], ['2', 'c']];
  test.each([
    ['a missing row', rows.slice(1), {}],
    ['a row twice', [...rows, ['1', 'a']], {}],
    ['another multiplicity', [['1', 'a'], ['1', 'a'], ['2', 'b']], {}],
    ['another value', [['1', 'a'], ['2', 'b'], ['2', 'd']], {}],
    ['NULL for a text', [['1', 'a'], ['2', 'b'], ['2', null]], {}],
    ['a column too few', [['1'], ['2'], ['2']], {}],
    ['another order', [rows[1] ?? [], rows[0] ?? [], rows[2] ?? []], { order: 'total' as const }],
    ['keys out of order', [rows[1] ?? [], rows[0] ?? [], rows[2] ?? []], { order: [0] }],
    ['keys out of order though rows are free', [['2', 'x'], ['1', 'y'], ['2', 'z']], { order: [0], choosesFreely: true }],
    ['a float too far', [['1.000001', 'a'], ['2', 'b'], ['2', 'c']], { floats: [0] }],
    ['NaN for a float', [['NaN', 'a'], ['2', 'b'], ['2', 'c']], { floats: [0] }],
    ['NULL where a volatile value was', [[null, 'a'], ['2', 'b'], ['2', 'c']], { volatile: [0] }],
  ])('finds %s', (_, actual, rules) => {
    expect(compareRows(rows, actual, rules)).not.toEqual([]);
  });
  test.each([
    ['ties in another order', [rows[0] ?? [], rows[2] ?? [], rows[1] ?? []], { order: [0] }],
    ['any order', [...rows].reverse(), {}],
    ['near floats', [['2.0000000000000004', 'c'], ['1', 'a'], ['2', 'b']], { floats: [0] }],
    ['volatile values', [['7', 'a'], ['8', 'b'], ['9', 'c']], { volatile: [0] }],
    ['other rows where the choice is free', [['1', 'x'], ['2', 'y'], ['2', 'z']], { order: [0], choosesFreely: true }],
  ])('allows %s', (_, actual, rules) => {
    expect(compareRows(rows, actual, rules)).toEqual([]);
  });
});

describe('compareOutcomes', () => {
  const column = { name: 'a', type: 'int4', modifier: -1, size: 4, origin: 't.1' };
  const result: Rows = { columns: [column], rows: [['1']], rowCount: 1, command: 'SELECT' };
  const answered = (change: Partial<Rows>): Outcome => ({ kind: 'answered', results: [{ ...result, ...change }] });
  const fields = { detail: '', hint: '', position: '8', schema: '', table: 'orders', column: '', constraint: 'orders_pkey', dataType: '' };
  const failed = (change: Partial<Failure>): Outcome => ({ kind: 'failed', failure: { code: '23505', message: 'duplicate', fields, number: undefined, ...change } });

  test('equal outcomes have no differences', () => {
    expect(kinds(answered({}), answered({}))).toEqual([]);
    expect(kinds(failed({}), failed({}))).toEqual([]);
  });
  test.each<[string, Outcome, Outcome, string[]]>([
    ['rows', answered({}), answered({ rows: [['2']] }), ['rows']],
    ['the command', answered({}), answered({ command: 'INSERT' }), ['shape']],
    ['rowCount', answered({}), answered({ rowCount: null }), ['shape']],
    ['a column name', answered({}), answered({ columns: [{ ...column, name: 'b' }] }), ['shape', 'descriptor']],
    ['a type', answered({}), answered({ columns: [{ ...column, type: 'int8' }] }), ['shape']],
    ['a modifier', answered({}), answered({ columns: [{ ...column, modifier: 5 }] }), ['descriptor']],
    ['the number of results', answered({}), { kind: 'answered', results: [] }, ['rows']],
    ['an error instead of rows', answered({}), failed({}), ['error']],
    ['rows instead of an error', failed({}), answered({}), ['error']],
    ['the SQLSTATE', failed({}), failed({ code: '23503' }), ['error']],
    ['the message', failed({}), failed({ message: 'other' }), ['error']],
    ['a field', failed({}), failed({ fields: { ...fields, position: '' } }), ['error']],
    ['a shard in a field', failed({}), failed({ fields: { ...fields, constraint: 'orders_pkey_102008' } }), ['leak', 'error']],
    ['a refusal', answered({}), failed({ code: '0A000', number: 'SW001' }), ['refused']],
    ["PostgreSQL's own 0A000 for rows", answered({}), failed({ code: '0A000' }), ['error']],
  ])('finds %s', (_, expected, actual, want) => {
    expect(kinds(expected, actual)).toEqual(want);
  });
  test('a refusal may be allowed', () => {
    expect(kinds(answered({}), failed({ code: '0A000', number: 'SW001' }), true)).toEqual([]);
  });
});

function kinds(expected: Outcome, actual: Outcome, refused = false): string[] {
  return compareOutcomes(expected, actual, { sql: '', refused }).map(({ kind }) => kind);
}
