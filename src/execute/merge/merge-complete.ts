import type { RawRow } from '../../cluster/node-connection.ts';
import type { MergePlan, SortKey } from '../../plan/merge-plan.ts';
import { concatenate } from './gather.ts';
import { rowOrder } from './row-order.ts';
import { passThrough } from './row-stage.ts';
import { sorted } from './sort.ts';
import { stageFor } from './stage-for.ts';

/**
 * What `runMerge` yields, for tasks whose rows are all there; rows of a gather come in order of the tasks. Undefined when the plan has a
 * residual, which takes a connection. May return one of `rowSets` itself; changes none. Throws what the operators throw.
 */
export function mergeComplete(plan: MergePlan, rowSets: readonly (readonly RawRow[])[], values: readonly unknown[]): readonly RawRow[] | undefined {
  if (plan.kind === 'gather') return concatenate(rowSets);
  if (plan.kind === 'merge_sorted') return mergeSets(rowSets, plan.keys);
  if (plan.kind === 'residual') return undefined;
  const stage = stageFor(plan, values);
  if (stage.satisfied) return [];
  const rows = mergeComplete(plan.input, rowSets, values);
  return rows === undefined ? undefined : passThrough(stage, rows);
}

/** A stable sort does what a merge does, ties in order of the sets included; it is as fast, since it finds the sorted runs. */
function mergeSets(rowSets: readonly (readonly RawRow[])[], keys: readonly SortKey[]): readonly RawRow[] {
  const [only] = rowSets;
  return only !== undefined && rowSets.length === 1 ? only : sorted(concatenate(rowSets), rowOrder(keys));
}
