import type { QueryResult } from 'pg';
import { at, present } from '../base/assert.ts';
import { sqlStateOf } from '../base/errors.ts';
import { mayRunAgain, type StatementScope } from '../execute/statement-scope.ts';
import type { Following } from '../execute/lookups/follow-changes.ts';
import type { ComputedValue, InsertPlan, InsertRow } from '../plan/insert/insert-plan.ts';
import { keepingLookups } from './keep-lookups.ts';
import { SessionTransaction } from './session-transaction.ts';
import { TransactionScope } from './transaction-scope.ts';

export type Insert = (plan: InsertPlan, scope: StatementScope) => Promise<QueryResult>;

/** Runs a statement's work in the session's transaction, or in one of its own, which has no savepoints by itself. */
export function withSavepoints<T>(scope: StatementScope, work: (scope: StatementScope) => Promise<T>): Promise<T> {
  const { snapshot, signal, onNotice } = scope;
  return scope.atomically((transaction, _options, steady) => {
    const own = transaction.undoable === undefined ? new SessionTransaction(transaction, []) : transaction;
    return work(new TransactionScope(own, { snapshot, signal, onNotice }, { memoryOf: 'block', uniqueName: () => steady.uniqueName() }));
  }, mayRunAgain);
}

/** The results of two parts of an INSERT, as of one. */
export function together(first: QueryResult, second: QueryResult): QueryResult {
  return { ...first, rowCount: (first.rowCount ?? 0) + (second.rowCount ?? 0), rows: [...(first.rows as unknown[]), ...(second.rows as unknown[])] };
}

export type Attempt =
  | { readonly isKept: true; readonly result: QueryResult }
  /** `result` is what the shards have said, if they have taken the rows; all of it is undone. */
  | { readonly isKept: false; readonly result: QueryResult | undefined; readonly error: unknown };

export interface Attempting {
  readonly insert: Insert;
  /** Of an error, and of what the shards have said before: whether it is one that this is the attempt for. Any other is thrown. */
  readonly isTaken: (error: unknown, result: QueryResult | undefined) => boolean;
  readonly note?: Following['note'];
}

/** Inserts the rows, unless a key of theirs is taken: then nothing has happened. */
export async function attempt(plan: InsertPlan, scope: StatementScope, { insert, isTaken: isMeant, note }: Attempting): Promise<Attempt> {
  const part = await scope.undoable();
  let result: QueryResult | undefined;
  try {
    const kept = await keepingLookups(scope, async ({ scope: own }) => {
      result = await insert(plan, own);
      return result;
    }, { first: plan.skips, note });
    await part.keep();
    return { result: kept, isKept: true };
  } catch (error) {
    if (!isMeant(error, result)) throw error;
    await part.undo();
    return { result, isKept: false, error };
  }
}

export function isTaken(error: unknown, { skips = [], table }: InsertPlan): boolean {
  if (sqlStateOf(error) !== '23505' || !(error instanceof Error)) return false;
  const { constraint, schema } = error as { readonly constraint?: string; readonly schema?: string };
  return schema === table.schema && constraint !== undefined && skips.includes(constraint);
}

/** Some of the rows, by their places, in that order; and of what is computed only what they need. */
export function withRows(plan: InsertPlan, places: readonly number[]): InsertPlan {
  const rows = places.map((place) => at(plan.rows, place));
  const needed = new Set([...rows.flatMap(computedIn), ...[...plan.head.parts, ...plan.tail.parts].flatMap((part) => (typeof part !== 'string' && part.kind === 'computed' ? [part.index] : []))]);
  const computed = plan.computed.map((value, i): ComputedValue => (needed.has(i) ? value : { kind: 'expression', sql: 'NULL' }));
  return { ...plan, rows, computed, computedInOrder: plan.computedInOrder.filter((i) => needed.has(i)), arrays: plan.arrays === undefined ? undefined : { ...plan.arrays, rows: places.map((place) => at(present(plan.arrays).rows, place)) } };
}

/** Places from one up to another. */
export function placesFrom(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

function computedIn({ template, distribution }: InsertRow): number[] {
  const inValues = template.parts.flatMap((part) => (typeof part !== 'string' && part.kind === 'computed' ? [part.index] : []));
  return distribution?.kind === 'computed' ? [...inValues, distribution.index] : inValues;
}
