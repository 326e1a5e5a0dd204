import { present } from '../../base/assert.ts';
import type { RawRow } from '../../cluster/node-connection.ts';
import { partialValues, RenderedTexts } from '../../plan/bind.ts';
import type { FanOut } from '../../plan/fan-out.ts';
import { limitOf, type MergePlan } from '../../plan/merge-plan.ts';
import type { RowLocks } from '../../plan/row-locks.ts';
import type { ShardTemplate } from '../../plan/shard-template.ts';
import type { PrunableUse } from '../../plan/statement-plan.ts';
import { withEvaluated } from '../evaluate.ts';
import { rowCountOf } from '../merge/row-count.ts';
import { shardTasks } from '../shard-tasks.ts';
import type { StatementScope } from '../statement-scope.ts';
import { lockChosen } from './lock-chosen.ts';
import { lockEach, type LockHolder, type LockingTask } from './locking-tasks.ts';

interface LockedQuery {
  readonly fanOut: FanOut;
  readonly uses: readonly PrunableUse[];
  readonly ordinals: readonly number[];
  readonly values: readonly unknown[];
}

/**
 * Runs a query with FOR UPDATE or the like on each of its shard groups, and gives their rows, one set for each. The rows that the merge lets through,
 * and no others, stay locked: until the session's transaction ends, or, outside a transaction block, until this is done.
 */
export async function lockedRows(scope: StatementScope, query: LockedQuery, locks: RowLocks): Promise<readonly (readonly RawRow[])[]> {
  const { merge, shardQuery } = query.fanOut;
  const values = await withEvaluated(scope, query.fanOut, query.values);
  const tasksOf = (template: ShardTemplate): LockingTask[] => tasks(template, query, values);
  const limit = limitOf(merge);
  const rowsMax = limit === undefined ? Infinity : rowsLookedAt(limit, values);
  return scope.atomically(async (transaction, options) => {
    const holder = { transaction, options, lasting: scope.inTransaction };
    const order = locks.whenLocked === 'wait' ? 'in_turn' : 'side_by_side';
    if (limit === undefined || rowsMax === Infinity) return lockEach(holder, tasksOf(shardQuery), order);
    if (limit.input.kind !== 'merge_sorted') return lockFirst(holder, tasksOf(shardQuery), rowsMax);
    return lockChosen(holder, { tasks: tasksOf(shardQuery), chosen: { keys: limit.input.keys, rowsMax }, order, peek: locks.unlocked === undefined ? undefined : tasksOf(locks.unlocked) });
  });
}

function tasks(template: ShardTemplate, { uses, ordinals }: LockedQuery, values: readonly unknown[]): LockingTask[] {
  const own = partialValues(template, values);
  return shardTasks(new RenderedTexts(template), present(uses[0]), { ordinals, values: own }).map((task) => ({ ...task, rowsMax: undefined }));
}

/** Rows that OFFSET passes over are locked, too, as PostgreSQL does. */
function rowsLookedAt({ limit, offset }: MergePlan & { readonly kind: 'limit' }, values: readonly unknown[]): number {
  const skipped = offset === undefined ? null : rowCountOf(offset, { clause: 'OFFSET', values });
  const wanted = limit === undefined ? null : rowCountOf(limit, { clause: 'LIMIT', values });
  return wanted === null ? Infinity : wanted === 0 ? 0 : wanted + (skipped ?? 0);
}

/** Any rows will do: shard groups are asked one after the other until there are enough. */
async function lockFirst(holder: LockHolder, all: readonly LockingTask[], rowsMax: number): Promise<readonly (readonly RawRow[])[]> {
  const sets: (readonly RawRow[])[] = [];
  let missing = rowsMax;
  for (const task of all) {
    if (missing === 0) break;
    const [rows = []] = await lockEach(holder, [{ ...task, rowsMax: missing }], 'in_turn');
    sets.push(rows);
    missing -= rows.length;
  }
  return sets;
}
