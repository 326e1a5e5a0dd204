import { sqlStateOf } from '../base/errors.ts';
import { logicalText } from '../execute/logical-names.ts';
import type { StatementScope } from '../execute/statement-scope.ts';
import type { InsertPlan } from '../plan/insert/insert-plan.ts';
import type { UpsertPlan } from '../plan/lookups/upsert-plan.ts';
import { type Insert, isTaken, withRows } from './insert-parts.ts';

/** What rows would be, by triggers and defaults: the columns of `UpsertPlan.proposed`. */
export type ProposedRow = readonly (string | null)[];

/** An INSERT, and what tells of its rows. */
export interface Proposal {
  readonly plan: InsertPlan;
  readonly telling: Pick<UpsertPlan, 'proposed' | 'refused'>;
  readonly propose: Insert;
}

export interface Proposed {
  readonly rows: readonly ProposedRow[];
  /** A constraint of the shard's refuses some of them: these are told all the same. */
  readonly isRefused: boolean;
}

/** Of several rows. Undefined where they cannot be told together: more than one constraint of the shards' refuses some of them, or the role may not read what they are. */
export async function proposedRows(proposal: Proposal, places: readonly number[], scope: StatementScope): Promise<Proposed | undefined> {
  const { telling: { proposed } } = proposal;
  const refusal = await propose(proposed, { proposal, places, scope });
  if ('rows' in refusal) return { rows: refusal.rows, isRefused: false };
  const telling = tellingPlan(proposal, refusal.error, scope);
  if (telling === undefined || telling === proposed) return undefined;
  const again = await propose(telling, { proposal, places, scope });
  return 'rows' in again ? { rows: again.rows, isRefused: true } : undefined;
}

/** The INSERT that tells of a row that was refused so. */
export function tellingPlan({ plan, telling }: Pick<Proposal, 'plan' | 'telling'>, error: unknown, { snapshot }: Pick<StatementScope, 'snapshot'>): InsertPlan | undefined {
  return isTaken(error, plan) ? telling.proposed : telling.refused.get(logicalText(constraintOf(error), snapshot));
}

interface Proposing {
  readonly proposal: Proposal;
  readonly places: readonly number[];
  readonly scope: StatementScope;
}

/** Rows that are in the way of each other or of others, and columns that may not be read or set. */
const untold: ReadonlySet<string> = new Set(['23505', '23P01', '21000', '42501']);

async function propose(telling: InsertPlan, { proposal, places, scope }: Proposing): Promise<{ readonly rows: readonly ProposedRow[] } | { readonly error: unknown }> {
  const part = await scope.undoable();
  try {
    const { rows } = await proposal.propose(withRows(telling, places), scope);
    await part.undo();
    return rows.length === places.length ? { rows: rows as ProposedRow[] } : { error: undefined };
  } catch (error) {
    if (!untold.has(sqlStateOf(error) ?? '')) throw error;
    await part.undo();
    return { error };
  }
}

/** As the shard calls it. */
function constraintOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'constraint' in error ? String(error.constraint) : '';
}
