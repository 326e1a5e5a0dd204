import type { QueryResult, QueryResultRow } from 'pg';
import { differenceOf } from '../../bench/harness/same-rows.ts';
import { median } from '../../bench/harness/statistics.ts';
import type { Stop } from './stops.ts';

/** What both sides are asked through: a `pg.Pool`, or what stands in for one. */
export interface Queryable {
  query(text: string, values: unknown[]): Promise<QueryResult<QueryResultRow>>;
}

export interface Answer {
  /** Rows, or the error that the statement ended with. */
  readonly outcome: { readonly kind: 'rows'; readonly result: QueryResult<QueryResultRow> } | { readonly kind: 'error'; readonly code: string; readonly message: string };
  /** Median over the runs, milliseconds. */
  readonly elapsedMs: number;
}

const readRuns = 3;

/** Runs a stop's statement on one side: a write once, a read a few times after a first run that is not counted. */
export async function askSide(side: Queryable, stop: Stop): Promise<Answer> {
  const runs = stop.writes === true ? 1 : readRuns + 1;
  const timesMs: number[] = [];
  let outcome = await timedRun(side, stop, timesMs);
  for (let run = 1; run < runs && outcome.kind === 'rows'; run += 1) outcome = await timedRun(side, stop, timesMs);
  return { outcome, elapsedMs: median(timesMs.length > 1 ? timesMs.slice(1) : timesMs) };
}

async function timedRun(side: Queryable, stop: Stop, timesMs: number[]): Promise<Answer['outcome']> {
  const startedMs = performance.now();
  try {
    return { kind: 'rows', result: await side.query(stop.sql, [...stop.values]) };
  } catch (error) {
    return errorOutcome(error);
  } finally {
    timesMs.push(performance.now() - startedMs);
  }
}

function errorOutcome(error: unknown): Answer['outcome'] {
  if (!(error instanceof Error)) throw error;
  return { kind: 'error', code: 'code' in error ? String(error.code) : '', message: error.message };
}

/** Says in a sentence how the answers differ, if they do. Errors agree when their SQLSTATE and message do. */
export function compareAnswers(stop: Stop, plain: Answer, cluster: Answer): string | undefined {
  const [left, right] = [plain.outcome, cluster.outcome];
  const unexpected = [left, right].find((outcome) => outcome.kind === 'error' && outcome.code !== stop.fails);
  if (unexpected?.kind === 'error') return `${unexpected === left ? 'the plain server' : 'the cluster'} answers ${unexpected.code}: ${unexpected.message}`;
  if (left.kind === 'error' && right.kind === 'error') {
    return left.message === right.message ? undefined : `the errors differ: "${left.message}" and "${right.message}"`;
  }
  if (left.kind === 'error' || right.kind === 'error') return 'only one of the two fails';
  return differenceOf(left.result, right.result, { ordered: stop.ordered });
}
