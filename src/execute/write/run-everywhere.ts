import { ClusterError, sqlStateOf } from '../../base/errors.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { CallOptions, RawResult } from '../../cluster/node-connection.ts';
import type { CopyCheck } from '../../plan/statement-plan.ts';
import { writtenHash } from '../../plan/write/compare-copies.ts';
import type { DistributedTransaction } from '../../txn/distributed-transaction.ts';
import { mayRunAgain, type StatementScope } from '../statement-scope.ts';
import { areAlike, lockCopies } from './lock-copies.ts';
import { combined, onNodes, rowsWritten, type WriteOutcome, type WriteTask } from './run-spread.ts';

/** A write of one statement for each copy of a reference table. */
export interface CopyWrites {
  readonly tasks: readonly WriteTask[];
  readonly check?: CopyCheck | undefined;
}

/** As `everywhereIn`, in a transaction of its own, which is begun anew when others came between; in a transaction block, in that. */
export function runEverywhere(scope: StatementScope, writes: CopyWrites): Promise<WriteOutcome> {
  const patience = new Patience(scope);
  return scope.atomically((transaction, options) => everywhereIn(transaction, { ...writes, patience }, options), mayRunAgain);
}

/** So many runs may differ because of others. */
const runsMax = 8;

/** Whether what differs between copies may be put down to others, who have gone when the statement is run again. */
export class Patience {
  #runs = 0;

  constructor(private readonly scope: Pick<StatementScope, 'inTransaction'>) {}

  /** To be asked once for each run. In a block it is the caller who may run it again. */
  take(): boolean {
    this.#runs += 1;
    return this.scope.inTransaction || this.#runs < runsMax;
  }
}

/**
 * Runs one statement on each copy: a write to a reference table. One copy goes first: writers of the same rows wait for each
 * other there, and cannot meet in another order elsewhere. That is the coordinator database's, where it has one: who refers to rows there, in local tables, locks them before all others. Counts and rows are
 * those of the first node. Copies are written at different moments, and who commits in between is seen by some and not by others: nothing is kept (`concurrentWrites`) unless all have written
 * as many rows and, where the check says so, the same. `unsupportedWrite` when they differ without others.
 */
export async function everywhereIn(transaction: DistributedTransaction, { tasks, check, patience }: CopyWrites & { readonly patience: Patience }, options: CallOptions): Promise<WriteOutcome> {
  const isPatient = patience.take();
  const shells = tasks.filter(({ node }) => node === coordinatorNodeId);
  // Connections are taken in the order of all writes, which is not that of the statements.
  if (shells.length > 0) for (const { node } of tasks) await transaction.join(node, 'write', options);
  const first = shells.length > 0 ? shells : tasks.slice(0, 1);
  const others = tasks.filter((task) => !first.includes(task));
  const copiesOf = { turns: [first, others].map((turn) => turn.map(({ node }) => node)), options };
  const locked = tasks.length > 1 && check?.kind === 'locked' ? check : undefined;
  if (locked !== undefined && !(await lockCopies(transaction, locked.table, copiesOf))) throw concurrentWrites();
  const copies = new Map([...(await onNodes(transaction, first, options)), ...(await onOthers(transaction, others, options))]);
  const outcome = combined(tasks.slice(0, 1), copies);
  if ([...copies].some(([task, result]) => rowsWritten(task, result) !== outcome.rowCount)) throw differs(locked?.mayDiffer === true, isPatient);
  if (locked?.mayDiffer === true && !(await areAlike(transaction, locked.table, copiesOf))) throw differs(true, isPatient);
  if (check?.kind !== 'compared') return outcome;
  const written = new Set([...copies].map(([task, result]) => sumOfHashes(task, result)));
  if (written.size > 1) throw differs(check.mayDiffer, isPatient);
  const fields = outcome.fields.slice(0, -1);
  return { ...outcome, fields, rows: fields.length === 0 ? [] : outcome.rows.map((row) => row.slice(0, fields.length)) };
}

/** Runs the statements of the copies behind the first. */
export async function onOthers(transaction: DistributedTransaction, tasks: readonly WriteTask[], options: CallOptions): Promise<Map<WriteTask, RawResult>> {
  try {
    return await onNodes(transaction, tasks, options);
  } catch (error) {
    throw ofAnotherOrder(error);
  }
}

/** A key that the first copy has found free is taken in another one for as long as its row has not had its turn. */
function ofAnotherOrder(error: unknown): unknown {
  if (sqlStateOf(error) !== '23505' || !(error instanceof Error)) return error;
  return Object.assign(error, { hint: 'The rows are written in another order in this copy of the reference table than in the first, where no key was taken. Make the constraint DEFERRABLE, or give the rows values that none has before.' });
}

/** A statement that returns the hashes of what it writes, and nothing else, as one that returns their number and their sum: for a task that `counts`. */
export function summed(sql: string): string {
  return `WITH ${writtenHash} AS (\n${sql}\n) SELECT pg_catalog.count(*), pg_catalog.sum(${writtenHash}) FROM ${writtenHash}`;
}

/** A server takes what is `summed` for a SELECT when it refuses it. */
export function inItsOwnName(error: unknown, command: string): unknown {
  if (sqlStateOf(error) === '25006' && error instanceof Error) error.message = error.message.replace('cannot execute SELECT in', `cannot execute ${command} in`);
  return error;
}

/** Equal of the same rows: their order is as arbitrary as ever. */
export function sumOfHashes({ counts }: WriteTask, { rows }: RawResult): string {
  return counts === true ? (rows[0]?.[1] ?? '0') : String(rows.reduce((sum, row) => sum + BigInt(row.at(-1) ?? 0), 0n));
}

/** As long as others may have come between, it is put down to them. */
export function differs(mayDiffer: boolean, isPatient: boolean): ClusterError {
  return mayDiffer && !isPatient ? copiesDiffer() : concurrentWrites(mayDiffer);
}

function copiesDiffer(): ClusterError {
  return new ClusterError('unsupportedWrite', 'the copies of the reference table would differ', {
    detail: 'What is written depends on the order in which rows come, or on the server: several rows match one, a LIMIT takes any, an aggregate takes them in any order, a function tells of the server or the moment, or a trigger changes the key by which rows are found. Each node would write something else.',
    hint: 'Make it certain: group the rows of FROM or use DISTINCT ON, add ORDER BY where there is a LIMIT or an aggregate of lists, and pass values of functions as parameters.',
  });
}

export function concurrentWrites(mayDiffer = false): ClusterError {
  return new ClusterError('concurrentWrites', 'could not serialize access to a reference table due to concurrent writes', {
    detail: 'What another transaction has committed was seen in some copies of the table and not in others.',
    hint: `The transaction might succeed if it is tried again.${mayDiffer ? ' If it never does, what the statement writes depends on the order in which rows come, or on the server.' : ''}`,
  });
}
