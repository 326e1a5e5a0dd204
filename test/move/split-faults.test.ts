import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { type NodeId, nodeId, shardGroupId } from '../../src/catalog/ids.ts';
import { volatileSettings } from '../../src/embedded/default-settings.ts';
import { type PostgresServer, startPostgres } from '../../src/embedded/postgres-server.ts';
import { Cluster, type ShardInfo } from '../../src/index.ts';
import { isOver, moveStates } from '../../src/move/move-state.ts';
import type { MergeWish, SplitWish } from '../../src/move/new-job.ts';
import { startMutingProxy } from '../txn/muting-proxy.ts';
import { commitSteps } from '../../src/txn/distributed-transaction.ts';
import { doWish } from './do-wish.ts';
import type { MoveTask } from './fault-child.ts';
import { openMoves } from './fault-moves.ts';
import { listRemains } from './move-cluster.ts';
import { rowsThere, startLoad } from './writing-load.ts';
import { forkScript } from '../support/child-script.ts';

/**
 * As in fault-matrix.test.ts, for a split of which one part stays and one goes to another node, and for the merge of those two, which has two sources, and streams from two servers. Each ends as the
 * other begins.
 */
const way = moveStates.filter((state) => !isOver(state) && state !== 'undo');
/** Between each effect and its record. */
const steps = [...way.map((state) => `${state}:done`), ...commitSteps];
const whole = { min: -(2 ** 31), max: 2 ** 31 - 1 };

let servers: PostgresServer[];
let cluster: Cluster;
let coordinator: string;
let spare: ChildProcess;

beforeAll(async () => {
  spare = forkChild();
  servers = await Promise.all(Array.from({ length: 3 }, () => startPostgres({ settings: volatileSettings })));
  coordinator = at(servers, 0).connectionString;
  cluster = new Cluster({ connectionString: coordinator, recoveryIntervalMs: 0 });
  for (const { host, port, database } of servers.slice(1)) await cluster.addNode({ host, port, database });
  await cluster.query(`CREATE TABLE orders (tenant bigint, id bigint, total int NOT NULL DEFAULT 0, note text, plan text, PRIMARY KEY (tenant, id));
    CREATE TABLE items (tenant bigint, id bigint, line int, FOREIGN KEY (tenant, id) REFERENCES orders ON DELETE CASCADE)`);
  await cluster.createDistributedTable('orders', 'tenant', { shardCount: 1 });
  await cluster.createDistributedTable('items', 'tenant', { colocateWith: 'orders' });
  await cluster.query(`INSERT INTO orders SELECT g, 1, 0, 'old' FROM generate_series(0, 200) g`);
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

const layout = async (): Promise<ShardInfo[]> => (await cluster.shards()).filter(({ table }) => table === 'orders');

/** What can be done now. */
async function nextWish(): Promise<{ readonly kind: 'split' | 'merge'; readonly wish: SplitWish | MergeWish; readonly nodes: readonly [home: NodeId, other: NodeId] }> {
  const [first, second] = await layout();
  const home = nodeId(first?.nodeId ?? 0);
  const other = nodeId(3 - home);
  const group = shardGroupId(first?.shardGroupId ?? 0);
  if (second !== undefined) return { kind: 'merge', wish: { groups: [group, shardGroupId(second.shardGroupId ?? 0)], to: other }, nodes: [home, other] };
  return { kind: 'split', wish: { group, parts: [{ min: whole.min, max: 77, node: undefined }, { min: 78, max: whole.max, node: other }] }, nodes: [home, other] };
}

/** All or nothing: the parts, or the whole; and nothing besides. */
async function expectOver(kind: 'split' | 'merge'): Promise<string> {
  const { state } = at((await cluster.jobs({ all: true })).slice(-1), 0);
  expect(['done', 'undone']).toContain(state);
  const parts = (state === 'done') === (kind === 'split') ? [{ min: whole.min, max: 77 }, { min: 78, max: whole.max }] : [whole];
  expect((await layout()).map(({ min, max }) => ({ min, max }))).toEqual(parts);
  // The writer's own transactions are prepared for moments.
  await expect.poll(() => listRemains(run, [1, 2]), { interval: 20 }).toEqual([]);
  return state;
}

let loads = 0;
async function underLoad(work: () => Promise<void>): Promise<void> {
  loads += 1;
  const load = startLoad([cluster], { tenants: 7, writers: 1, from: loads * 1e8 });
  try {
    await work();
  } finally {
    const expected = await load.stop();
    expect(load.failures).toEqual([]);
    expect((await rowsThere(cluster, loads * 1e8)).orders).toEqual(expected);
    await cluster.query('DELETE FROM orders WHERE id >= $1', [loads * 1e8]);
  }
}

/** Splits and merges alternate, and the steps are odd in number: so each is met in both. */
describe.each([[...steps, 'undo'], [...steps, 'undo'], way.map((state) => `${state}:begun`)])('the process is killed (%#)', (...round) => {
  test.each(round)('at %s', async (step) => {
    await underLoad(async () => {
      const { kind, wish } = await nextWish();
      const child = spare;
      spare = forkChild();
      child.send({ coordinator, wish, step: step === 'undo' ? 'catch_up:done' : step } satisfies MoveTask);
      expect(await once(child, 'message')).toEqual(['reached', undefined]);
      child.kill('SIGKILL');
      await once(child, 'exit');
      const [job] = await cluster.jobs();
      if (step === 'undo') await cluster.cancelJob(job?.jobId ?? '');
      else await cluster.resumeJob(job?.jobId ?? '');
      expect(await expectOver(kind)).toBe(step === 'undo' ? 'undone' : 'done');
    });
  });
});

describe.each([0, 1] as const)('the server of node %i is killed and comes back', (victim) => {
  test.each(['copy:begun', 'catch_up:done', 'prepared', 'decided', 'clean_up:begun'])('at %s', async (step) => {
    const { kind, wish, nodes } = await nextWish();
    const server = at(servers, nodes[victim]);
    let restarted: Promise<void> | undefined;
    const onStep = (reached: string): void => {
      if (reached !== step || restarted !== undefined) return;
      server.kill();
      restarted = server.restart();
    };
    const { moves, pools } = await openMoves(coordinator, 'mover');
    try {
      await ('parts' in wish ? moves.split(wish, { onStep }) : moves.merge(wish, { onStep })).catch(() => undefined);
      expect(restarted).toBeDefined();
      await restarted;
      for (const { jobId } of await cluster.jobs()) await cluster.resumeJob(jobId).catch(() => undefined);
    } finally {
      await pools.end();
    }
    await expectOver(kind);
    expect((await cluster.query('SELECT count(*)::int AS count FROM orders WHERE id = 1')).rows).toEqual([{ count: 201 }]);
  }, 60_000);
});

/** As the words say in turn: a split and a merge at each. */
describe.each([0, 1])('connections to the nodes are cut (%i)', () => {
  test.each(['copy:begun', 'catch_up:begun', 'cut_over:begun', 'prepared', 'decided'])('at %s', async (step) => {
    await underLoad(async () => {
      const { kind, wish } = await nextWish();
      const proxies = await Promise.all([1, 2].map((node) => startMutingProxy(at(servers, node))));
      const { moves, pools, context } = await openMoves(coordinator, 'mover', ({ port }) => ({ host: '127.0.0.1', port: at(proxies, servers.findIndex((server) => server.port === port) - 1).port }));
      let cuts = 0;
      const onStep = (reached: string): void => {
        if (reached !== step || cuts > 0) return;
        cuts += 1;
        for (const proxy of proxies) proxy.cut();
      };
      try {
        await doWish({ moves, context }, wish, { onStep }).catch(() => undefined);
        expect(cuts).toBe(1);
        for (const { jobId } of await cluster.jobs()) await cluster.resumeJob(jobId).catch(() => undefined);
      } finally {
        await pools.end();
        for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
      }
      await expectOver(kind);
    });
  }, 60_000);
});

test('a target whose disk is full in the middle of the copy: the split is undone', async () => {
  const { kind, wish, nodes: [, other] } = await nextWish();
  // Of a merge both parts are copied to the other node.
  await run(other, `CREATE SCHEMA full_disk; CREATE FUNCTION full_disk.say() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'No space left on device' USING ERRCODE = '53100'; END $$;
    CREATE FUNCTION full_disk.plant() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE made text; BEGIN
      FOR made IN SELECT object_identity FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE 'shardwright_move%.orders_%' AND object_type = 'table' LOOP
        EXECUTE 'CREATE TRIGGER full_disk BEFORE INSERT ON ' || made || ' FOR EACH ROW WHEN (NEW.tenant > 100) EXECUTE FUNCTION full_disk.say()'; END LOOP; END $$;
    CREATE EVENT TRIGGER full_disk ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION full_disk.plant()`);
  const { moves, pools, context } = await openMoves(coordinator, 'mover');
  try {
    await expect(doWish({ moves, context }, wish, {})).rejects.toMatchObject({ id: 'moveUndone', cause: expect.objectContaining({ code: '53100' }) as unknown });
  } finally {
    await pools.end();
    await run(other, 'DROP SCHEMA full_disk CASCADE');
  }
  expect(await expectOver(kind)).toBe('undone');
}, 60_000);

function forkChild(): ChildProcess {
  return forkScript(new URL('fault-child.ts', import.meta.url));
}
