import type { QueryResult } from 'pg';
import { at, present } from '../base/assert.ts';
import { sqlStateOf } from '../base/errors.ts';
import type { RawRow } from '../cluster/node-connection.ts';
import { makeQueryResult } from '../cluster/query-result.ts';
import { fieldsOf } from '../execute/fields.ts';
import { lookUpEach } from '../execute/lookups/look-up-each.ts';
import type { LookupChange } from '../execute/lookups/lookup-change.ts';
import type { StatementScope } from '../execute/statement-scope.ts';
import { placeValues } from '../execute/write/place-values.ts';
import { runBriefSpread, type WriteOutcome, type WriteTask } from '../execute/write/run-spread.ts';
import { partialValues } from '../plan/bind.ts';
import { attempt, withRows } from './insert-parts.ts';
import { keepingLookups } from './keep-lookups.ts';
import type { PreparedPlan } from './planner.ts';
import { proposedRows } from './proposed-rows.ts';
import { affectedNone, type Upserting } from './upserting.ts';

/** What a set of rows has come to. */
export interface WrittenSet {
  readonly result: QueryResult;
  /** What lookups have to do with the rows that were inserted. */
  readonly changes: readonly LookupChange[];
  /** The rows that were updated, as the lookup's changes would have them. */
  readonly updated: readonly string[];
}

/**
 * Writes rows of INSERT … ON CONFLICT that means a unique lookup, all at once. 1. They are inserted, to see what they would be, and that is undone. 2. The lookup is asked for all keys. 3. Each shard locks its rows whose keys are taken.
 * 4. Rows whose keys are free are inserted. 5. Each shard updates what it has locked. With DO NOTHING there is no 3. and no 5.
 *
 * Undefined, and nothing has happened, where it makes a difference which row comes first, or where others come between: a key that two rows have, that is taken or given up meanwhile, or whose row is the statement's own; a row that
 * its shard refuses; an update that changes keys, or what a shard compares rows by. Also where nothing is gained, since no key is taken.
 */
export async function writeSet(upserting: Upserting, places: readonly number[], scope: StatementScope): Promise<WrittenSet | undefined> {
  const { upsert, prepared } = upserting;
  if (prepared !== undefined && prepared.set === undefined) return undefined;
  const proposed = (await proposedRows({ plan: upserting.plan, telling: upsert, propose: upserting.steps.propose }, places, scope))?.rows;
  if (proposed === undefined) return undefined;
  const keys = proposed.map((row) => row.slice(0, upsert.lookup.columns.length));
  const found = await lookUpEach(scope, upsert.lookup, keys);
  const first = firstsOf(keys);
  const free = places.filter((_, i) => found[i] === undefined && first.has(i));
  if (prepared?.set === undefined) return insertFree(upserting, free, scope);
  if (first.size < keys.length || free.length === places.length) return undefined;
  const taken = places.flatMap((place, i): TakenRow[] => (found[i] === undefined ? [] : [{ place, values: [found[i], ...at(proposed, i)] }]));
  return new SetOfRows(upserting, prepared.set, scope).write(taken, free);
}

/** Which keys stand there for the first time; all that have a NULL do. A key that is equal, and written differently, is told by the lookup. */
function firstsOf(keys: readonly (readonly (string | null)[])[]): ReadonlySet<number> {
  const known = new Set<string>();
  const first = keys.flatMap((key, i) => {
    const text = JSON.stringify(key);
    if (known.has(text) && !key.includes(null)) return [];
    known.add(text);
    return [i];
  });
  return new Set(first);
}

async function insertFree(upserting: Upserting, free: readonly number[], scope: StatementScope): Promise<WrittenSet | undefined> {
  const { plan, steps } = upserting;
  if (free.length === 0) return { result: affectedNone(upserting), changes: [], updated: [] };
  const changes: LookupChange[] = [];
  const tried = await attempt(withRows(plan, free), scope, { insert: steps.insert, isTaken: isRefused, note: (noted) => changes.push(...noted) });
  return tried.isKept ? { result: tried.result, changes, updated: [] } : undefined;
}

function isRefused(error: unknown): boolean {
  return sqlStateOf(error) === '23505';
}

interface TakenRow {
  readonly place: number;
  /** The distribution value of the row that has the key, and then what was proposed. */
  readonly values: readonly (string | null)[];
}

interface UpdatedRow {
  readonly place: number;
  readonly key: string;
  readonly row: RawRow;
}

class SetOfRows {
  constructor(
    private readonly upserting: Upserting,
    private readonly steps: { readonly lock: PreparedPlan; readonly update: PreparedPlan },
    private readonly scope: StatementScope,
  ) {}

  async write(taken: readonly TakenRow[], free: readonly number[]): Promise<WrittenSet | undefined> {
    const part = await this.scope.undoable();
    try {
      const written = await this.#written(taken, free);
      await (written === undefined ? part.undo() : part.keep());
      return written;
    } catch (error) {
      if (!isRefused(error)) throw error;
      await part.undo();
      return undefined;
    }
  }

  async #written(taken: readonly TakenRow[], free: readonly number[]): Promise<WrittenSet | undefined> {
    const ordinals = await this.#ordinals(taken);
    const locked = await this.#locked(taken, ordinals);
    if (locked === undefined) return undefined;
    const changes: LookupChange[] = [];
    const inserted = await this.#insert(free, changes);
    const updated = await this.#update(taken, { ordinals, locked });
    return updated === undefined ? undefined : { result: this.#together({ free, inserted, updated }), changes, updated: updated.map(({ key }) => key) };
  }

  #ordinals(taken: readonly TakenRow[]): Promise<readonly number[]> {
    const { placer, table } = at(usesOf(this.steps.lock), 0);
    return placeValues(this.scope, { placer, table: present(table, 'distributed table') }, taken.map(({ values }) => values[0]));
  }

  /** By place: what others are compared by, and the row as the lookup's changes would tell of it. Undefined where one is not there any more, or is the statement's own, or the same for two keys. */
  async #locked(taken: readonly TakenRow[], ordinals: readonly number[]): Promise<ReadonlyMap<number, LockedRow> | undefined> {
    const width = 1 + this.upserting.upsert.lookup.columns.length;
    const { rows } = await this.#onShards(this.steps.lock, { rows: taken.map(({ place, values }) => ({ place, values: values.slice(0, width) })), ordinals, behind: [] });
    const locked = new Map(rows.map(([place, compared, ...key]) => [Number(place), { compared: compared ?? '', key: JSON.stringify(key) }]));
    const keys = new Set([...locked.values()].map(({ key }) => key));
    const isOwn = [...keys].some((key) => this.upserting.memory.written.has(key));
    return locked.size < taken.length || keys.size < locked.size || isOwn ? undefined : locked;
  }

  async #insert(free: readonly number[], changes: LookupChange[]): Promise<QueryResult> {
    const { plan, steps } = this.upserting;
    if (free.length === 0) return affectedNone(this.upserting);
    return keepingLookups(this.scope, ({ scope }) => steps.insert(withRows(plan, free), scope), { first: plan.skips, note: (noted) => changes.push(...noted) });
  }

  async #update(taken: readonly TakenRow[], { ordinals, locked }: { readonly ordinals: readonly number[]; readonly locked: ReadonlyMap<number, LockedRow> }): Promise<readonly UpdatedRow[] | undefined> {
    const { upsert, values } = this.upserting;
    let changesKeys = false;
    const behind = present(upsert.taken).numbers.map((number) => values[number - 1]);
    const { rows } = await keepingLookups(this.scope, ({ scope }) => this.#onShards(this.steps.update, { rows: taken, ordinals, behind }, scope), { note: () => { changesKeys = true; } });
    const updated = rows.map(([text, compared, ...row]) => ({ place: Number(text), compared, row }));
    if (changesKeys || updated.some(({ place, compared }) => locked.get(place)?.compared !== compared)) return undefined;
    return updated.map(({ place, row }) => ({ place, row, key: present(locked.get(place)).key }));
  }

  /** The statement on each shard that has some of the rows, with an array for each of their values, their places, and what comes behind. */
  #onShards(step: PreparedPlan, { rows, ordinals, behind }: { readonly rows: readonly TakenRow[]; readonly ordinals: readonly number[]; readonly behind: readonly unknown[] }, scope: StatementScope = this.scope): Promise<WriteOutcome> {
    const { group } = at(usesOf(step), 0).placer;
    const byOrdinal = new Map<number, TakenRow[]>();
    for (const [i, row] of rows.entries()) {
      const own = byOrdinal.get(at(ordinals, i));
      if (own === undefined) byOrdinal.set(at(ordinals, i), [row]);
      else own.push(row);
    }
    const tasks = [...byOrdinal].sort(([a], [b]) => a - b).map(([ordinal, own]): WriteTask => {
      const { id, node } = at(group.shardGroups, ordinal);
      this.upserting.steps.load.note(id, own.length);
      const arrays = at(own, 0).values.map((_, i) => own.map(({ values }) => values[i]));
      return { node, sql: present(step.texts).forOrdinal(ordinal), values: partialValues(planOf(step).whole, [...arrays, own.map(({ place }) => place), ...behind]) };
    });
    return runBriefSpread(scope, tasks);
  }

  /** In the order of the statement's rows. */
  #together({ free, inserted, updated }: { readonly free: readonly number[]; readonly inserted: QueryResult; readonly updated: readonly UpdatedRow[] }): QueryResult {
    const { upsert: { returned }, result } = this.upserting;
    const ordered = updated.toSorted((a, b) => a.place - b.place);
    const rowCount = (inserted.rowCount ?? 0) + updated.length;
    if (returned.length === 0) return { ...inserted, rowCount };
    const own = makeQueryResult({ command: 'INSERT', rowCount, fields: fieldsOf(returned), rows: ordered.map(({ row }) => row), ...result });
    const placed = [...(inserted.rows as unknown[]).map((row, i) => ({ place: at(free, i), row })), ...(own.rows as unknown[]).map((row, i) => ({ place: at(ordered, i).place, row }))];
    return { ...own, rows: placed.sort((a, b) => a.place - b.place).map(({ row }) => row as QueryResult['rows'][number]) };
  }
}

interface LockedRow {
  readonly compared: string;
  readonly key: string;
}

function planOf({ plan }: PreparedPlan) {
  return present(plan.kind === 'select' || plan.kind === 'modify' ? plan : undefined, 'a plan for a shard');
}

function usesOf(step: PreparedPlan) {
  return planOf(step).uses;
}
