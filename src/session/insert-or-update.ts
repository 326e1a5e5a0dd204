import { setTimeout as wait } from 'node:timers/promises';
import type { QueryResult } from 'pg';
import { at, present } from '../base/assert.ts';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { LookupChange } from '../execute/lookups/lookup-change.ts';
import { textTypes } from '../cluster/query-result.ts';
import { lookUp } from '../execute/lookups/look-up.ts';
import type { ResultOptions, StatementScope } from '../execute/statement-scope.ts';
import { type Attempt, attempt, isTaken, placesFrom, together, withRows, withSavepoints } from './insert-parts.ts';
import { keepingLookups } from './keep-lookups.ts';
import { tellingPlan } from './proposed-rows.ts';
import { writeSet } from './upsert-set.ts';
import { affectedNone, type Upserting } from './upserting.ts';

/** Values as servers send them. */
export const asTexts: Pick<ResultOptions, 'rowMode' | 'types'> = { rowMode: 'array', types: textTypes };

/**
 * INSERT … ON CONFLICT (…) where the conflict is in a unique lookup, which only tells when a row is there.
 *
 * 1. All rows at once are inserted behind a savepoint. Where one of their keys is taken, that is undone, and what they come to is found out for all together (`writeSet`); where it cannot be, each half is tried by itself, the first before the second. 2. A single row whose key is taken is inserted once more, to see
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
    const { upsert, memory: { written } } = this.upserting;
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
    const { memory } = this.upserting;
    const isOne = to - from === 1;
    const began = !isOne && memory.expectsTaken;
    const set = began ? await this.#writeSet(from, to) : undefined;
    if (set !== undefined) return set;
    const tried = await this.#insert(from, to);
    memory.expectsTaken = !tried.isKept;
    if (tried.isKept) return tried.result;
    if (isOne) return this.upserting.prepared === undefined && isTaken(tried.error, this.upserting.plan) ? affectedNone(this.upserting) : this.#update(from, tried.error);
    return (began ? undefined : await this.#writeSet(from, to)) ?? this.#writeHalves(from, to);
  }

  async #writeSet(from: number, to: number): Promise<QueryResult | undefined> {
    const written = await writeSet(this.upserting, placesFrom(from, to), this.scope);
    if (written === undefined) return undefined;
    this.#note(written.changes);
    for (const key of written.updated) this.upserting.memory.written.add(key);
    return written.result;
  }

  async #writeHalves(from: number, to: number): Promise<QueryResult> {
    const middle = Math.ceil((from + to) / 2);
    const first = await this.write(from, middle);
    return together(first, await this.write(middle, to));
  }

  /** A shard that refuses a row may do so in front of the lookup. */
  #insert(from: number, to: number): Promise<Attempt> {
    const { plan, steps } = this.upserting;
    const isTaken = (error: unknown): boolean => sqlStateOf(error) === '23505';
    return attempt(to - from === plan.rows.length ? plan : withRows(plan, placesFrom(from, to)), this.scope, { insert: steps.insert, isTaken, note: this.#note });
  }

  async #update(row: number, refusal: unknown): Promise<QueryResult> {
    const { upsert } = this.upserting;
    let error = refusal;
    for (let tries = 1; tries <= triesMax; tries += 1) {
      const proposed = await this.#proposed(row, error);
      const key = proposed.slice(0, upsert.lookup.columns.length);
      const distribution = await this.#distributionOf(key);
      if (distribution !== undefined && this.upserting.prepared === undefined) return affectedNone(this.upserting);
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

  async #updateLocked(locked: string, given: readonly unknown[]): Promise<QueryResult> {
    const { upsert, prepared, values, result, steps, memory: { written } } = this.upserting;
    if (written.has(locked)) throw affectedTwice();
    written.add(locked);
    const all = [...given, ...present(upsert.taken).numbers.map((number) => values[number - 1])];
    const updated = await keepingLookups(this.scope, ({ scope }) => steps.run(present(prepared).update, all, scope, result), { note: this.#note });
    // What WHERE leaves as it is may be proposed again.
    if (updated.rowCount === 0) written.delete(locked);
    return { ...updated, command: 'INSERT' };
  }

  /** What the row would be, by triggers and defaults. Throws `error`, which it was refused with, where that cannot be told. */
  async #proposed(row: number, error: unknown): Promise<(string | null)[]> {
    const telling = tellingPlan({ plan: this.upserting.plan, telling: this.upserting.upsert }, error, this.scope);
    if (telling === undefined) throw error;
    const part = await this.scope.undoable();
    const { rows } = await this.upserting.steps.propose(withRows(telling, [row]), this.scope);
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

function affectedTwice(): ClusterError {
  return new ClusterError('invalidParameter', 'ON CONFLICT DO UPDATE command cannot affect row a second time', {
    sqlState: '21000', hint: 'Ensure that no rows proposed for insertion within the same command have duplicate constrained values.',
  });
}

function notSeen(): ClusterError {
  return new ClusterError('invalidParameter', 'could not serialize access due to concurrent update', { sqlState: '40001', detail: 'A row that has the key is not to be seen on its node.', hint: 'Begin the transaction again.' });
}
