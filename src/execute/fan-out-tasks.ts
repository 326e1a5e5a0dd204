import { at, present } from '../base/assert.ts';
import { RenderedTexts, partialValues } from '../plan/bind.ts';
import type { Task } from '../plan/distributed-plan.ts';
import type { FanOut } from '../plan/fan-out.ts';
import { limitOf, type MergePlan, type SortKey } from '../plan/merge-plan.ts';
import type { PrunableUse } from '../plan/statement-plan.ts';
import { withEvaluated } from './evaluate.ts';
import { rowCountOf } from './merge/row-count.ts';
import { type ChosenPlanning, PlanTrial } from './plan-trial.ts';
import { fusedTasks, shardTasks, unitedTasks } from './shard-tasks.ts';
import type { StatementScope } from './statement-scope.ts';
import { firstUserOid } from '../sql/values/type-oid.ts';

/** A fan-out with its shard groups chosen. */
export interface BoundFanOut {
  readonly fanOut: FanOut;
  readonly uses: readonly PrunableUse[];
  readonly ordinals: readonly number[];
  readonly values: readonly unknown[];
}

export interface TaskOptions {
  /** Connections that one statement may use on one node. */
  readonly connectionsPerNode: number;
  /** Whether aggregates read a node's shard groups as one wherever that is possible; undefined: where it has turned out to pay. */
  readonly unite?: boolean | undefined;
  /** Other than `lookupCostMax`. */
  readonly lookupCostMax?: number | undefined;
  /** What the statement's texts may be prepared under, if at all: see `NodeQuery.repeats`. */
  readonly repeats?: number | undefined;
}

/** What is remembered of a fan-out between its runs. */
export interface FanOutMemory {
  readonly texts: RenderedTexts;
  readonly boundedTexts: RenderedTexts | undefined;
  /** Lookups are fused into one statement per node; scans run one by one. Unknown before the first run. */
  cost: 'lookup' | 'scan' | undefined;
  /** What a node's planner thinks that one shard group costs. */
  shardCost: number;
  runs: number;
  /** A lookup that turns out slow from this run on is judged again: its tables may have grown, or have statistics now. */
  judgedAgainAt: number;
  /** Whether reading a node's shard groups as one brings fewer rows: tried once, when there have been many. */
  union: 'untried' | 'trying' | 'pays' | 'does_not_pay';
  rowsApart: number;
  /** Whether other plans than those that the servers choose are quicker. */
  readonly generic: PlanTrial;
  readonly serial: PlanTrial;
  /** The tasks of the last run, without values. */
  last: { readonly key: string; readonly tasks: readonly Task[] } | undefined;
}

export function fanOutMemory(fanOut: FanOut): FanOutMemory {
  return {
    texts: new RenderedTexts(fanOut.shardQuery), boundedTexts: fanOut.bounded === undefined ? undefined : new RenderedTexts(fanOut.bounded), cost: undefined, shardCost: Number.POSITIVE_INFINITY, runs: 0, judgedAgainAt: 1,
    union: 'untried', rowsApart: 0, generic: new PlanTrial('generic', 12), serial: new PlanTrial('serial', 3), last: undefined,
  };
}

export interface ChosenTasks {
  readonly tasks: readonly Task[];
  readonly united: boolean;
  /** What the statements may be prepared under. */
  readonly repeats: number | undefined;
  /** Undefined where the servers plan as they like. */
  readonly planning: ChosenPlanning | undefined;
  /** Given where each task need only bring what is not behind the first rows of others. */
  readonly bounded: BoundedTasks | undefined;
}

/** How tasks that are sent later are bounded by the rows of earlier ones. */
export interface BoundedTasks {
  readonly keys: readonly SortKey[];
  /** As many rows as are needed of all. */
  readonly rowsMax: number;
  /** The task of this place, for a shard from which rows behind `bound` are not needed. */
  task(place: number, bound: string): Task;
}

/** The tasks of a bound fan-out: one per shard group, or fused, or reading a node's shard groups as one. */
export async function fanOutTasks(scope: StatementScope, bound: BoundFanOut, memory: FanOutMemory, options: TaskOptions): Promise<ChosenTasks> {
  const evaluated = await withEvaluated(scope, bound.fanOut, bound.values);
  const values = partialValues(bound.fanOut.shardQuery, evaluated);
  if (memory.cost === undefined) {
    const [first] = shardTasks(memory.texts, present(bound.uses[0]), { ordinals: bound.ordinals.slice(0, 1), values });
    memory.shardCost = await costOf(scope, present(first));
    memory.cost = memory.shardCost <= (options.lookupCostMax ?? lookupCostMax) ? 'lookup' : 'scan';
  }
  memory.runs += 1;
  const united = unites(bound.fanOut, memory, options);
  const rowsMax = neededRows(bound.fanOut.merge, bound.values);
  const bounded = memory.cost === 'scan' && !united ? boundedTasks(bound, memory, { rowsMax, values: evaluated }) : undefined;
  const key = [memory.cost, united, bounded !== undefined, rowsMax, bound.ordinals].join();
  if (memory.last?.key !== key) memory.last = { key, tasks: makeTasks(bound, memory, { united, bounded: bounded !== undefined, rowsMax, lanes: options.connectionsPerNode }) };
  const trial = trialFor(memory, { united, hasValues: values.length > 0, repeats: options.repeats });
  const planning = scope.inTransaction ? undefined : trial?.choose();
  const repeats = planning?.mode === 'serial' ? undefined : options.repeats;
  return { tasks: memory.last.tasks.map((task) => ({ ...task, values })), united, repeats, planning, bounded };
}

/** More rows are too many to be looked at one by one. */
const boundedRowsMax = 20_000;

function boundedTasks({ fanOut, uses, ordinals }: BoundFanOut, { boundedTexts }: FanOutMemory, run: { readonly rowsMax: number | undefined; readonly values: readonly unknown[] }): BoundedTasks | undefined {
  const { rowsMax } = run;
  const limit = limitOf(fanOut.merge);
  if (boundedTexts === undefined || fanOut.bounded === undefined || limit?.input.kind !== 'merge_sorted') return undefined;
  if (rowsMax === undefined || rowsMax < 1 || rowsMax > boundedRowsMax) return undefined;
  const values = partialValues(fanOut.bounded, run.values).slice(0, -1);
  return {
    keys: limit.input.keys, rowsMax,
    task: (place, bound) => at(shardTasks(boundedTexts, present(uses[0]), { ordinals: ordinals.slice(place, place + 1), values: [...values, bound] }), 0),
  };
}

interface Form {
  readonly united: boolean;
  readonly bounded: boolean;
  readonly rowsMax: number | undefined;
  readonly lanes: number;
}

function makeTasks({ fanOut, uses, ordinals }: BoundFanOut, memory: FanOutMemory, { united, bounded, rowsMax, lanes }: Form): readonly Task[] {
  const use = present(uses[0]);
  if (united) return unitedTasks(fanOut.shardQuery, use, { ordinals, columns: present(fanOut.united) });
  const tasks = shardTasks(memory.texts, use, { ordinals, values: [] });
  if (bounded || (memory.cost === 'scan' && (rowsMax === undefined || rowsMax < fusedRowsMin))) return tasks;
  if (!isFusable(fanOut)) return tasks;
  const costMax = memory.cost === 'lookup' ? laneCost : Number.POSITIVE_INFINITY;
  const tasksMax = Math.max(1, Math.floor(costMax / memory.shardCost));
  return fusedTasks(tasks, { order: fanOut.shardOrder, rowsMax, tasksMax, lanes });
}

/** Rows of shards have types of their own, which UNION cannot unite; other types of users and extensions are rare enough to go with them. Nor may it lock rows. */
export function isFusable({ columns, locks }: FanOut): boolean {
  return locks === undefined && columns.every(({ typeOid }) => typeOid < firstUserOid);
}

/** From so many rows on, each node sorts its shard groups' rows together and sends only those that LIMIT and OFFSET can take. */
const fusedRowsMin = 500;

/** A fused statement that costs more is split, so that a node may work on it over several connections. */
const laneCost = 1200;

/** The most rows of the sorted whole that a merge looks at; undefined when it may look at all. */
function neededRows(merge: MergePlan, values: readonly unknown[]): number | undefined {
  if (merge.kind === 'project') return neededRows(merge.input, values);
  if (merge.kind !== 'limit' || merge.input.kind !== 'merge_sorted' || merge.limit === undefined || merge.ties !== undefined) return undefined;
  const limit = rowCountOf(merge.limit, { clause: 'LIMIT', values });
  const offset = merge.offset === undefined ? 0 : rowCountOf(merge.offset, { clause: 'OFFSET', values });
  return limit === null ? undefined : limit + (offset ?? 0);
}

function unites({ united }: FanOut, memory: FanOutMemory, { unite }: TaskOptions): boolean {
  if (united === undefined || unite === false) return false;
  return unite === true || memory.union === 'trying' || memory.union === 'pays';
}

/** From so many rows on it is worth trying whether fewer come when each node combines its own. */
const rowsApartMin = 1000;
/** Reading shard groups as one takes the servers a little longer. */
const rowsUnitedShare = 0.7;

/** Learns from the number of rows that a run brought. */
export function judgeUnion(memory: FanOutMemory, { united }: FanOut, run: { readonly united: boolean; readonly rows: number }): void {
  if (united === undefined) return;
  if (!run.united && memory.union === 'untried' && run.rows >= rowsApartMin) {
    memory.union = 'trying';
    memory.rowsApart = run.rows;
  } else if (run.united && memory.union === 'trying') {
    memory.union = run.rows <= memory.rowsApart * rowsUnitedShare ? 'pays' : 'does_not_pay';
  }
}

/**
 * PostgreSQL compares estimates only, in which planning a lookup on many shard groups hardly counts: `BETWEEN $1 AND $2` seems to give many rows where the values are not
 * known, so it plans each run anew, which takes several times as long as running it. And it gives groups that it takes for few to parallel workers, each of which then has all of them.
 */
function trialFor(memory: FanOutMemory, run: { readonly united: boolean; readonly hasValues: boolean; readonly repeats: number | undefined }): PlanTrial | undefined {
  if (run.united) return memory.union === 'pays' ? memory.serial : undefined;
  return memory.cost === 'lookup' && run.repeats !== undefined && run.hasValues ? memory.generic : undefined;
}

/** A lookup that takes longer is perhaps none. */
const slowLookupMs = 20;

/** Learns from the time that a run took. */
export function judgeCost(memory: FanOutMemory, ms: number): void {
  if (ms <= slowLookupMs || memory.cost !== 'lookup' || memory.runs < memory.judgedAgainAt) return;
  memory.cost = undefined;
  memory.judgedAgainAt = memory.runs * 2;
}

/** Costs up to here (in the planner's units) are worth one statement for all shard groups of a node. */
const lookupCostMax = 400;

/** Asks a node's planner about one shard group's statement. */
async function costOf(scope: StatementScope, task: Task): Promise<number> {
  const { rows } = await scope.run(task.node, { text: `EXPLAIN (FORMAT JSON) ${task.sql}`, values: task.values }, 'read');
  const [explained] = JSON.parse(at(rows, 0)[0] ?? '[]') as { Plan?: { 'Total Cost'?: number } }[];
  return explained?.Plan?.['Total Cost'] ?? Number.POSITIVE_INFINITY;
}
