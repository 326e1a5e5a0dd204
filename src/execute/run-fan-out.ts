import { allOrAbort } from '../base/abort.ts';
import { at, present } from '../base/assert.ts';
import type { Planning, RawRow } from '../cluster/node-connection.ts';
import { partialValues } from '../plan/bind.ts';
import type { Task } from '../plan/distributed-plan.ts';
import type { MergePlan } from '../plan/merge-plan.ts';
import { withEvaluated } from './evaluate.ts';
import { type BoundedTasks, type BoundFanOut, type FanOutMemory, fanOutTasks, isFusable, judgeCost, judgeUnion, type TaskOptions } from './fan-out-tasks.ts';
import { HeldConnections } from './held-connections.ts';
import { lockedRows } from './locking/locked-rows.ts';
import { mergeComplete } from './merge/merge-complete.ts';
import { runMerge } from './merge/run-merge.ts';
import type { ResultLimits } from './staged/hold-rows.ts';
import { sameWidth } from './same-width.ts';
import { RowBound } from './row-bound.ts';
import { runResidual } from './run-residual.ts';
import { fusedTasks, shardTasks, tasksByNode } from './shard-tasks.ts';
import type { StatementScope } from './statement-scope.ts';

export interface FanOutOptions extends ResultLimits, TaskOptions {
  readonly batchRows?: number | undefined;
  /** Of what one task brings, where all are collected: `ResultTooLong` beyond. */
  readonly wholeBytesMax?: number | undefined;
}

/** All rows of a fan-out, merged. */
export async function collectFanOut(scope: StatementScope, bound: BoundFanOut, memory: FanOutMemory, options: FanOutOptions): Promise<readonly RawRow[]> {
  if (bound.fanOut.locks !== undefined) return mergeSets(scope, bound, { sets: await lockedRows(scope, bound, bound.fanOut.locks), options });
  const { tasks, united, repeats, planning, bounded } = await fanOutTasks(scope, bound, memory, options);
  const started = performance.now();
  const how = { ...options, repeats, planning: planning?.mode, asLookups: memory.cost === 'lookup' };
  const sets = bounded === undefined ? await collectTasks(scope, tasks, how) : [await collectBounded(scope, tasks, bounded, how)];
  const ms = performance.now() - started;
  planning?.judge(ms);
  judgeCost(memory, ms);
  judgeUnion(memory, bound.fanOut, { united, rows: sets.reduce((sum, { length }) => sum + length, 0) });
  return mergeSets(scope, bound, { sets, options });
}

/** The merged rows, where those of all tasks are there. */
async function mergeSets(scope: StatementScope, bound: BoundFanOut, { sets, options }: { readonly sets: readonly (readonly RawRow[])[]; readonly options: FanOutOptions }): Promise<readonly RawRow[]> {
  sets.forEach(sameWidth());
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

interface CollectOptions extends FanOutOptions {
  /** All at once, over shared connections. */
  readonly asLookups: boolean;
  readonly planning: Planning | undefined;
}

/** Row sets in the order of the tasks. */
async function collectTasks(scope: StatementScope, tasks: readonly Task[], options: CollectOptions): Promise<RawRow[][]> {
  const { asLookups, repeats, planning, wholeBytesMax: bytesMax } = options;
  if (asLookups && scope.signal === undefined) {
    const results = await settleAll(tasks.map(({ node, sql: text, values }) => scope.run(node, { text, values, repeats, planning, bytesMax }, 'read')));
    return results.map(({ rows }) => rows);
  }
  const sets = new Map<Task, RawRow[]>();
  const taken = (task: Task, rows: RawRow[]): void => void sets.set(task, rows);
  await allOrAbort(scope.signal, [...tasksByNode(tasks).values()].map((own) => () => collectOnNode(scope, own, { depth: 2, sent: (task) => task, taken }, options)));
  return tasks.map((task) => present(sets.get(task)));
}

/** The first rows of all tasks together, in order. Those that are sent later leave out what is behind the first rows that have come. */
async function collectBounded(scope: StatementScope, tasks: readonly Task[], bounded: BoundedTasks, options: CollectOptions): Promise<readonly RawRow[]> {
  const first = new RowBound(bounded.keys, bounded.rowsMax);
  const places = new Map(tasks.map((task, place) => [task, place]));
  const placeOf = (task: Task): number => present(places.get(task));
  const sent = (task: Task): Task => (first.bound === undefined ? task : bounded.task(placeOf(task), first.bound));
  const check = sameWidth();
  const taken = (task: Task, rows: readonly RawRow[]): void => {
    check(rows);
    first.add(placeOf(task), rows);
  };
  await allOrAbort(scope.signal, [...tasksByNode(tasks).values()].map((own) => () => collectOnNode(scope, own, { depth: 1, sent, taken }, options)));
  return first.rows;
}

/** Waits for all, then throws the first error: nothing is left running. */
async function settleAll<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}

interface Collecting {
  /** How many statements are on the way on one connection: with two it never idles between them. */
  readonly depth: number;
  /** What is sent for a task, when its turn has come. */
  readonly sent: (task: Task) => Task;
  readonly taken: (task: Task, rows: RawRow[]) => void;
}

/** Works off a node's tasks over a few connections. */
async function collectOnNode(scope: StatementScope, tasks: readonly Task[], { depth, sent, taken }: Collecting, options: CollectOptions): Promise<void> {
  const queue = [...tasks];
  const node = at(tasks, 0).node;
  const lanes = scope.inTransaction ? 1 : Math.min(options.connectionsPerNode, Math.ceil(tasks.length / depth));
  await settleAll(Array.from({ length: lanes }, () => scope.withConnection(node, 'read', async (connection) => {
    const lane = async (): Promise<void> => {
      for (let task = queue.shift(); task !== undefined; task = queue.shift()) {
        const { sql: text, values } = sent(task);
        const { rows } = await connection.query({ text, values, repeats: options.repeats, planning: options.planning, bytesMax: options.wholeBytesMax }, { signal: scope.signal, onNotice: scope.onNotice });
        taken(task, rows);
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
    { order: bound.fanOut.shardOrder, rowsMax: undefined, tasksMax: undefined, lanes: 1 },
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

/** A stream is at work before it is read, and so has to be ended also if it never is. */
function checked(batches: Batches, check: (rows: readonly RawRow[]) => void): Batches {
  return {
    [Symbol.asyncIterator]: () => {
      const iterator = batches[Symbol.asyncIterator]();
      const end = (): Promise<IteratorResult<readonly RawRow[]>> => iterator.return?.() ?? Promise.resolve({ done: true, value: undefined });
      const next = async (): Promise<IteratorResult<readonly RawRow[]>> => {
        const step = await iterator.next();
        if (step.done === true) return step;
        try {
          check(step.value);
        } catch (error) {
          await end();
          throw error;
        }
        return step;
      };
      return { next, return: end };
    },
  };
}

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
    const check = sameWidth();
    for (const task of tasks) {
      const connection = await held.take(task.node);
      all.push(checked(connection.stream({ text: task.sql, values: task.values }, { signal: scope.signal, ...(options.batchRows === undefined ? {} : { batchRows: options.batchRows }) }), check));
    }
    yield* merge(all);
  } finally {
    await held.release();
  }
}
