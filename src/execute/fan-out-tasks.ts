import { createHash } from 'node:crypto';
import { at, present } from '../base/assert.ts';
import { RenderedTexts, partialValues } from '../plan/bind.ts';
import type { Task } from '../plan/distributed-plan.ts';
import type { FanOut } from '../plan/fan-out.ts';
import type { MergePlan } from '../plan/merge-plan.ts';
import type { PrunableUse } from '../plan/statement-plan.ts';
import { withEvaluated } from './evaluate.ts';
import { rowCountOf } from './merge/row-count.ts';
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
}

/** What is remembered of a fan-out between its runs. */
export interface FanOutMemory {
  readonly texts: RenderedTexts;
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
  /** The shortest run of the prepared statements, with plans that PostgreSQL chose and with generic ones. */
  readonly planMs: Record<PlanMode, number>;
  /** The tasks of the last run, without values. */
  last: { readonly key: string; readonly tasks: readonly Task[] } | undefined;
}

export function fanOutMemory(fanOut: FanOut): FanOutMemory {
  return {
    texts: new RenderedTexts(fanOut.shardQuery), cost: undefined, shardCost: Number.POSITIVE_INFINITY, runs: 0, judgedAgainAt: 1,
    union: 'untried', rowsApart: 0, planMs: { chosen: Number.POSITIVE_INFINITY, generic: Number.POSITIVE_INFINITY }, last: undefined,
  };
}

/** How the servers plan prepared statements. */
type PlanMode = 'chosen' | 'generic';

export interface ChosenTasks {
  readonly tasks: readonly Task[];
  readonly united: boolean;
  /** Undefined for statements that are not prepared. */
  readonly planMode: PlanMode | undefined;
}

/** The tasks of a bound fan-out: one per shard group, or fused, or reading a node's shard groups as one. */
export async function fanOutTasks(scope: StatementScope, bound: BoundFanOut, memory: FanOutMemory, options: TaskOptions): Promise<ChosenTasks> {
  const values = partialValues(bound.fanOut.shardQuery, await withEvaluated(scope, bound.fanOut, bound.values));
  if (memory.cost === undefined) {
    const [first] = shardTasks(memory.texts, present(bound.uses[0]), { ordinals: bound.ordinals.slice(0, 1), values });
    memory.shardCost = await costOf(scope, present(first));
    memory.cost = memory.shardCost <= lookupCostMax ? 'lookup' : 'scan';
  }
  memory.runs += 1;
  const united = unites(bound.fanOut, memory, options);
  const rowsMax = neededRows(bound.fanOut.merge, bound.values);
  const prepares = memory.cost === 'lookup' && memory.runs > preparedRunsMin;
  const key = [memory.cost, united, prepares, rowsMax, bound.ordinals].join();
  if (memory.last?.key !== key) memory.last = { key, tasks: makeTasks(bound, memory, { united, rowsMax, prepares, lanes: options.connectionsPerNode }) };
  const planMode = prepares && values.length > 0 ? planModeOf(memory, scope) : undefined;
  return { tasks: memory.last.tasks.map((task) => ({ ...task, values })), united, planMode };
}

interface Form {
  readonly united: boolean;
  readonly rowsMax: number | undefined;
  readonly prepares: boolean;
  readonly lanes: number;
}

function makeTasks({ fanOut, uses, ordinals }: BoundFanOut, memory: FanOutMemory, { united, rowsMax, prepares, lanes }: Form): readonly Task[] {
  const use = present(uses[0]);
  if (united) return named(unitedTasks(fanOut.shardQuery, use, { ordinals, columns: present(fanOut.united) }), prepares);
  const tasks = shardTasks(memory.texts, use, { ordinals, values: [] });
  if (memory.cost === 'scan' && (rowsMax === undefined || rowsMax < fusedRowsMin)) return tasks;
  if (!isFusable(fanOut)) return tasks;
  const costMax = memory.cost === 'lookup' ? laneCost : Number.POSITIVE_INFINITY;
  const tasksMax = Math.max(1, Math.floor(costMax / memory.shardCost));
  return named(fusedTasks(tasks, { order: fanOut.shardOrder, rowsMax, tasksMax, lanes }), prepares);
}

/** Rows of shards have types of their own, which UNION cannot unite; other types of users and extensions are rare enough to go with them. Nor may it lock rows. */
export function isFusable({ columns, locks }: FanOut): boolean {
  return locks === undefined && columns.every(({ typeOid }) => typeOid < firstUserOid);
}

/** A statement run more often than this is prepared on the nodes' connections: planning it costs more than running it. */
const preparedRunsMin = 3;

function named(tasks: readonly Task[], prepares: boolean): readonly Task[] {
  return prepares ? tasks.map((task) => ({ ...task, name: `shardwright_${createHash('sha1').update(task.sql).digest('base64url')}` })) : tasks;
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

/** Runs that PostgreSQL plans as it likes (by the values the first five times), and then runs by generic plans, before one is kept. */
const trialRuns = 12;
/** Asking for generic plans costs a little: they must be quicker by more than that. */
const genericMsShare = 0.8;

/**
 * PostgreSQL compares estimates only, in which planning a lookup on many shard groups hardly counts: `BETWEEN $1 AND $2` seems to give
 * many rows where the values are not known, so it plans each run anew, which takes several times as long as running it.
 */
function planModeOf({ runs, planMs }: FanOutMemory, { inTransaction }: StatementScope): PlanMode {
  if (inTransaction || runs <= preparedRunsMin + trialRuns) return 'chosen';
  if (runs <= preparedRunsMin + 2 * trialRuns) return 'generic';
  return planMs.generic < planMs.chosen * genericMsShare ? 'generic' : 'chosen';
}

/** Learns from the time that a run of prepared statements took. */
export function judgePlans({ planMs }: FanOutMemory, planMode: PlanMode | undefined, ms: number): void {
  if (planMode !== undefined) planMs[planMode] = Math.min(planMs[planMode], ms);
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
