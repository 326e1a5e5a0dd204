import type { RawRow } from '../../../src/cluster/node-connection.ts';
import { mergeComplete } from '../../../src/execute/merge/merge-complete.ts';
import { type MergeInput, runMerge } from '../../../src/execute/merge/run-merge.ts';
import type { MergePlan, SortKey } from '../../../src/plan/merge-plan.ts';
import { TrackedStream } from './tracked-stream.ts';

export const gather: MergePlan = { kind: 'gather' };

export function sortKey(column: number, fields: Partial<SortKey> = {}): SortKey {
  return { column, typeOid: 20, collationIsC: true, descending: false, nullsFirst: false, ...fields };
}

export function noResidual(): never {
  throw new Error('no residual expected');
}

export async function collect(rows: AsyncIterable<readonly RawRow[]>): Promise<RawRow[]> {
  const all: RawRow[] = [];
  for await (const batch of rows) all.push(...batch);
  return all;
}

export interface MergeOptions extends Partial<Pick<MergeInput, 'values' | 'residual'>> {
  /** Of the inputs and of what the merge makes itself. */
  readonly batchRows?: number;
}

/** All rows of a plan run over streams. */
export function mergeStreams(plan: MergePlan, rowSets: readonly (readonly RawRow[])[], options: MergeOptions = {}): Promise<RawRow[]> {
  const { batchRows = 1, values = [], residual = noResidual } = options;
  const streams = rowSets.map((rows) => new TrackedStream({ rows, batchRows }));
  return collect(runMerge(plan, { streams, residual, values, batchRows }));
}

/** What both forms give; they must agree. Not for a plan whose result depends on the order in which streams answer. */
export async function mergeBothWays(plan: MergePlan, rowSets: readonly (readonly RawRow[])[], options: MergeOptions = {}): Promise<readonly RawRow[]> {
  const complete = mergeComplete(plan, rowSets, options.values ?? []);
  const streamed = await mergeStreams(plan, rowSets, options);
  if (JSON.stringify(complete) !== JSON.stringify(streamed)) throw new Error(`${JSON.stringify(complete)} is not ${JSON.stringify(streamed)}`);
  return streamed;
}
