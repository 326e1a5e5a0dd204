import { at, present } from '../../base/assert.ts';
import type { RawRow } from '../../cluster/node-connection.ts';
import type { MergePlan, SortKey } from '../../plan/merge-plan.ts';
import type { Undoable } from '../../txn/distributed-transaction.ts';
import { mergeComplete } from '../merge/merge-complete.ts';
import { lockEach, type LockHolder, type LockingTask, type NodeOrder } from './locking-tasks.ts';

/** ORDER BY and LIMIT over the rows of all shard groups. */
export interface ChosenRows {
  readonly keys: readonly SortKey[];
  /** How many rows LIMIT and OFFSET take together. */
  readonly rowsMax: number;
}

interface ChoosingInput {
  readonly tasks: readonly LockingTask[];
  readonly chosen: ChosenRows;
  readonly order: NodeOrder;
  /** The tasks without locks. Undefined when only locking tells whether a row may be chosen: SKIP LOCKED. */
  readonly peek: readonly LockingTask[] | undefined;
}

type RowSets = readonly (readonly RawRow[])[];

/** Others may change rows between choosing and locking: after so many times more rows are locked than needed. */
const attemptsMax = 5;

/**
 * Locks the first rows of the whole, of each shard group as many as it has among them:
 * 1. See the first rows of each shard group, and which of them are among the first of all. With SKIP LOCKED they are locked to that end, and let go
 *    again, behind a savepoint.
 * 2. Lock so many of each shard group.
 * 3. If these are not in the places that were seen, somebody changed rows meanwhile: back to 1. What is locked already stays locked, and does not change any more.
 */
export async function lockChosen(holder: LockHolder, input: ChoosingInput): Promise<RowSets> {
  const undoable = holder.transaction.undoable?.bind(holder.transaction);
  const everyFirst = (): Promise<RowSets> => lockCounted(holder, input, input.tasks.map(() => input.chosen.rowsMax));
  // Locks that end with the statement anyway are not worth it.
  if (input.peek === undefined && (undoable === undefined || !holder.lasting)) return everyFirst();
  const begin = input.peek === undefined && undoable !== undefined ? () => undoable(holder.options) : () => Promise.resolve(nothingUndone);
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const seeing = await begin();
    const seen = input.peek === undefined ? await everyFirst() : await lockEach({ ...holder, lasting: false }, input.peek, 'side_by_side');
    const wanted = choose(seen, input.chosen);
    if (input.peek === undefined && wanted.every((rows, i) => rows.length === at(seen, i).length)) {
      await seeing.keep();
      return seen;
    }
    await seeing.undo();
    const locking = await begin();
    const locked = await lockCounted(holder, input, wanted.map(({ length }) => length));
    if (locked.every((rows, i) => sameKeys(rows, at(wanted, i), input.chosen.keys))) {
      await locking.keep();
      return locked;
    }
    await locking.undo();
  }
  return everyFirst();
}

/** Locks that wait are kept from attempt to attempt. */
const nothingUndone: Undoable = { keep: () => Promise.resolve(), undo: () => Promise.resolve() };

function lockCounted(holder: LockHolder, { tasks, order }: ChoosingInput, counts: readonly number[]): Promise<RowSets> {
  return lockEach(holder, tasks.map((task, i) => ({ ...task, rowsMax: at(counts, i) })), order);
}

/** Of each set the rows that are among the first of all, by its number in a column behind the others. */
function choose(sets: RowSets, { keys, rowsMax }: ChosenRows): RawRow[][] {
  const marked = sets.map((rows, i) => rows.map((row) => [...row, String(i)]));
  const merge: MergePlan = { kind: 'limit', input: { kind: 'merge_sorted', keys }, limit: { kind: 'constant', rows: rowsMax }, offset: undefined, ties: undefined };
  const chosen = sets.map((): RawRow[] => []);
  for (const row of present(mergeComplete(merge, marked, []))) at(chosen, Number(row.at(-1))).push(row);
  return chosen;
}

function sameKeys(rows: readonly RawRow[], others: readonly RawRow[], keys: readonly SortKey[]): boolean {
  return rows.length === others.length && rows.every((row, i) => keys.every(({ column }) => row[column] === at(others, i)[column]));
}
