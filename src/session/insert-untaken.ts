import type { QueryResult } from 'pg';
import { sqlStateOf } from '../base/errors.ts';
import { mayRunAgain, type StatementScope } from '../execute/statement-scope.ts';
import type { ComputedValue, InsertPlan, InsertRow } from '../plan/insert/insert-plan.ts';
import { keepingLookups } from './keep-lookups.ts';
import { SessionTransaction } from './session-transaction.ts';
import { TransactionScope } from './transaction-scope.ts';

type Insert = (plan: InsertPlan, scope: StatementScope) => Promise<QueryResult>;

/**
 * INSERT … ON CONFLICT DO NOTHING where the conflict may be in a unique lookup, which only tells when a row is there: all rows at once behind a savepoint; where one of their keys is taken, that is undone, and each half tried by itself, the
 * first before the second. So of rows with the same key the first is inserted, and few conflicts among many rows cost little.
 */
export function insertUntaken(plan: InsertPlan, scope: StatementScope, insert: Insert): Promise<QueryResult> {
  const { snapshot, signal, onNotice } = scope;
  return scope.atomically((transaction) => {
    // A transaction of the statement's own has no savepoints by itself.
    const own = transaction.undoable === undefined ? new SessionTransaction(transaction, []) : transaction;
    return insertRows(plan, new TransactionScope(own, { snapshot, signal, onNotice }), insert);
  }, mayRunAgain);
}

async function insertRows(plan: InsertPlan, scope: StatementScope, insert: Insert): Promise<QueryResult> {
  const { result, isKept } = await attempt(plan, scope, insert);
  if (isKept) return result;
  const { rows } = plan;
  if (rows.length === 1) return { ...result, rowCount: 0, rows: [] };
  const middle = Math.ceil(rows.length / 2);
  const first = await insertRows(withRows(plan, rows.slice(0, middle)), scope, insert);
  const second = await insertRows(withRows(plan, rows.slice(middle)), scope, insert);
  return { ...first, rowCount: (first.rowCount ?? 0) + (second.rowCount ?? 0), rows: [...(first.rows as unknown[]), ...(second.rows as unknown[])] };
}

/** `result` is what the shards have said, also where it was undone. */
async function attempt(plan: InsertPlan, scope: StatementScope, insert: Insert): Promise<{ readonly result: QueryResult; readonly isKept: boolean }> {
  const part = await scope.undoable();
  let result: QueryResult | undefined;
  try {
    result = await keepingLookups(scope, async ({ scope: own }) => {
      result = await insert(plan, own);
      return result;
    }, { first: plan.skips });
    await part.keep();
    return { result, isKept: true };
  } catch (error) {
    if (result === undefined || !isTaken(error, plan)) throw error;
    await part.undo();
    return { result, isKept: false };
  }
}

function isTaken(error: unknown, { skips = [], table }: InsertPlan): boolean {
  if (sqlStateOf(error) !== '23505' || !(error instanceof Error)) return false;
  const { constraint, schema } = error as { readonly constraint?: string; readonly schema?: string };
  return schema === table.schema && constraint !== undefined && skips.includes(constraint);
}

/** Some of the rows, and of what is computed only what they need. */
function withRows(plan: InsertPlan, rows: readonly InsertRow[]): InsertPlan {
  const needed = new Set([...rows.flatMap(computedIn), ...[...plan.head.parts, ...plan.tail.parts].flatMap((part) => (typeof part !== 'string' && part.kind === 'computed' ? [part.index] : []))]);
  const computed = plan.computed.map((value, i): ComputedValue => (needed.has(i) ? value : { kind: 'expression', sql: 'NULL' }));
  return { ...plan, rows, computed, arrays: undefined };
}

function computedIn({ template, distribution }: InsertRow): number[] {
  const inValues = template.parts.flatMap((part) => (typeof part !== 'string' && part.kind === 'computed' ? [part.index] : []));
  return distribution?.kind === 'computed' ? [...inValues, distribution.index] : inValues;
}
