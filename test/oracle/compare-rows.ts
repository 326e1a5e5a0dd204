import type { OracleCase } from './oracle-case.ts';
import type { RawValue } from './outcome.ts';

type Row = readonly RawValue[];
type RowRules = Pick<OracleCase, 'order' | 'choosesFreely' | 'floats' | 'volatile'>;

/** Sentences on how the rows differ; empty when they agree under the rules. Pure. */
export function compareRows(expected: readonly Row[], actual: readonly Row[], rules: RowRules): string[] {
  if (expected.length !== actual.length) return [`${actual.length} rows instead of ${expected.length}`, ...sampleOf(expected, actual, rules)];
  if (rules.order === 'total') return firstMismatch(expected, actual, rules);
  const keys = rules.order ?? [];
  const unordered = rules.choosesFreely === true ? [] : firstMismatch(sorted(expected, rules), sorted(actual, rules), rules);
  if (unordered.length > 0) return unordered;
  const keysOnly = (rows: readonly Row[]): Row[] => rows.map((row) => keys.map((key) => row[key] ?? null));
  const floats = keys.flatMap((key, index) => (rules.floats?.includes(key) === true ? [index] : []));
  return firstMismatch(keysOnly(expected), keysOnly(actual), { floats }).map((text) => `sort keys: ${text}`);
}

function firstMismatch(expected: readonly Row[], actual: readonly Row[], rules: RowRules): string[] {
  const index = expected.findIndex((row, at) => !sameRow(row, actual[at] ?? [], rules));
  return index < 0 ? [] : [`row ${index} is ${show(actual[index])} instead of ${show(expected[index])}`];
}

function sameRow(expected: Row, actual: Row, rules: RowRules): boolean {
  if (expected.length !== actual.length) return false;
  return expected.every((value, column) => {
    const other = actual[column] ?? null;
    if (rules.volatile?.includes(column) === true) return (value === null) === (other === null);
    return value === other || (rules.floats?.includes(column) === true && closeEnough(value, other));
  });
}

/** Equal within 1e-12 of the larger; NaN and infinities only equal themselves. */
function closeEnough(left: RawValue, right: RawValue): boolean {
  if (left === null || right === null) return false;
  const [a, b] = [Number(left), Number(right)];
  return Math.abs(a - b) <= 1e-12 * Math.max(Math.abs(a), Math.abs(b));
}

/** By the exact columns first, then by the floats' values, so that near-equal rows meet. */
function sorted(rows: readonly Row[], rules: RowRules): Row[] {
  const inexact = new Set([...(rules.floats ?? []), ...(rules.volatile ?? [])]);
  const keyed = rows.map((row) => ({ row, key: JSON.stringify(row.map((value, column) => (inexact.has(column) ? value === null : value))) }));
  return keyed
    .sort((left, right) => (left.key === right.key ? byFloats(left.row, right.row, rules.floats ?? []) : left.key < right.key ? -1 : 1))
    .map(({ row }) => row);
}

function byFloats(left: Row, right: Row, floats: readonly number[]): number {
  for (const column of floats) {
    const difference = Number(left[column] ?? 0) - Number(right[column] ?? 0);
    if (difference !== 0 && !Number.isNaN(difference)) return difference;
  }
  return 0;
}

/** A row that only one side has, to show what is missing or too much. */
function sampleOf(expected: readonly Row[], actual: readonly Row[], rules: RowRules): string[] {
  const missing = expected.find((row) => !actual.some((other) => sameRow(row, other, rules)));
  const surplus = actual.find((row) => !expected.some((other) => sameRow(other, row, rules)));
  return [
    ...(missing === undefined ? [] : [`missing ${show(missing)}`]),
    ...(surplus === undefined ? [] : [`surplus ${show(surplus)}`]),
  ];
}

function show(row: Row | undefined): string {
  const text = JSON.stringify(row ?? null);
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}
