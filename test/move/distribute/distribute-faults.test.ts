import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../cluster/connections.ts';
import { at } from '../../../src/base/assert.ts';
import type { Cluster } from '../../../src/index.ts';
import type { DistributionWish } from '../../../src/move/distribute/begin-distribution.ts';
import { isOver, isUndoable, moveStates } from '../../../src/move/move-state.ts';
import { commitSteps } from '../../../src/txn/distributed-transaction.ts';
import type { MoveTask } from '../fault-child.ts';
import { openMoves } from '../fault-moves.ts';
import { listRemains, type MoveCluster, startMoveCluster } from '../move-cluster.ts';
import { ledgerRows, ledgerTable, startLedger } from './ledger.ts';
import { forkScript } from '../../support/child-script.ts';

/**
 * A fault at each state of a table's distribution, and at each step of its commit, under a small writing load in another process. Afterwards the table is distributed or what it was, nothing is left, and all that
 * was acknowledged is there. Servers and connections that go away: distribute-servers.test.ts.
 */
const way = moveStates.filter((state) => !isOver(state) && state !== 'undo');
/** What comes before a state's effect differs by one stored word from what comes behind the one before. */
const steps = ['preflight:begun', ...way.map((state) => `${state}:done`), 'cut_over:begun', 'clean_up:begun', ...commitSteps];
const isBeforeCutOver = (step: string): boolean => {
  const state = way.find((one) => step.startsWith(`${one}:`));
  return state === undefined ? commitSteps.findIndex((one) => one === step) < commitSteps.indexOf('decided') : step !== 'cut_over:done' && isUndoable(state);
};
let tested: MoveCluster;
let cluster: Cluster;
let spare: ChildProcess;
let tables = 0;

beforeAll(async () => {
  spare = forkChild();
  tested = await startMoveCluster({ nodes: 2, major: 15, options: { recoveryIntervalMs: 0 } });
  ({ cluster } = tested);
}, 120_000);

afterAll(async () => {
  spare.kill('SIGKILL');
  await tested[Symbol.asyncDispose]();
}, 60_000);

interface Faulty {
  readonly table: string;
  readonly wish: DistributionWish;
}

/** Meets a table with writers with a fault; `isDone` tells what must have become of it. */
async function expectWhole(work: (faulty: Faulty) => Promise<boolean>): Promise<void> {
  tables += 1;
  const table = `t${tables}`;
  await cluster.query(`${ledgerTable(table)}; INSERT INTO ${table} SELECT g % 23, g, 0, 'old' FROM generate_series(1, 100) g`);
  const load = startLedger([cluster], table, { writers: 1, pauseMs: 2 });
  let isDone: boolean;
  let expected: string[];
  try {
    isDone = await work({ table, wish: { table, column: 'tenant', colocateWith: 'none', shardCount: 3, hash: undefined, limits: {} } });
  } finally {
    expected = await load.stop();
  }
  expect(load.objections).toEqual([]);
  expect(await ledgerRows(cluster, table)).toEqual(expected);
  expect((await cluster.query(`SELECT count(*)::int FROM ${table} WHERE id < 1000000`)).rows).toEqual([{ count: 100 }]);
  expect(at((await cluster.jobs({ all: true })).slice(-1), 0).state).toBe(isDone ? 'done' : 'undone');
  expect((await cluster.tables()).some(({ name }) => name === table)).toBe(isDone);
  await expect.poll(() => listRemains(tested.on, [0, 1, 2]), { interval: 20 }).toEqual([]);
  const shards = `SELECT count(*)::int FROM pg_class WHERE relname ~ '^${table}_\\d+$' AND relkind = 'r'`;
  const there = await Promise.all([1, 2].map((node) => tested.on(node, shards)));
  expect(there.flat(2).reduce<number>((sum, count) => sum + Number(count), 0)).toBe(isDone ? 3 : 0);
  const group = isDone ? [] : await tested.on(0, 'SELECT FROM shardwright.colocation_group g WHERE NOT EXISTS (SELECT FROM shardwright.distributed_table t WHERE t.colocation_id = g.colocation_id)');
  expect(group).toEqual([]);
  await cluster.query(`DROP TABLE ${table}`);
}

test.each(steps)('an error at %s', async (step) => {
  await expectWhole(async ({ wish }) => {
    let hits = 0;
    const onStep = (reached: string): void => {
      if (reached !== step) return;
      hits += 1;
      if (hits === 1) throw new Error('injected');
    };
    const { moves, pools, context } = await openMoves(tested.embedded.connectionString, 'mover');
    try {
      const outcome = await moves.distribute(context, wish, { onStep }).then(() => 'done', (error: unknown) => error);
      if (isBeforeCutOver(step)) expect(outcome).toMatchObject({ id: 'moveUndone', cause: expect.objectContaining({ message: 'injected' }) as unknown });
      else expect(outcome).toBe('done');
    } finally {
      await pools.end();
    }
    expect(hits).toBeGreaterThan(0);
    return !isBeforeCutOver(step);
  });
}, 120_000);

test.each([...steps, 'undo'])('the process is killed at %s', async (step) => {
  await expectWhole(async ({ wish }) => {
    await killAt(wish, step === 'undo' ? 'catch_up:done' : step);
    const { jobId } = at(await cluster.jobs(), 0);
    if (step === 'undo') await cluster.cancelJob(jobId);
    else await cluster.resumeJob(jobId);
    return step !== 'undo';
  });
}, 120_000);

test('any process of the cluster carries on what was left, by itself', async () => {
  await expectWhole(async ({ wish, table }) => {
    await killAt(wish, 'index:done');
    const another = tested.another({ recoveryIntervalMs: 100 });
    await another.query(`SELECT 1 FROM ${table} LIMIT 1`);
    await until(async () => (await another.jobs()).length === 0);
    await another.end();
    return true;
  });
}, 120_000);

async function killAt(wish: DistributionWish, step: string): Promise<void> {
  const child = spare;
  spare = forkChild();
  child.send({ coordinator: tested.embedded.connectionString, wish, step } satisfies MoveTask);
  expect(await once(child, 'message')).toEqual(['reached', undefined]);
  child.kill('SIGKILL');
  await once(child, 'exit');
}

function forkChild(): ChildProcess {
  return forkScript(new URL('../fault-child.ts', import.meta.url));
}
