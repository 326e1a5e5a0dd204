import { at } from '../../base/assert.ts';
import type { CallOptions, NodeConnection, RawRow } from '../../cluster/node-connection.ts';
import type { Task } from '../../plan/distributed-plan.ts';
import type { DistributedTransaction } from '../../txn/distributed-transaction.ts';
import { allSettledOrThrow } from '../../txn/run-batches.ts';
import { tasksByNode } from '../shard-tasks.ts';

/** The transaction that shall hold the locks. */
export interface LockHolder {
  readonly transaction: DistributedTransaction;
  readonly options: CallOptions;
  /** Whether the locks shall last when the statement is done: then who locks has a part in the commit, as who writes has. */
  readonly lasting: boolean;
}

/** A query of one shard group that locks the rows it gives; only the first `rowsMax`, where that is given. */
export interface LockingTask extends Task {
  readonly rowsMax: number | undefined;
}

/** Where rows that are locked are waited for, nodes are asked one after the other, so that no two sessions wait for each other in turn. */
export type NodeOrder = 'in_turn' | 'side_by_side';

/** Runs the tasks; their rows in order of the tasks. After an error the transaction has failed. */
export async function lockEach(holder: LockHolder, tasks: readonly LockingTask[], order: NodeOrder): Promise<(readonly RawRow[])[]> {
  const sets = new Map<LockingTask, readonly RawRow[]>();
  const onNode = async (own: readonly LockingTask[]): Promise<void> => {
    const rows = await lockOnNode(holder, own);
    for (const [i, task] of own.entries()) sets.set(task, at(rows, i));
  };
  const wanted = tasks.filter(({ rowsMax }) => rowsMax !== 0);
  const nodes = [...tasksByNode(wanted)].sort(([a], [b]) => a - b).map(([, own]) => own);
  if (order === 'side_by_side') await allSettledOrThrow(nodes.map(onNode));
  else for (const own of nodes) await onNode(own);
  return tasks.map((task) => sets.get(task) ?? []);
}

async function lockOnNode({ transaction, options, lasting }: LockHolder, tasks: readonly LockingTask[]): Promise<readonly (readonly RawRow[])[]> {
  const { node } = at(tasks, 0);
  const connection = await transaction.join(node, 'read', options);
  const sets = await allSettledOrThrow(tasks.map((task) => lockOne(connection, task, options)));
  if (lasting && sets.some(({ length }) => length > 0)) await transaction.join(node, 'write', options);
  return sets;
}

/** No user's cursor is meant by it: those are not on the connections to nodes. */
const cursor = 'shardwright_locking';

/** The largest number that FETCH knows. */
const fetchMax = 2_147_483_647;

/** A cursor locks rows as they are fetched. */
async function lockOne(connection: NodeConnection, { sql: text, values, rowsMax }: LockingTask, options: CallOptions): Promise<readonly RawRow[]> {
  if (rowsMax === undefined || rowsMax > fetchMax) return (await connection.query({ text, values }, options)).rows;
  const results = await connection.batch([
    { text: `DECLARE ${cursor} NO SCROLL CURSOR FOR ${text}`, values }, { text: `FETCH ${rowsMax} FROM ${cursor}` }, { text: `CLOSE ${cursor}` },
  ], options);
  return at(results, 1).rows;
}
