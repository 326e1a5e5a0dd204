import { at } from '../../base/assert.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { CallOptions, FieldDescriptor, RawResult, RawRow } from '../../cluster/node-connection.ts';
import type { DistributedTransaction } from '../../txn/distributed-transaction.ts';
import { type NodeBatch, runBatches } from '../../txn/run-batches.ts';
import { mayRunAgain, type StatementScope } from '../statement-scope.ts';

/** One statement of a write for one node; `slots` says which rows of the whole its RETURNING rows are, when that is known. */
export interface WriteTask {
  readonly node: NodeId;
  readonly sql: string;
  readonly values: readonly unknown[];
  readonly slots?: readonly number[] | undefined;
  /** Makes it a prepared statement. */
  readonly name?: string | undefined;
  /** It returns no rows but one that begins with the number of rows written. */
  readonly counts?: boolean | undefined;
}

export interface WriteOutcome {
  readonly rowCount: number;
  readonly rows: readonly RawRow[];
  readonly fields: readonly FieldDescriptor[];
}

/** Runs a write's statements in one transaction, all nodes side by side. RETURNING rows in order of slots, else of tasks. */
export function runSpread(scope: StatementScope, tasks: readonly WriteTask[]): Promise<WriteOutcome> {
  return scope.atomically((transaction, options) => spreadIn(transaction, tasks, options), mayRunAgain);
}

/** The same in a transaction. */
export async function spreadIn(transaction: DistributedTransaction, tasks: readonly WriteTask[], options: CallOptions): Promise<WriteOutcome> {
  return combined(tasks, await onNodes(transaction, tasks, options));
}

/**
 * As `runSpread`, for statements that take no time to speak of: outside a transaction each node may prepare when it is done, and then holds its locks
 * until the slowest is, even if this process dies.
 */
export async function runBriefSpread(scope: StatementScope, tasks: readonly WriteTask[]): Promise<WriteOutcome> {
  const batches = byNode(tasks);
  return combined(tasks, resultsOf(batches, await scope.writeBatches(batches.map(batchOf))));
}

/** The results of tasks, of each node in one batch. */
export async function onNodes(transaction: DistributedTransaction, tasks: readonly WriteTask[], options: CallOptions): Promise<Map<WriteTask, RawResult>> {
  const batches = byNode(tasks);
  return resultsOf(batches, await runBatches(transaction, batches.map(batchOf), options));
}

function byNode(tasks: readonly WriteTask[]): WriteTask[][] {
  const batches = new Map<NodeId, WriteTask[]>();
  for (const task of tasks) {
    const batch = batches.get(task.node);
    if (batch === undefined) batches.set(task.node, [task]);
    else batch.push(task);
  }
  return [...batches.values()];
}

function batchOf(tasks: readonly WriteTask[]): NodeBatch {
  return { node: at(tasks, 0).node, queries: tasks.map(({ sql, values, name }) => ({ text: sql, values, name })) };
}

function resultsOf(batches: readonly (readonly WriteTask[])[], results: readonly (readonly RawResult[])[]): Map<WriteTask, RawResult> {
  return new Map(batches.flatMap((tasks, i) => tasks.map((task, j) => [task, at(at(results, i), j)])));
}

/** Of those tasks that have results. */
export function combined(tasks: readonly WriteTask[], results: ReadonlyMap<WriteTask, RawResult>): WriteOutcome {
  let rowCount = 0;
  let fields: readonly FieldDescriptor[] = [];
  const rows: RawRow[] = [];
  const placed: RawRow[] = [];
  const ordered = tasks.every((task) => isPlaced(task, results.get(task)?.rows.length ?? 0));
  for (const task of tasks) {
    const result = results.get(task);
    if (result === undefined) continue;
    rowCount += rowsWritten(task, result);
    if (task.counts === true) continue;
    if (fields.length === 0) fields = result.fields;
    for (const [i, row] of result.rows.entries()) {
      if (ordered) placed[at(task.slots ?? [], i)] = row;
      else rows.push(row);
    }
  }
  // A row that DO NOTHING left out is a hole, which filter() closes.
  return { rowCount, rows: ordered ? placed.filter(() => true) : rows, fields };
}

export function rowsWritten({ counts }: WriteTask, { rows, rowCount }: RawResult): number {
  return counts === true ? Number(rows[0]?.[0]) : (rowCount ?? 0);
}

/** Whether it is known which rows of the caller's a task's rows are. */
function isPlaced({ slots }: WriteTask, rows: number): boolean {
  return slots !== undefined && (slots.length === rows || slots.length === 1);
}
