import type { QueryResult } from 'pg';
import { at, present } from '../base/assert.ts';
import { sqlStateOf } from '../base/errors.ts';
import { lookUpEach } from '../execute/lookups/look-up-each.ts';
import type { StatementScope } from '../execute/statement-scope.ts';
import type { InsertPlan } from '../plan/insert/insert-plan.ts';
import type { UntakenPlan } from '../plan/lookups/untaken-plan.ts';
import { attempt, type Insert, isTaken, placesFrom, together, withRows, withSavepoints } from './insert-parts.ts';
import { proposedRows } from './proposed-rows.ts';

export interface UntakenSteps {
  readonly insert: Insert;
  /** The rows that are proposed, as texts. */
  readonly propose: Insert;
}

/**
 * INSERT … ON CONFLICT DO NOTHING where the conflict may be in a unique lookup, which only tells when a row is there: all rows at once behind a savepoint. Where one of their keys is taken, that is undone, and those whose keys are not
 * are inserted, once the lookups have told; where it cannot be told of all together, each half is tried by itself, the first before the second. So of rows with the same key the first is inserted.
 */
export function insertUntaken(plan: InsertPlan, scope: StatementScope, steps: UntakenSteps): Promise<QueryResult> {
  return withSavepoints(scope, (own) => insertRows(plan, own, steps));
}

async function insertRows(plan: InsertPlan, scope: StatementScope, steps: UntakenSteps): Promise<QueryResult> {
  const tried = await attempt(plan, scope, { insert: steps.insert, isTaken: (error, result) => result !== undefined && isTaken(error, plan) });
  if (tried.isKept) return tried.result;
  const { length } = plan.rows;
  if (length === 1) return { ...present(tried.result), rowCount: 0, rows: [] };
  const told = await insertTold(plan, scope, { steps, none: present(tried.result) });
  if (told !== undefined) return told;
  const middle = Math.ceil(length / 2);
  const first = await insertRows(partOf(plan, 0, middle), scope, steps);
  return together(first, await insertRows(partOf(plan, middle, length), scope, steps));
}

function partOf(plan: InsertPlan, from: number, to: number): InsertPlan {
  const { untaken } = plan;
  const part = (one: InsertPlan): InsertPlan => withRows(one, placesFrom(from, to));
  const refused = new Map([...(untaken?.refused ?? [])].map(([name, one]) => [name, part(one)]));
  return { ...part(plan), untaken: untaken === undefined ? undefined : { ...untaken, proposed: part(untaken.proposed), refused } };
}

/** Undefined, and nothing has happened, where it cannot be told which rows have keys that are taken, or that has changed meanwhile. */
async function insertTold(plan: InsertPlan, scope: StatementScope, { steps, none }: { readonly steps: UntakenSteps; readonly none: QueryResult }): Promise<QueryResult | undefined> {
  const { untaken } = plan;
  if (untaken === undefined) return undefined;
  const places = placesFrom(0, plan.rows.length);
  const proposed = await proposedRows({ plan, telling: untaken, propose: steps.propose }, places, scope);
  if (proposed === undefined) return undefined;
  const keys = untaken.lookups.map(({ positions }) => proposed.rows.map((row) => positions.map((position) => at(row, position))));
  const free = await freeRows(untaken, keys, scope);
  const first = firstRows(keys, free);
  // Where shards leave rows out as well, the second of two may be the one that is inserted.
  if (proposed.isRefused && first.length < free.length) return undefined;
  if (first.length === 0) return { ...none, rowCount: 0, rows: [] };
  const tried = await attempt(withRows(plan, first), scope, { insert: steps.insert, isTaken: (error) => sqlStateOf(error) === '23505' });
  return tried.isKept ? tried.result : undefined;
}

/** Of each lookup the keys of all rows. */
type Keys = readonly (readonly (readonly (string | null)[])[])[];

/** The rows that have no key that is taken. */
async function freeRows({ lookups }: UntakenPlan, keys: Keys, scope: StatementScope): Promise<readonly number[]> {
  const found = await Promise.all(lookups.map(({ lookup }, i) => lookUpEach(scope, lookup, at(keys, i))));
  return placesFrom(0, at(keys, 0).length).filter((row) => found.every((one) => one[row] === undefined));
}

/** Those of the rows that have no key of another before them. */
function firstRows(keys: Keys, rows: readonly number[]): readonly number[] {
  const known = keys.map(() => new Set<string>());
  return rows.filter((row) => {
    const own = keys.map((all) => (at(all, row).includes(null) ? undefined : JSON.stringify(at(all, row))));
    if (own.some((key, i) => key !== undefined && at(known, i).has(key))) return false;
    for (const [i, key] of own.entries()) if (key !== undefined) at(known, i).add(key);
    return true;
  });
}
