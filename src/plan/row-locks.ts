import type { SelectStmt } from '@pgsql/types';
import { deparseChecked } from '../sql/deparse.ts';
import type { Statement } from '../sql/parse.ts';
import { limitOf } from './merge-plan.ts';
import type { MergePlan } from './merge-plan.ts';
import { unsupported } from './select/unsupported.ts';
import type { ShardTemplate } from './shard-template.ts';

/** FOR UPDATE and the like on the rows of a query over many shard groups. */
export interface RowLocks {
  /** A row that somebody else has locked is waited for (the default), is left out (SKIP LOCKED), or is an error (NOWAIT). */
  readonly whenLocked: 'wait' | 'skip' | 'fail';
  /** The shard query without its locks, where ORDER BY with LIMIT chooses among the rows of all shard groups before any is locked. */
  readonly unlocked: ShardTemplate | undefined;
}

/** Undefined for a query that locks nothing at its own level. */
export function whenLocked({ lockingClause }: SelectStmt): RowLocks['whenLocked'] | undefined {
  if (lockingClause === undefined) return undefined;
  const policies = lockingClause.map((node) => ('LockingClause' in node ? node.LockingClause.waitPolicy : undefined));
  return policies.includes('LockWaitSkip') ? 'skip' : policies.includes('LockWaitError') ? 'fail' : 'wait';
}

/** The query that tells, of all shard groups, which rows shall be locked; undefined where that needs no query of its own. */
export function withoutLocks(select: SelectStmt, merge: MergePlan): Statement | undefined {
  const limit = limitOf(merge);
  if (limit?.input.kind !== 'merge_sorted' || whenLocked(select) === 'skip') return undefined;
  if (limit.ties !== undefined) throw unsupported('WITH TIES would decide which rows of several shard groups are locked.', 'Write LIMIT, or filter by the distribution column.');
  const { lockingClause: _locks, ...rest } = select;
  const statement = deparseChecked({ SelectStmt: rest });
  if (statement === undefined) {
    throw unsupported('The rows to be locked are chosen by ORDER BY and LIMIT, in a statement with a rare clause that cannot be rewritten.', 'Filter by the distribution column.');
  }
  return statement;
}
