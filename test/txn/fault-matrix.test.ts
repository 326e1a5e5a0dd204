import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../cluster/connections.ts';
import type { FaultTask } from './fault-child.ts';
import { type FaultServers, openFaultPools, startFaultServers } from './fault-servers.ts';
import { doFaultWork, type FaultWork } from './fault-work.ts';
import { clusterId } from './transaction-cluster.ts';
import { at } from '../../src/base/assert.ts';
import { ClusterError } from '../../src/base/errors.ts';
import type { NodePools } from '../../src/cluster/node-pools.ts';
import { type CommitStep, commitSteps } from '../../src/txn/distributed-transaction.ts';
import { outcomeOf } from '../../src/txn/outcome-of.ts';
import { recover, type RecoveryReport, recoverySteps } from '../../src/txn/recover.ts';
import { forkScript } from '../support/child-script.ts';

/**
 * A fault at each step of commit and of recovery, with two, three and four participants. Afterwards each transaction is everywhere or nowhere, and once recovery ran
 * nothing is left: no prepared transaction, no lock, no connection.
 */
const participants = [2, 3, 4] as const;

let cluster: FaultServers;
let spare: ChildProcess;
beforeAll(async () => {
  cluster = await startFaultServers(4);
  spare = forkChild();
}, 60_000);
afterAll(async () => {
  spare.kill('SIGKILL');
  await cluster[Symbol.asyncDispose]();
}, 30_000);

let cells = 0;
const newCell = (): string => `cell ${(cells += 1)}`;
const everywhere = (count: number): string => Array.from({ length: count }, (_, node) => node).join();

const commits = participants.flatMap((count) => commitSteps.map((step) => ({ count, step })));
/** Where a transaction that stops at the step must end up. */
const whereAfter = (step: CommitStep, count: number): string => (commitSteps.indexOf(step) < commitSteps.indexOf('decided') ? '' : everywhere(count));

describe.each(['begun', 'batches'] as const)('commit, %s', (way) => {
  test.each(commits)('an error at $step of $count', async ({ count, step }) => {
    const cell = newCell();
    const failing = withPools(count, (pools) => doFaultWork(pools, { way, cell }, throwAt(step)));
    if (whereAfter(step, count) === '') await expect(failing).rejects.toThrow('injected');
    else await failing;
    await expectSettled(cell, whereAfter(step, count));
  });

  test.each(commits)('stopped for a while at $step of $count: recovery leaves it alone', async ({ count, step }) => {
    const cell = newCell();
    await withPools(count, (pools) => doFaultWork(pools, { way, cell }, firstAt(step, async () => {
      const { rolledBack, left } = await recoverAll();
      expect({ rolledBack, left }).toEqual({ rolledBack: [], left: [] });
    })));
    await expectSettled(cell, everywhere(count));
  });

  test.each(commits)('the process is killed at $step of $count', async ({ count, step }) => {
    const cell = newCell();
    await killAt(step, count, { way, cell });
    await expectSettled(cell, whereAfter(step, count));
  });

  test.each(commits.flatMap((one) => [{ ...one, victim: 0 }, { ...one, victim: one.count - 1 }]))('server $victim is killed at $step of $count', async ({ count, step, victim }) => {
    const cell = newCell();
    const restarted = killServerAt(step, victim);
    const outcome = await withPools(count, (pools) => doFaultWork(pools, { way, cell }, restarted.onStep)).then(() => 'committed', (error: unknown) => error);
    await restarted.done();
    const where = await outcomeAfterRecovery(outcome, cell);
    await expectSettled(cell, where);
    expect([everywhere(count), '']).toContain(where);
    if (outcome === 'committed' || whereAfter(step, count) !== '') expect(where).toBe(everywhere(count));
  });
});

const recoveries = participants.flatMap((count) => recoverySteps.map((step) => ({ count, step })));

describe('recovery', () => {
  test.each(recoveries)('an error at $step of $count', async ({ count, step }) => {
    const left = await leaveBehind(count);
    await expect(withPools(count, (pools) => doFaultWork(pools, { way: 'recovery', cell: '' }, throwAt(step)))).rejects.toThrow('injected');
    await expectRecovered(left, count);
  });

  test.each(recoveries)('stopped at $step of $count while another one runs', async ({ count, step }) => {
    const left = await leaveBehind(count);
    await withPools(count, (pools) => doFaultWork(pools, { way: 'recovery', cell: '' }, firstAt(step, async () => void (await recoverAll()))));
    await expectRecovered(left, count);
  });

  test.each(recoveries)('the process is killed at $step of $count', async ({ count, step }) => {
    const left = await leaveBehind(count);
    await killAt(step, count, { way: 'recovery', cell: '' });
    await expectRecovered(left, count);
  });

  test.each(recoveries.flatMap((one) => [{ ...one, victim: 0 }, { ...one, victim: one.count - 1 }]))('server $victim is killed at $step of $count', async ({ count, step, victim }) => {
    const left = await leaveBehind(count);
    const restarted = killServerAt(step, victim);
    await withPools(count, (pools) => doFaultWork(pools, { way: 'recovery', cell: '' }, restarted.onStep));
    await restarted.done();
    await expectRecovered(left, count);
  });
});

async function withPools<T>(count: number, use: (pools: NodePools) => Promise<T>): Promise<T> {
  const pools = openFaultPools(cluster.connectionStrings.slice(0, count), 'owner');
  try {
    return await use(pools);
  } finally {
    await pools.end();
  }
}

function recoverAll(): Promise<RecoveryReport> {
  return withPools(4, (pools) => recover(pools, { clusterId }));
}

function throwAt(step: string): (reached: string) => void {
  return (reached) => {
    if (reached === step) throw new Error('injected');
  };
}

/** A step may be reached several times. */
function firstAt(step: string, act: () => Promise<void>): (reached: string) => Promise<void> {
  let acting: Promise<void> | undefined;
  return async (reached) => {
    if (reached === step) await (acting ??= act());
  };
}

/** The server comes back while the work goes on. */
function killServerAt(step: string, victim: number): { readonly onStep: (reached: string) => void; done(): Promise<void> } {
  let restarted: Promise<void> | undefined;
  const server = at(cluster.servers, victim);
  return {
    onStep: (reached) => {
      if (reached !== step || restarted !== undefined) return;
      server.kill();
      restarted = server.restart();
    },
    done: async () => {
      expect(restarted, `${step} was not reached`).toBeDefined();
      await restarted;
    },
  };
}

function forkChild(): ChildProcess {
  return forkScript(new URL('fault-child.ts', import.meta.url));
}

/** The next child starts while this one works. */
async function killAt(step: string, count: number, work: FaultWork): Promise<void> {
  const child = spare;
  spare = forkChild();
  const task: FaultTask = { connectionStrings: cluster.connectionStrings.slice(0, count), work, step };
  child.send(task);
  expect(await once(child, 'message')).toEqual(['reached', undefined]);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await until(async () => !(await cluster.remains('child')).some((line) => line.includes('connection')));
}

/** Where the row is, which must agree with what the caller was told. */
async function outcomeAfterRecovery(outcome: unknown, cell: string): Promise<string> {
  await recoverAll();
  const where = await cluster.nodesWith(cell);
  if (!(outcome instanceof ClusterError) || outcome.id !== 'outcomeUnknown') expect(where !== '').toBe(outcome === 'committed');
  else expect(await withPools(4, (pools) => outcomeOf(pools, outcome.transactionId ?? '', { clusterId }))).toBe(where === '' ? 'aborted' : 'committed');
  return where;
}

async function expectSettled(cell: string, where: string): Promise<void> {
  expect((await recoverAll()).left).toEqual([]);
  expect(await cluster.nodesWith(cell)).toBe(where);
  await until(async () => !(await cluster.remains('owner')).some((line) => line.includes('connection')));
  expect(await cluster.remains('child')).toEqual([]);
}

interface Left {
  readonly decided: string;
  readonly undecided: string;
}

/** What two owners left that died before and behind the decision, which is node 0's. */
async function leaveBehind(count: number): Promise<Left> {
  const left = { decided: newCell(), undecided: newCell() };
  const idOf = (cell: string): string => cell.replace(' ', '');
  for (const cell of [left.decided, left.undecided]) {
    for (let node = 1; node < count; node += 1) await cluster.run(node, `BEGIN; INSERT INTO t VALUES ('${cell}'); PREPARE TRANSACTION 'shardwright:0123abcd:0:${idOf(cell)}:${node}'`);
  }
  await cluster.run(0, `BEGIN; INSERT INTO t VALUES ('${left.decided}'); INSERT INTO shardwright.decision VALUES ('${idOf(left.decided)}', 'commit'); COMMIT`);
  return left;
}

async function expectRecovered({ decided, undecided }: Left, count: number): Promise<void> {
  await expectSettled(decided, everywhere(count));
  await expectSettled(undecided, '');
}
