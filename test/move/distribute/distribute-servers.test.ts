import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at } from '../../../src/base/assert.ts';
import { volatileSettings } from '../../../src/embedded/default-settings.ts';
import { type PostgresServer, startPostgres } from '../../../src/embedded/postgres-server.ts';
import { Cluster } from '../../../src/index.ts';
import { startMutingProxy } from '../../txn/muting-proxy.ts';
import { openMoves } from '../fault-moves.ts';
import { listRemains } from '../move-cluster.ts';
import { ledgerRows, ledgerTable, startLedger } from './ledger.ts';

/** A table is distributed online while servers are killed, or the mover's connections to them are cut. Afterwards, once the job was carried on, the table is distributed or what it was, with all rows, and nothing is left. */
let servers: PostgresServer[];
let cluster: Cluster;
let tables = 0;

beforeAll(async () => {
  servers = await Promise.all(Array.from({ length: 3 }, () => startPostgres({ settings: volatileSettings })));
  cluster = new Cluster({ connectionString: at(servers, 0).connectionString, recoveryIntervalMs: 0 });
  for (const { host, port, database } of servers.slice(1)) await cluster.addNode({ host, port, database });
}, 120_000);

afterAll(async () => {
  await cluster.end();
  await Promise.all(servers.map((server) => server.stop('immediate')));
}, 60_000);

async function on(server: number, text: string): Promise<unknown[][]> {
  const client = await new Client(at(servers, server).connectionString).connect();
  try {
    return ([await client.query({ text, rowMode: 'array' })].flat().at(-1)?.rows ?? []) as unknown[][];
  } finally {
    await client.end();
  }
}

async function newTable(): Promise<string> {
  tables += 1;
  const table = `t${tables}`;
  await cluster.query(`${ledgerTable(table)}; INSERT INTO ${table} SELECT g % 23, g, 0, 'old' FROM generate_series(1, 300) g`);
  return table;
}

interface Fault {
  readonly step: string;
  /** Through what the mover reaches its servers; by their places. */
  readonly port?: (server: number) => number;
  readonly strike: () => void;
}

/** Distributes the table, with the fault once at the step, and carries the job on. */
async function distribute(table: string, { step, port = (server) => at(servers, server).port, strike }: Fault): Promise<void> {
  const coordinator = new URL(at(servers, 0).connectionString);
  coordinator.port = String(port(0));
  const { moves, pools, context } = await openMoves(coordinator.href, 'mover', (node) => ({ host: '127.0.0.1', port: port(servers.findIndex((server) => server.port === node.port)) }));
  let strikes = 0;
  const onStep = (reached: string): void => {
    if (reached !== step || strikes > 0) return;
    strikes += 1;
    strike();
  };
  try {
    await moves.distribute(context, { table, column: 'tenant', colocateWith: 'none', shardCount: 3, hash: undefined, limits: {} }, { onStep }).catch(() => undefined);
  } finally {
    await pools.end();
  }
  expect(strikes).toBe(1);
}

async function carryOn(): Promise<void> {
  for (const { jobId } of await cluster.jobs()) await cluster.resumeJob(jobId).catch(() => undefined);
}

/** What the job says has become of the table is so, on all servers. */
async function expectOver(table: string): Promise<void> {
  const isDone = at((await cluster.jobs({ all: true })).slice(-1), 0).state === 'done';
  expect(await cluster.jobs()).toEqual([]);
  expect((await cluster.tables()).some(({ name }) => name === table)).toBe(isDone);
  expect((await cluster.query(`SELECT count(*)::int, sum(id)::int, count(*) FILTER (WHERE note = 'old')::int AS old FROM ${table} WHERE id < 1000000`)).rows).toEqual([{ count: 300, sum: 45_150, old: 300 }]);
  await expect.poll(() => listRemains(on, [0, 1, 2]), { interval: 20 }).toEqual([]);
  const there = await Promise.all([1, 2].map((node) => on(node, `SELECT relname FROM pg_class WHERE relname ~ '^${table}_\\d+$' AND relkind = 'r'`)));
  expect(there.flat()).toHaveLength(isDone ? 3 : 0);
  expect(await on(0, `SELECT count(*)::int FROM ONLY ${table}`)).toEqual([[isDone ? 0 : 300 + (await ledgerRows(cluster, table)).length]]);
  expect((await cluster.checkSchema()).differences).toEqual([]);
}

const places = ['create:done', 'copy:begun', 'index:begun', 'catch_up:done', 'verify:begun', 'cut_over:begun', 'prepared', 'decided', 'constrain:begun', 'clean_up:begun'];

describe.each([['the coordinator database', 0], ['a node', 1]] as const)('the server of %s is killed and comes back', (_, victim) => {
  test.each(places)('at %s', async (step) => {
    const table = await newTable();
    const server = at(servers, victim);
    let restarted: Promise<void> | undefined;
    await distribute(table, {
      step,
      strike: () => {
        server.kill();
        restarted = server.restart();
      },
    });
    await restarted;
    await carryOn();
    await expectOver(table);
  }, 60_000);
});

describe('connections to all servers are cut, under a writing load', () => {
  test.each(['register:begun', ...places])('at %s', async (step) => {
    const table = await newTable();
    const load = startLedger([cluster], table, { writers: 1, pauseMs: 2 });
    const proxies = await Promise.all(servers.map((server) => startMutingProxy(server)));
    let expected: string[] = [];
    try {
      await distribute(table, { step, port: (server) => at(proxies, server).port, strike: () => proxies.forEach((proxy) => proxy.cut()) });
      await carryOn();
    } finally {
      expected = await load.stop();
      for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
    }
    expect(load.objections).toEqual([]);
    expect(await ledgerRows(cluster, table)).toEqual(expected);
    await expectOver(table);
  }, 60_000);
});
