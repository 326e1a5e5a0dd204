import type { RawRow } from '../../cluster/node-connection.ts';
import type { MergePlan, Residual } from '../../plan/merge-plan.ts';
import { Gather } from './gather.ts';
import { MergeSorted } from './merge-sorted.ts';
import { PulledRows } from './pulled-rows.ts';
import { ResidualSource } from './residual-source.ts';
import { rowOrder } from './row-order.ts';
import type { RowSource } from './row-source.ts';
import { stageFor } from './stage-for.ts';
import { StagedSource } from './staged-source.ts';
import { StreamSource } from './stream-source.ts';

export interface MergeInput {
  /** One for each task; each sorted where the plan merges sorted streams, and then all must be able to run at the same time. */
  readonly streams: readonly AsyncIterable<readonly RawRow[]>[];
  /** Runs a residual over all rows of its input; yields the finished rows. Injected: it needs connections. */
  readonly residual: (residual: Residual, rows: AsyncIterable<readonly RawRow[]>) => AsyncIterable<readonly RawRow[]>;
  /** The caller's parameter values, for LIMIT and OFFSET: number, bigint, string or null. */
  readonly values: readonly unknown[];
  /** Rows of a batch that the merge makes itself, 256 by default. */
  readonly batchRows?: number | undefined;
}

/**
 * The part of a plan above the gather: the finished rows, in batches, pulled. All streams are iterated, and closed as soon as no more rows are
 * wanted, on a failure (which is thrown when all are closed), and when the caller leaves. Throws what the streams and the residual throw,
 * PostgreSQL's errors of LIMIT and OFFSET, and `numericOverflow`.
 */
export function runMerge(plan: MergePlan, input: MergeInput): PulledRows {
  const streams = input.streams.map((stream) => new StreamSource(stream));
  return new PulledRows(sourceOf(plan, streams, input));
}

const batchRowsDefault = 256;

function sourceOf(plan: MergePlan, streams: readonly StreamSource[], input: MergeInput): RowSource {
  const batchRows = input.batchRows ?? batchRowsDefault;
  if (plan.kind === 'gather') return new Gather(streams);
  if (plan.kind === 'merge_sorted') return new MergeSorted(streams, { order: rowOrder(plan.keys), batchRows });
  const below = sourceOf(plan.input, streams, input);
  if (plan.kind === 'residual') return new ResidualSource(below, (rows) => input.residual(plan.residual, rows));
  return new StagedSource(below, { makeStage: () => stageFor(plan, input.values), batchRows });
}
