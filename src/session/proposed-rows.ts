import { sqlStateOf } from '../base/errors.ts';
import { logicalText } from '../execute/logical-names.ts';
import type { StatementScope } from '../execute/statement-scope.ts';
import type { InsertPlan } from '../plan/insert/insert-plan.ts';
import { isTaken, withRows } from './insert-untaken.ts';
import type { Upserting } from './upserting.ts';

/** What rows would be, by triggers and defaults: the columns of `UpsertPlan.proposed`. */
export type ProposedRow = readonly (string | null)[];

/** Of several rows. Undefined where a constraint of the shard's refuses them in a way of which they cannot be told together. */
export async function proposedRows(upserting: Upserting, places: readonly number[], scope: StatementScope): Promise<readonly ProposedRow[] | undefined> {
  const { upsert: { proposed } } = upserting;
  const refusal = await propose(proposed, { upserting, places, scope });
  if ('rows' in refusal) return refusal.rows;
  const telling = tellingPlan(upserting, refusal.error, scope);
  if (telling === undefined || telling === proposed) return undefined;
  const again = await propose(telling, { upserting, places, scope });
  return 'rows' in again ? again.rows : undefined;
}

/** The INSERT that tells of a row that was refused so. */
export function tellingPlan({ plan, upsert }: Upserting, error: unknown, { snapshot }: Pick<StatementScope, 'snapshot'>): InsertPlan | undefined {
  return isTaken(error, plan) ? upsert.proposed : upsert.refused.get(logicalText(constraintOf(error), snapshot));
}

interface Proposing {
  readonly upserting: Upserting;
  readonly places: readonly number[];
  readonly scope: StatementScope;
}

async function propose(telling: InsertPlan, { upserting, places, scope }: Proposing): Promise<{ readonly rows: readonly ProposedRow[] } | { readonly error: unknown }> {
  const part = await scope.undoable();
  try {
    const { rows } = await upserting.steps.propose(withRows(telling, places), scope);
    await part.undo();
    return rows.length === places.length ? { rows: rows as ProposedRow[] } : { error: undefined };
  } catch (error) {
    // Of rows that are one to a constraint of their own, nothing can be told together.
    if (sqlStateOf(error) !== '23505' && sqlStateOf(error) !== '21000') throw error;
    await part.undo();
    return { error };
  }
}

/** As the shard calls it. */
function constraintOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'constraint' in error ? String(error.constraint) : '';
}
