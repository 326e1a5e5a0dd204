import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../cluster/connections.ts';
import { startMutingProxy } from '../txn/muting-proxy.ts';
import { at } from '../../src/base/assert.ts';
import { volatileSettings } from '../../src/embedded/default-settings.ts';
import { type PostgresServer, startPostgres } from '../../src/embedded/postgres-server.ts';
import { Cluster } from '../../src/index.ts';
import { isOver, isUndoable, moveStates } from '../../src/move/move-state.ts';
import type { MoveWish } from '../../src/move/new-job.ts';
import { commitSteps } from '../../src/txn/distributed-transaction.ts';
import type { MoveTask } from './fault-child.ts';
import { openMoves } from './fault-moves.ts';
import { createMoveTables, listRemains, placeOf } from './move-cluster.ts';
import { rowsThere, startLoad } from './writing-load.ts';
import { forkScript } from '../support/child-script.ts';

/**
 * A fault before and behind the effect of each state of a move, and at each step of its commit, under a small writing load. Afterwards the move is made or undone, nothing is
 * left, and all that was acknowledged is there.
 */
const states = moveStates.filter((state) => !isOver(state));
const way = states.filter((state) => state !== 'undo');
const steps = [...way.flatMap((state) => [`${state}:begun`, `${state}:done`]), ...commitSteps];
const isBeforeCutOver = (step: string): boolean => {
  const state = way.find((one) => step.startsWith(`${one}:`));
  return state === undefined ? commitSteps.findIndex((one) => one === step) < commitSteps.indexOf('decided') : step !== 'cut_over:done' && isUndoable(state);
};

let servers: PostgresServer[];
let cluster: Cluster;
let coordinator: string;
let spare: ChildProcess;
let wish: () => Promise<MoveWish>;

beforeAll(async () => {
  spare = forkChild();
  servers = await Promise.all(Array.from({ length: 3 }, () => startPostgres({ settings: volatileSettings })));
  coordinator = at(servers, 0).connectionString;
  cluster = new Cluster({ connectionString: coordinator, recoveryIntervalMs: 0 });
  for (const { host, port, database } of servers.slice(1)) await cluster.addNode({ host, port, database });
  await createMoveTables(cluster);
  await cluster.query(`INSERT INTO orders SELECT g, 1, 0, 'old' FROM generate_series(0, 200) g`);
  wish = async () => {
    const { shardGroup, from, to } = await placeOf(cluster, 'orders');
    return { group: shardGroup, from, to, limits: {} };
  };
}, 120_000);

afterAll(async () => {
  spare.kill('SIGKILL');
  await cluster.end();
  await Promise.all(servers.map((server) => server.stop('immediate')));
}, 60_000);

const run = async (server: number, text: string): Promise<unknown[][]> => {
  const client = await new Client(at(servers, server).connectionString).connect();
  try {
    return ([await client.query({ text, rowMode: 'array' })].flat().at(-1)?.rows ?? []) as unknown[][];
  } finally {
    await client.end();
  }
};

/** The move is over one way or the other, and where it says. */
async function expectOver({ group, from, to }: MoveWish): Promise<string> {
  const job = at((await cluster.jobs({ all: true })).slice(-1), 0);
  expect(['done', 'undone']).toContain(job.state);
  const { nodeId } = at((await cluster.shards()).filter(({ shardGroupId }) => shardGroupId === group), 0);
  expect(nodeId).toBe(job.state === 'done' ? to : from);
  // The writer's own transactions are prepared for moments.
  await expect.poll(() => listRemains(run, [1, 2]), { interval: 20 }).toEqual([]);
  return job.state;
}

let loads = 0;
/** Runs the work beside a writer; nothing of what it wrote may fail or be lost. */
async function underLoad(work: () => Promise<void>): Promise<void> {
  loads += 1;
  const load = startLoad([cluster], { tenants: 7, writers: 1, from: loads * 1e8 });
  try {
    await work();
  } finally {
    const expected = await load.stop();
    expect(load.failures).toEqual([]);
    expect((await rowsThere(cluster, loads * 1e8)).orders).toEqual(expected);
    // Else every move copies what all loads before have written.
    await cluster.query('DELETE FROM orders WHERE id >= $1', [loads * 1e8]);
  }
}

test.each(steps)('an error at %s', async (step) => {
  await underLoad(async () => {
    const move = await wish();
    let hits = 0;
    const onStep = (reached: string): void => {
      if (reached !== step) return;
      hits += 1;
      if (hits === 1) throw new Error('injected');
    };
    const { moves, pools } = await openMoves(coordinator, 'mover');
    try {
      const outcome = await moves.move(move, { onStep }).then(() => 'done', (error: unknown) => error);
      if (isBeforeCutOver(step)) expect(outcome).toMatchObject({ id: 'moveUndone', cause: expect.objectContaining({ message: 'injected' }) as unknown });
      else expect(outcome).toBe('done');
    } finally {
      await pools.end();
    }
    expect(hits).toBeGreaterThan(0);
    expect(await expectOver(move)).toBe(isBeforeCutOver(step) ? 'undone' : 'done');
  });
});

test.each([...steps, 'undo'])('the process is killed at %s', async (step) => {
  await underLoad(async () => {
    const move = await wish();
    const child = spare;
    spare = forkChild();
    child.send({ coordinator, wish: move, step: step === 'undo' ? 'catch_up:done' : step } satisfies MoveTask);
    expect(await once(child, 'message')).toEqual(['reached', undefined]);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const [job] = await cluster.jobs();
    if (step === 'undo') await cluster.cancelJob(job?.jobId ?? '');
    else await cluster.resumeJob(job?.jobId ?? '');
    expect(await expectOver(move)).toBe(step === 'undo' ? 'undone' : 'done');
  });
});

test('two processes at one move: one works, the other waits', async () => {
  const move = await wish();
  const [first, second] = await Promise.all([openMoves(coordinator, 'first'), openMoves(coordinator, 'second')]);
  let waiting: Promise<void> | undefined;
  const worked: string[] = [];
  try {
    await first.moves.move(move, {
      onStep: async (step) => {
        worked.push(step);
        if (step === 'copy:begun') waiting = second.moves.resume(at(await second.moves.list('unfinished'), 0).jobId, { onStep: (other) => void worked.push(`second ${other}`) });
      },
    });
    await waiting;
  } finally {
    await Promise.all([first.pools.end(), second.pools.end()]);
  }
  expect(worked.filter((step) => step.startsWith('second'))).toEqual([]);
  expect(await expectOver(move)).toBe('done');
});

const serverFaults = (victim: string): string[] => (victim === 'coordinator' ? ['copy:begun', 'prepared', 'decided', 'clean_up:begun'] : nodeFaults);
const nodeFaults = ['create:done', 'copy:begun', 'index:begun', 'catch_up:done', 'prepared', 'decided', 'constrain:begun', 'clean_up:begun'];

describe.each(['source', 'target', 'coordinator'] as const)('the server of the %s is killed and comes back', (victim) => {
  test.each(serverFaults(victim))('at %s', async (step) => {
    const move = await wish();
    const server = at(servers, victim === 'coordinator' ? 0 : move[victim === 'source' ? 'from' : 'to']);
    let restarted: Promise<void> | undefined;
    const onStep = (reached: string): void => {
      if (reached !== step || restarted !== undefined) return;
      server.kill();
      restarted = server.restart();
    };
    const { moves, pools } = await openMoves(coordinator, 'mover');
    try {
      await moves.move(move, { onStep }).catch(() => undefined);
      expect(restarted).toBeDefined();
      await restarted;
      for (const { jobId } of await cluster.jobs()) await cluster.resumeJob(jobId).catch(() => undefined);
    } finally {
      await pools.end();
    }
    await expectOver(move);
    expect((await cluster.query('SELECT count(*)::int AS count FROM orders WHERE id = 1')).rows).toEqual([{ count: 201 }]);
  }, 60_000);
});

describe('connections to a node are cut', () => {
  test.each(['register:begun', 'create:begun', 'copy:begun', 'index:begun', 'catch_up:begun', 'verify:begun', 'cut_over:begun', 'prepared', 'decided', 'constrain:begun', 'clean_up:begun'])('at %s', async (step) => {
    await underLoad(async () => {
      const move = await wish();
      const proxies = await Promise.all([1, 2].map((node) => startMutingProxy(at(servers, node))));
      const { moves, pools } = await openMoves(coordinator, 'mover', ({ port }) => ({ host: '127.0.0.1', port: at(proxies, servers.findIndex((server) => server.port === port) - 1).port }));
      let cuts = 0;
      try {
        await moves.move(move, {
          onStep: (reached) => {
            if (reached !== step || cuts > 0) return;
            cuts += 1;
            for (const proxy of proxies) proxy.cut();
          },
        }).catch(() => undefined);
        expect(cuts).toBe(1);
        for (const { jobId } of await cluster.jobs()) await cluster.resumeJob(jobId).catch(() => undefined);
      } finally {
        await pools.end();
        for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
      }
      await expectOver(move);
    });
  });
});

test('a source that stays away: the move is given up, the target cleaned at once, the source when it is back, and the job says so', async () => {
  const move = await wish();
  const source = at(servers, move.from);
  const { moves, pools } = await openMoves(coordinator, 'mover');
  try {
    const outcome = await moves.move(move, { onStep: (step) => void (step === 'index:begun' && source.kill()), patienceMs: 500 }).catch((error: unknown) => error);
    expect(outcome).toMatchObject({ id: 'moveUndone', detail: expect.stringContaining('when it is back') as string });
    expect(await moves.list('unfinished')).toMatchObject([{ state: 'undo', error: expect.stringContaining(String(source.port)) as string, progress: { trouble: expect.any(String) as string } }]);
    expect(await run(move.to, `SELECT nspname FROM pg_namespace WHERE nspname LIKE 'shardwright\\_%'`)).toEqual([]);
    await source.restart();
    await moves.resume(at(await moves.list('unfinished'), 0).jobId, {}).catch(() => undefined);
  } finally {
    await source.restart();
    await pools.end();
  }
  expect(await expectOver(move)).toBe('undone');
}, 60_000);

test('any process of the cluster carries on what was left, by itself', async () => {
  const move = await wish();
  const child = spare;
  spare = forkChild();
  child.send({ coordinator, wish: move, step: 'index:done' } satisfies MoveTask);
  await once(child, 'message');
  child.kill('SIGKILL');
  const another = new Cluster({ connectionString: coordinator, recoveryIntervalMs: 100 });
  try {
    await another.query('SELECT 1 FROM orders LIMIT 1');
    await until(async () => (await another.jobs()).length === 0);
  } finally {
    await another.end();
  }
  expect(await expectOver(move)).toBe('done');
});

function forkChild(): ChildProcess {
  return forkScript(new URL('fault-child.ts', import.meta.url));
}
