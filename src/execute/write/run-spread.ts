import { at } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
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
  /** It returns nothing but the number of rows written. */
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

/**
 * Runs one statement on each copy: a write to a reference table. One copy goes first: writers of the same rows wait for each
 * other there, and cannot meet in another order elsewhere. That is the coordinator database's, where it has one: who refers to rows there, in local tables, locks them before all others. Counts and rows are
 * those of the first node. Copies are written at different moments, and who commits in between is seen by some and not by others: where not all have written as many rows, nothing is kept (`concurrentWrites`), and a statement of its own is run again.
 */
export function runEverywhere(scope: StatementScope, tasks: readonly WriteTask[], compared = 0): Promise<WriteOutcome> {
  return scope.atomically((transaction, options) => everywhereIn(transaction, { tasks, compared }, options), mayRunAgain);
}

export interface CopyWrites {
  readonly tasks: readonly WriteTask[];
  /** So many columns at the end of each row must be the same on every node, and are not the caller's. */
  readonly compared: number;
}

/** The same in a transaction. */
export async function everywhereIn(transaction: DistributedTransaction, { tasks, compared }: CopyWrites, options: CallOptions): Promise<WriteOutcome> {
  const shells = tasks.filter(({ node }) => node === coordinatorNodeId);
  // Connections are taken in the order of all writes, which is not that of the statements.
  if (shells.length > 0) for (const { node } of tasks) await transaction.join(node, 'write', options);
  const first = shells.length > 0 ? shells : tasks.slice(0, 1);
  const results = await onNodes(transaction, first, options);
  const copies = new Map([...results, ...(await onNodes(transaction, tasks.filter((task) => !first.includes(task)), options))]);
  const outcome = combined(tasks.slice(0, 1), copies);
  if ([...copies].some(([task, result]) => rowsWritten(task, result) !== outcome.rowCount)) throw concurrentWrites();
  if (compared === 0) return outcome;
  const written = writtenRows(outcome.rows, compared);
  for (const { rows } of copies.values()) if (writtenRows(rows, compared) !== written) throw copiesDiffer();
  const fields = outcome.fields.slice(0, outcome.fields.length - compared);
  return { ...outcome, fields, rows: fields.length === 0 ? [] : outcome.rows.map((row) => row.slice(0, fields.length)) };
}

/** Their order is as arbitrary as ever. */
function writtenRows(rows: readonly RawRow[], compared: number): string {
  return rows.map((row) => JSON.stringify(row.slice(row.length - compared))).sort().join('\n');
}

function copiesDiffer(): ClusterError {
  return new ClusterError('unsupportedWrite', 'the copies of the reference table would differ', {
    detail: 'What is written depends on the order in which rows come: several match one, a LIMIT takes any, or an aggregate takes them in any order. Each node would write something else.',
    hint: 'Make it certain: group the rows of FROM or use DISTINCT ON, and add ORDER BY where there is a LIMIT or an aggregate of lists.',
  });
}

function concurrentWrites(): ClusterError {
  return new ClusterError('concurrentWrites', 'could not serialize access to a reference table due to concurrent writes', {
    detail: 'What another transaction has committed was seen in some copies of the table and not in others.', hint: 'The transaction might succeed if it is tried again.',
  });
}

async function onNodes(transaction: DistributedTransaction, tasks: readonly WriteTask[], options: CallOptions): Promise<Map<WriteTask, RawResult>> {
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

function combined(tasks: readonly WriteTask[], results: ReadonlyMap<WriteTask, RawResult>): WriteOutcome {
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

function rowsWritten({ counts }: WriteTask, { rows, rowCount }: RawResult): number {
  return counts === true ? Number(rows[0]?.[0]) : (rowCount ?? 0);
}

/** Whether it is known which rows of the caller's a task's rows are. */
function isPlaced({ slots }: WriteTask, rows: number): boolean {
  return slots !== undefined && (slots.length === rows || slots.length === 1);
}
