import { unreachable } from '../../base/assert.ts';
import type { MergePlan } from '../../plan/merge-plan.ts';
import { CombineAggregates } from './combine-aggregates.ts';
import { Distinct } from './distinct.ts';
import { Filter } from './filter.ts';
import { Limit, type LimitCounts } from './limit.ts';
import { Project } from './project.ts';
import { rowCountOf } from './row-count.ts';
import { rowKey } from './row-key.ts';
import { rowOrder } from './row-order.ts';
import type { RowStage } from './row-stage.ts';
import { Sort } from './sort.ts';

/** The operators that rows pass through one by one in the application. */
export type StagePlan = Exclude<MergePlan, { readonly kind: 'gather' | 'merge_sorted' | 'residual' }>;

/** The operator's state for one execution. Throws for a LIMIT or OFFSET that is negative or no number. */
export function stageFor(plan: StagePlan, values: readonly unknown[]): RowStage {
  switch (plan.kind) {
    case 'combine_aggregates':
      return new CombineAggregates(plan);
    case 'distinct':
      return new Distinct(rowKey(plan.columnTypes));
    case 'filter':
      return new Filter(plan.conditions);
    case 'sort':
      return new Sort(rowOrder(plan.keys));
    case 'limit':
      return new Limit(limitCounts(plan, values));
    case 'project':
      return new Project(plan.columns);
    default:
      return unreachable(plan);
  }
}

/** OFFSET is checked first, as PostgreSQL does. */
function limitCounts({ limit, offset, ties }: StagePlan & { readonly kind: 'limit' }, values: readonly unknown[]): LimitCounts {
  const skipped = offset === undefined ? null : rowCountOf(offset, { clause: 'OFFSET', values });
  const wanted = limit === undefined ? null : rowCountOf(limit, { clause: 'LIMIT', values });
  return { limit: wanted ?? Infinity, offset: skipped ?? 0, ties: ties === undefined ? undefined : rowOrder(ties) };
}
