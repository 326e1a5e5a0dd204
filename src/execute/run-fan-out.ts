import { createHash } from 'node:crypto';
import { allOrAbort } from '../base/abort.ts';
import { at, present } from '../base/assert.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { RawRow } from '../cluster/node-connection.ts';
import { RenderedTexts, partialValues } from '../plan/bind.ts';
import type { Task } from '../plan/distributed-plan.ts';
import type { FanOut } from '../plan/fan-out.ts';
import type { MergePlan } from '../plan/merge-plan.ts';
import type { PrunableUse } from '../plan/statement-plan.ts';
import { withEvaluated } from './evaluate.ts';
import { rowCountOf } from './merge/row-count.ts';
import { mergeComplete } from './merge/merge-complete.ts';
import { runMerge } from './merge/run-merge.ts';
import type { ResultLimits } from './staged/hold-rows.ts';
import { runResidual } from './run-residual.ts';
import { fusedTasks, shardTasks, tasksByNode } from './shard-tasks.ts';
import type { StatementScope } from './statement-scope.ts';

/** A fan-out with its shard groups chosen. */
export interface BoundFanOut {
  readonly fanOut: FanOut;
  readonly uses: readonly PrunableUse[];
  readonly ordinals: readonly number[];
  readonly values: readonly unknown[];
}

export interface FanOutOptions extends ResultLimits {
  readonly batchRows?: number | undefined;
  /** Connections that one statement may use on one node. */
  readonly connectionsPerNode: number;
}

/** What is remembered of a fan-out between its runs. */
export interface FanOutMemory {
  readonly texts: RenderedTexts;
  /** Lookups are fused into one statement per node; scans run one by one. Unknown before the first run. */
  cost: 'lookup' | 'scan' | undefined;
  runs: number;
  /** A lookup that turns out slow from this run on is judged again: its tables may have grown, or have statistics now. */
  judgedAgainAt: number;
}

export function fanOutMemory(fanOut: FanOut): FanOutMemory {
  return { texts: new RenderedTexts(fanOut.shardQuery), cost: undefined, runs: 0, judgedAgainAt: 1 };
}

/** The tasks of a bound fan-out, fused or not. */
export async function fanOutTasks(scope: StatementScope, bound: BoundFanOut, memory: FanOutMemory): Promise<Task[]> {
  const values = await withEvaluated(scope, bound.fanOut, bound.values);
  const tasks = shardTasks(memory.texts, present(bound.uses[0]), { ordinals: bound.ordinals, values: partialValues(bound.fanOut.shardQuery, values) });
  memory.cost ??= await costOf(scope, at(tasks, 0));
  memory.runs += 1;
  const rowsMax = neededRows(bound.fanOut.merge, bound.values);
  if (memory.cost === 'scan' && (rowsMax === undefined || rowsMax < fusedRowsMin)) return tasks;
  if (!isFusable(bound.fanOut)) return tasks;
  const fused = fusedTasks(tasks, { order: bound.fanOut.shardOrder, rowsMax });
  return memory.cost === 'lookup' && memory.runs > preparedRunsMin ? fused.map(prepared) : fused;
}

const firstUserOid = 16_384;

/** Rows of shards have types of their own, which UNION cannot unite; other types of users and extensions are rare enough to go with them. */
function isFusable({ columns }: FanOut): boolean {
  return columns.every(({ typeOid }) => typeOid < firstUserOid);
}

/** A statement run more often than this is prepared on the nodes' connections: planning it costs more than running it. */
const preparedRunsMin = 3;

function prepared(task: Task): Task {
  return { ...task, name: `shardwright_${createHash('sha1').update(task.sql).digest('base64url')}` };
}

/** From so many rows on, each node sorts its shard groups' rows together and sends only those that LIMIT and OFFSET can take. */
const fusedRowsMin = 500;

/** The most rows of the sorted whole that a merge looks at; undefined when it may look at all. */
function neededRows(merge: MergePlan, values: readonly unknown[]): number | undefined {
  if (merge.kind === 'project') return neededRows(merge.input, values);
  if (merge.kind !== 'limit' || merge.input.kind !== 'merge_sorted' || merge.limit === undefined || merge.ties !== undefined) return undefined;
  const limit = rowCountOf(merge.limit, { clause: 'LIMIT', values });
  const offset = merge.offset === undefined ? 0 : rowCountOf(merge.offset, { clause: 'OFFSET', values });
  return limit === null ? undefined : limit + (offset ?? 0);
}

/** All rows of a fan-out, merged. */
export async function collectFanOut(scope: StatementScope, bound: BoundFanOut, memory: FanOutMemory, options: FanOutOptions): Promise<readonly RawRow[]> {
  const tasks = await fanOutTasks(scope, bound, memory);
  const started = performance.now();
  const sets = await collectTasks(scope, tasks, memory, options);
  if (performance.now() - started > slowLookupMs) judgeAgain(memory);
  const complete = options.batchRows === undefined ? mergeComplete(bound.fanOut.merge, sets, bound.values) : undefined;
  if (complete !== undefined) return complete;
  const rows: RawRow[] = [];
  const merged = mergeStreams(scope, bound, { streams: sets.map(batchesOf(options.batchRows)), options });
  for await (const batch of merged) for (const row of batch) rows.push(row);
  return rows;
}

function batchesOf(batchRows: number | undefined) {
  return async function* batches(rows: readonly RawRow[]): AsyncGenerator<readonly RawRow[]> {
    const size = batchRows ?? Math.max(rows.length, 1);
    for (let i = 0; i < rows.length; i += size) yield rows.slice(i, i + size);
  };
}

interface Streams {
  readonly streams: readonly AsyncIterable<readonly RawRow[]>[];
  readonly options: FanOutOptions;
}

function mergeStreams(scope: StatementScope, { fanOut, values }: BoundFanOut, { streams, options }: Streams): AsyncIterable<readonly RawRow[]> {
  return runMerge(fanOut.merge, {
    streams,
    values,
    residual: (residual, rows) => runResidual(scope, residual, { rows, values, limits: options }),
    ...(options.batchRows === undefined ? {} : { batchRows: options.batchRows }),
  });
}

/** Row sets in the order of the tasks. */
async function collectTasks(scope: StatementScope, tasks: readonly Task[], memory: FanOutMemory, options: FanOutOptions): Promise<RawRow[][]> {
  if (memory.cost === 'lookup' && scope.signal === undefined) {
    const results = await settleAll(tasks.map((task) => scope.run(task.node, { text: task.sql, values: task.values, name: task.name }, 'read')));
    return results.map(({ rows }) => rows);
  }
  const sets = new Map<Task, RawRow[]>();
  await allOrAbort(scope.signal, [...tasksByNode(tasks).values()].map((own) => () => collectOnNode(scope, own, { sets, options })));
  return tasks.map((task) => present(sets.get(task)));
}

/** Waits for all, then throws the first error: nothing is left running. */
async function settleAll<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}

/** How many statements are on the way on one connection, so that it never idles between two. */
const depth = 2;

/** Works off a node's tasks over a few connections. */
async function collectOnNode(
  scope: StatementScope,
  tasks: readonly Task[],
  { sets, options }: { readonly sets: Map<Task, RawRow[]>; readonly options: FanOutOptions },
): Promise<void> {
  const queue = [...tasks];
  const node = at(tasks, 0).node;
  const lanes = scope.inTransaction ? 1 : Math.min(options.connectionsPerNode, Math.ceil(tasks.length / depth));
  await settleAll(Array.from({ length: lanes }, () => scope.withConnection(node, 'read', async (connection) => {
    const lane = async (): Promise<void> => {
      for (let task = queue.shift(); task !== undefined; task = queue.shift()) {
        const { rows } = await connection.query({ text: task.sql, values: task.values }, { signal: scope.signal, onNotice: scope.onNotice });
        sets.set(task, rows);
      }
    };
    await settleAll(Array.from({ length: depth }, async () => {
      try {
        await lane();
      } catch (error) {
        queue.length = 0;
        throw error;
      }
    }));
  })));
}

/** The merged rows of a fan-out as they come: one connection per node, taken in order of nodes so that no two calls wait for each other. */
export async function* streamFanOut(scope: StatementScope, bound: BoundFanOut, memory: FanOutMemory, options: FanOutOptions): AsyncGenerator<readonly RawRow[]> {
  if (!isStreaming(bound.fanOut.merge) || !isFusable(bound.fanOut)) {
    yield await collectFanOut(scope, bound, memory, options);
    return;
  }
  const values = await withEvaluated(scope, bound.fanOut, bound.values);
  const tasks = fusedTasks(
    shardTasks(memory.texts, present(bound.uses[0]), { ordinals: bound.ordinals, values: partialValues(bound.fanOut.shardQuery, values) }),
    { order: bound.fanOut.shardOrder, rowsMax: undefined },
  ).sort((a, b) => a.node - b.node);
  yield* openStreams(scope, tasks, [], (opened) => mergeStreams(scope, bound, { streams: opened, options }), options);
}

/** Whether rows come out before all have come in. */
function isStreaming(merge: MergePlan): boolean {
  switch (merge.kind) {
    case 'gather':
    case 'merge_sorted':
      return true;
    case 'limit':
    case 'project':
    case 'distinct':
    case 'filter':
      return isStreaming(merge.input);
    case 'sort':
    case 'combine_aggregates':
    case 'residual':
      return false;
  }
}

type Batches = AsyncIterable<readonly RawRow[]>;

async function* openStreams(
  scope: StatementScope,
  tasks: readonly Task[],
  opened: readonly Batches[],
  merge: (opened: readonly Batches[]) => Batches,
  options: FanOutOptions,
): AsyncGenerator<readonly RawRow[]> {
  const held = new HeldConnections(scope);
  try {
    const all = [...opened];
    for (const task of tasks) {
      const connection = await held.take(task.node);
      all.push(connection.stream({ text: task.sql, values: task.values }, { signal: scope.signal, ...(options.batchRows === undefined ? {} : { batchRows: options.batchRows }) }));
    }
    yield* merge(all);
  } finally {
    await held.release();
  }
}

/** Connections held over the life of a generator. */
class HeldConnections {
  readonly #done: (() => void)[] = [];
  readonly #ended: Promise<unknown>[] = [];

  constructor(private readonly scope: StatementScope) {}

  take(node: NodeId): Promise<Parameters<Parameters<StatementScope['withConnection']>[2]>[0]> {
    return new Promise((resolve, reject) => {
      const ended = this.scope.withConnection(node, 'read', (connection) => {
        resolve(connection);
        return new Promise<void>((done) => this.#done.push(done));
      });
      ended.catch(reject);
      this.#ended.push(ended);
    });
  }

  async release(): Promise<void> {
    for (const done of this.#done) done();
    await Promise.allSettled(this.#ended);
  }
}

/** A lookup that takes longer is perhaps none. */
const slowLookupMs = 20;

function judgeAgain(memory: FanOutMemory): void {
  if (memory.cost !== 'lookup' || memory.runs < memory.judgedAgainAt) return;
  memory.cost = undefined;
  memory.judgedAgainAt = memory.runs * 2;
}

/** Costs up to here (in the planner's units) are worth one statement for all shard groups of a node. */
const lookupCostMax = 400;

/** Asks a node's planner about one shard group's statement. */
async function costOf(scope: StatementScope, task: Task): Promise<'lookup' | 'scan'> {
  const { rows } = await scope.run(task.node, { text: `EXPLAIN (FORMAT JSON) ${task.sql}`, values: task.values }, 'read');
  const [explained] = JSON.parse(rows[0]?.[0] ?? '[]') as { Plan?: { 'Total Cost'?: number } }[];
  return (explained?.Plan?.['Total Cost'] ?? Number.POSITIVE_INFINITY) <= lookupCostMax ? 'lookup' : 'scan';
}
