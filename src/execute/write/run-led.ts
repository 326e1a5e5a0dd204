import { AssertionError } from '../../base/assert.ts';
import { coordinatorNodeId } from '../../catalog/coordinator-node.ts';
import type { NodeId } from '../../catalog/ids.ts';
import { inTurn } from '../../catalog/reference-copies.ts';
import type { CallOptions, RawRow } from '../../cluster/node-connection.ts';
import type { CopyCheck, FollowingCopies } from '../../plan/statement-plan.ts';
import type { DistributedTransaction } from '../../txn/distributed-transaction.ts';
import { memoryBytesMax, ResultSize } from '../staged/hold-rows.ts';
import type { OwnRows, StagedOptions, StagedRun } from '../staged/run-staged.ts';
import { areAlike, lockCopies } from './lock-copies.ts';
import { concurrentWrites, differs, onOthers, type Patience, sumOfHashes, summed } from './run-everywhere.ts';
import { combined, onNodes, rowsWritten, type WriteOutcome, type WriteTask } from './run-spread.ts';

/** A write of a reference table that one copy leads. */
export interface LedWrite {
  readonly check: CopyCheck | undefined;
  readonly follow: FollowingCopies;
  /** The servers that have a copy. */
  readonly holders: readonly NodeId[];
  readonly run: StagedRun;
  /** What the first copy runs, once it is known which that is. */
  readonly statement: (lead: NodeId) => Pick<WriteTask, 'sql' | 'values'> | Promise<Pick<WriteTask, 'sql' | 'values'>>;
  /** For the others, by parameter number; and rows that their statement takes in besides those of the first. */
  readonly values: readonly unknown[];
  readonly own: readonly OwnRows[];
  readonly how: StagedOptions;
  readonly patience: Patience;
}

/**
 * Runs a statement on the first copy, and on the others what follows from the rows that it wrote there. Nothing is kept (`concurrentWrites`) unless all have written as many rows and the same: others
 * may have come between or, where copies `mayDiffer`, what policies say of the same values is not the same (`unsupportedWrite`, once others are out of the question). `resultTooLarge` where the application may not hold the rows.
 */
export async function runLed(transaction: DistributedTransaction, write: LedWrite, options: CallOptions): Promise<WriteOutcome> {
  const { holders, check, follow, run, patience } = write;
  const isPatient = patience.take();
  const { lead, others } = leadOf(holders);
  // Connections are taken in the order of all writes, which is not that of the statements.
  if (lead === coordinatorNodeId) for (const node of [...others, lead]) await transaction.join(node, 'write', options);
  const copies = { turns: [[lead], others], options };
  if (check?.kind === 'locked' && others.length > 0 && !(await lockCopies(transaction, check.table, copies))) throw concurrentWrites();
  const { sql, values } = await write.statement(lead);
  const first: WriteTask = { node: lead, sql: follow.triggers ? inTurn(sql, lead, 'first') : sql, values };
  const written = await onNodes(transaction, [first], options);
  const outcome = combined([first], written);
  const width = outcome.fields.length - follow.result.columns.length - 1;
  const own = [...write.own, { result: follow.result, rows: toldRows(write, outcome.rows, width) }];
  const following = outcome.rowCount === 0 ? [] : await Promise.all(others.map(async (node): Promise<WriteTask> => {
    const following = await run.statement({ template: follow.template, values: write.values, node, shard: noShard }, own);
    const counting = follow.counts === true ? following.text : summed(following.text);
    return { node, sql: follow.triggers ? inTurn(counting, node, 'following') : counting, values: following.values ?? [], counts: true };
  }));
  for (const [task, result] of await onOthers(transaction, following, options)) written.set(task, result);
  const isSame = [...written].every(([task, result]) => rowsWritten(task, result) === outcome.rowCount) && new Set([...written].map(([task, result]) => sumOfHashes(task, result))).size === 1;
  const mayDiffer = check?.mayDiffer === true;
  if (!isSame || (check?.kind === 'locked' && mayDiffer && !(await areAlike(transaction, check.table, copies)))) throw differs(mayDiffer, isPatient);
  return { ...outcome, fields: outcome.fields.slice(0, width), rows: width === 0 ? [] : outcome.rows.map((row) => row.slice(0, width)) };
}

/** The copy that all writers of its rows come to first: the coordinator database's, where it has one. */
export function leadOf(holders: readonly NodeId[]): { readonly lead: NodeId; readonly others: readonly NodeId[] } {
  const lead = holders.find((node) => node === coordinatorNodeId) ?? holders[0];
  if (lead === undefined) throw new AssertionError('a reference table has a copy');
  return { lead, others: holders.filter((node) => node !== lead) };
}

/** Of what stands in the text of a copy's statement. */
export function noShard(): never {
  throw new AssertionError('a copy has no shards beside it');
}

/** What stands between the caller's columns and the hash. */
function toldRows({ follow, how }: LedWrite, rows: readonly RawRow[], width: number): readonly RawRow[] {
  const told = rows.map((row) => row.slice(width, width + follow.result.columns.length));
  new ResultSize(follow.result.label, { limit: Math.min(how.options.maxIntermediateBytes, memoryBytesMax), memoryOf: 'block' }).add(told);
  return told;
}
