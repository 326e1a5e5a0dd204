import { refusedStatements } from './refused-statements.ts';
import { compareRows } from './compare-rows.ts';
import type { OracleCase } from './oracle-case.ts';
import type { ColumnShape, ErrorField, Failure, Outcome, Rows } from './outcome.ts';

/** From most to least serious. */
export const seriousness = ['rows', 'error', 'leak', 'shape', 'descriptor', 'refused'] as const;
export type Seriousness = (typeof seriousness)[number];

export interface Difference {
  readonly kind: Seriousness;
  readonly text: string;
}

/** What the cluster did otherwise than one plain PostgreSQL; empty when both agree. Pure. */
export function compareOutcomes(expected: Outcome, actual: Outcome, how: OracleCase): Difference[] {
  if (actual.kind === 'failed' && isRefusal(actual.failure)) return refusal(expected, actual.failure, how);
  if (expected.kind === 'failed' && actual.kind === 'failed') return compareFailures(expected.failure, actual.failure, how);
  if (expected.kind === 'failed') return [{ kind: 'error', text: `answered, but PostgreSQL fails: ${describe(expected)}` }];
  if (actual.kind === 'failed') return [{ kind: 'error', text: `failed: ${describe(actual)}` }];
  if (expected.results.length !== actual.results.length) {
    return [{ kind: 'rows', text: `${actual.results.length} results instead of ${expected.results.length}` }];
  }
  return expected.results.flatMap((result, index) => {
    const other = actual.results[index];
    return other === undefined ? [] : compareResults(result, other, how);
  });
}

/** A refusal at plan time, as opposed to an error of a server. */
export function isRefusal(failure: Failure): boolean {
  return failure.code === '0A000' && failure.number !== undefined;
}

function refusal(expected: Outcome, failure: Failure, how: OracleCase): Difference[] {
  if (how.refused === true || refusedStatements.has(how.sql)) return leaksOf(failure, how.sql);
  const instead = expected.kind === 'failed' ? ` instead of ${describe(expected)}` : '';
  return [{ kind: 'refused', text: `refused${instead}: ${failure.number ?? ''} ${failure.message}; ${failure.fields.detail}` }];
}

function compareResults(expected: Rows, actual: Rows, how: OracleCase): Difference[] {
  const differences: Difference[] = compareRows(expected.rows, actual.rows, how).map((text) => ({ kind: 'rows', text }));
  const shape = (what: string, want: unknown, got: unknown): void => {
    if (want !== got) differences.push({ kind: 'shape', text: `${what} is ${String(got)} instead of ${String(want)}` });
  };
  shape('command', expected.command, actual.command);
  shape('rowCount', expected.rowCount, actual.rowCount);
  shape('column names', namesOf(expected.columns), namesOf(actual.columns));
  shape('column types', expected.columns.map((column) => column.type).join(', '), actual.columns.map((column) => column.type).join(', '));
  const want = descriptorsOf(expected.columns);
  const got = descriptorsOf(actual.columns);
  if (want !== got) differences.push({ kind: 'descriptor', text: `descriptors are ${got} instead of ${want}` });
  return differences;
}

function compareFailures(expected: Failure, actual: Failure, how: OracleCase): Difference[] {
  const differences: Difference[] = [...leaksOf(actual, how.sql)];
  const check = (what: string, want: string, got: string): void => {
    if (want !== got) differences.push({ kind: 'error', text: `${what} is ${quote(got)} instead of ${quote(want)}` });
  };
  if (how.errorFields === 'none') return differences;
  check('SQLSTATE', expected.code, actual.code);
  if (how.errorFields === 'code') return differences;
  check('message', expected.message, actual.message);
  for (const field of comparedFields) check(field, withoutClock(expected.fields[field]), withoutClock(actual.fields[field]));
  return differences;
}

const comparedFields: readonly ErrorField[] = ['detail', 'hint', 'position', 'schema', 'table', 'column', 'constraint', 'dataType'];

/** Names of shards must never show, whatever the error, unless the caller wrote them. Ids start at 102008. */
function leaksOf(failure: Failure, sql: string): Difference[] {
  const texts = [failure.message, ...Object.values(failure.fields)];
  const leaky = texts.filter((text) => [...text.matchAll(/\w+_1\d{5}(?!\d)/gu)].some(([name]) => !sql.includes(name)));
  return leaky.map((text) => ({ kind: 'leak', text: `names a shard: ${quote(text)}` }));
}

/** A failing row is quoted with its `now()`. */
function withoutClock(text: string): string {
  return text.replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\+\d\d/gu, 'now');
}

function describe(outcome: Outcome & { kind: 'failed' }): string {
  const { code, message, number, fields } = outcome.failure;
  return `${code} ${number === undefined ? '' : `${number} `}${message}${fields.detail === '' ? '' : `; ${fields.detail}`}`;
}

const namesOf = (columns: readonly ColumnShape[]): string => columns.map((column) => column.name).join(', ');
const descriptorsOf = (columns: readonly ColumnShape[]): string =>
  columns.map((column) => `${column.name}(${column.modifier}, ${column.size}, ${column.origin})`).join(' ');
const quote = (text: string): string => JSON.stringify(text);
