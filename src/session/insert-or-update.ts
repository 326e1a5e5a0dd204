import { setTimeout as wait } from 'node:timers/promises';
import type { QueryResult } from 'pg';
import { at, present } from '../base/assert.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { LookupChange } from '../execute/lookups/lookup-change.ts';
import { makeQueryResult, textTypes } from '../cluster/query-result.ts';
import { fieldsOf } from '../execute/fields.ts';
import { logicalText } from '../execute/logical-names.ts';
import { lookUp } from '../execute/lookups/look-up.ts';
import type { ResultOptions, StatementScope } from '../execute/statement-scope.ts';
import type { InsertPlan } from '../plan/insert/insert-plan.ts';
import type { UpsertPlan } from '../plan/lookups/upsert-plan.ts';
import { type Attempt, attempt, type Insert, isTaken, together, withRows, withSavepoints } from './insert-untaken.ts';
import { keepingLookups } from './keep-lookups.ts';
import type { PreparedPlan } from './planner.ts';

export interface UpsertSteps {
  readonly insert: Insert;
  /** The rows that are proposed, as texts. */
  readonly propose: Insert;
  run(prepared: PreparedPlan, values: readonly unknown[], scope: StatementScope, result: ResultOptions): Promise<QueryResult>;
}

interface Upserting {
  readonly plan: InsertPlan;
  readonly upsert: UpsertPlan;
  readonly prepared: PreparedPlan['upsert'];
  readonly values: readonly unknown[];
  readonly result: ResultOptions;
  readonly steps: UpsertSteps;
  readonly written: WrittenKeys;
}

/** Keys, with the distribution values of their rows, that the statement has written, as the lookup's changes have them: shared by all parts of it. */
export type WrittenKeys = Set<string>;

/** Values as servers send them. */
export const asTexts: Pick<ResultOptions, 'rowMode' | 'types'> = { rowMode: 'array', types: textTypes };

/**
 * INSERT … ON CONFLICT (…) where the conflict is in a unique lookup, which only tells when a row is there.
 *
 * 1. All rows at once are inserted behind a savepoint; where one of their keys is taken, that is undone, and each half tried by itself, the first before the second. 2. A single row whose key is taken is inserted once more, to see
 * what it would be, and that undone; so is one that a constraint of its own shard refuses, which may stand in front of the lookup's. 3. The lookup tells where the row is that has the key; it is locked there. 4. It is updated by a statement of its own, with what was proposed as its parameters. With DO NOTHING, the row is left out once its key is known to be taken. If it is gone meanwhile, or its insert has not reached its node yet, all of it is tried again.
 *
 * Errors: 21000 for a row that the statement has written itself; 40001 where the row that has the key cannot be seen, as in a transaction with one snapshot.
 */
export function insertOrUpdate(upserting: Upserting, scope: StatementScope): Promise<QueryResult> {
  return withSavepoints(scope, (own) => new Rows(upserting, own).write(0, upserting.plan.rows.length));
}

const triesMax = 12;
/** A row that its shard refuses may have been written by a transaction that has committed there, and not yet where the lookup has its key. */
const refusalsMax = 4;
const pauseMs = 5;

class Rows {
  readonly #note = (changes: readonly LookupChange[]): void => {
    const { upsert, written } = this.upserting;
    const own = changes.filter(({ lookup }) => lookup === upsert.lookup.id);
    for (const { gone } of own) written.delete(JSON.stringify(gone));
    for (const { came } of own) if (came !== undefined) written.add(JSON.stringify(came));
  };

  constructor(
    private readonly upserting: Upserting,
    private readonly scope: StatementScope,
  ) {}

  /** Rows from one place up to another. */
  async write(from: number, to: number): Promise<QueryResult> {
    const tried = await this.#insert(from, to);
    if (tried.isKept) return tried.result;
    if (to - from === 1) return this.upserting.prepared === undefined && isTaken(tried.error, this.upserting.plan) ? this.#nothing() : this.#update(from, tried.error);
    const middle = Math.ceil((from + to) / 2);
    const first = await this.write(from, middle);
    return together(first, await this.write(middle, to));
  }

  /** A shard that refuses a row may do so in front of the lookup. */
  #insert(from: number, to: number): Promise<Attempt> {
    const { plan, steps } = this.upserting;
    const isTaken = (error: unknown): boolean => sqlStateOf(error) === '23505';
    return attempt(to - from === plan.rows.length ? plan : withRows(plan, plan.rows.slice(from, to)), this.scope, { insert: steps.insert, isTaken, note: this.#note });
  }

  async #update(row: number, refusal: unknown): Promise<QueryResult> {
    const { upsert } = this.upserting;
    let error = refusal;
    for (let tries = 1; tries <= triesMax; tries += 1) {
      const proposed = await this.#proposed(row, error);
      const key = proposed.slice(0, upsert.lookup.columns.length);
      const distribution = await this.#distributionOf(key);
      if (distribution !== undefined && this.upserting.prepared === undefined) return this.#nothing();
      const locked = distribution === undefined ? undefined : await this.#locked([distribution, ...key]);
      if (locked !== undefined) return this.#updateLocked(locked, [distribution, ...proposed]);
      if (tries >= refusalsMax && !isTaken(error, this.upserting.plan)) throw error;
      await wait(pauseMs * tries, undefined, this.scope.signal === undefined ? {} : { signal: this.scope.signal });
      const again = await this.#insert(row, row + 1);
      if (again.isKept) return again.result;
      ({ error } = again);
    }
    throw notSeen();
  }

  #nothing(): QueryResult {
    const { upsert: { returned }, result } = this.upserting;
    return makeQueryResult({ command: 'INSERT', rowCount: 0, fields: fieldsOf(returned), rows: [], ...result });
  }

  async #updateLocked(locked: string, given: readonly unknown[]): Promise<QueryResult> {
    const { upsert, prepared, values, result, steps, written } = this.upserting;
    if (written.has(locked)) throw affectedTwice();
    written.add(locked);
    const all = [...given, ...present(upsert.taken).numbers.map((number) => values[number - 1])];
    const updated = await keepingLookups(this.scope, ({ scope }) => steps.run(present(prepared).update, all, scope, result), { note: this.#note });
    return { ...updated, command: 'INSERT' };
  }

  /** What the row would be, by triggers and defaults. Throws `error`, which it was refused with, where that cannot be told. */
  async #proposed(row: number, error: unknown): Promise<(string | null)[]> {
    const { plan, upsert, steps } = this.upserting;
    const telling = isTaken(error, plan) ? upsert.proposed : upsert.refused.get(logicalText(constraintOf(error), this.scope.snapshot));
    if (telling === undefined) throw error;
    const part = await this.scope.undoable();
    const { rows } = await steps.propose(withRows(telling, telling.rows.slice(row, row + 1)), this.scope);
    await part.undo();
    return at(rows as (string | null)[][], 0);
  }

  async #distributionOf(key: readonly (string | null)[]): Promise<string | undefined> {
    const { lookup } = this.upserting.upsert;
    const keys = lookup.columns.map((_, i) => ({ values: [{ kind: 'parameter' as const, number: i + 1 }], arrays: [] }));
    return (await lookUp(this.scope, { lookup, keys }, key))?.[0];
  }

  /** The row that has the key, as the lookup's changes would tell of it. */
  async #locked(found: readonly (string | null)[]): Promise<string | undefined> {
    const { prepared, steps } = this.upserting;
    const { rows } = await steps.run(present(prepared).lock, found, this.scope, asTexts);
    return rows.length === 0 ? undefined : JSON.stringify(rows[0]);
  }
}

/** As the shard calls it. */
function constraintOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'constraint' in error ? String(error.constraint) : '';
}

function affectedTwice(): ClusterError {
  return new ClusterError('invalidParameter', 'ON CONFLICT DO UPDATE command cannot affect row a second time', {
    sqlState: '21000', hint: 'Ensure that no rows proposed for insertion within the same command have duplicate constrained values.',
  });
}

function notSeen(): ClusterError {
  return new ClusterError('invalidParameter', 'could not serialize access due to concurrent update', { sqlState: '40001', detail: 'A row that has the key is not to be seen on its node.', hint: 'Begin the transaction again.' });
}
