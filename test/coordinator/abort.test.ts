import { getEventListeners, once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { at, present } from '../../src/base/assert.ts';
import { Cluster } from '../../src/index.ts';
import type { TestDatabase } from '../support/test-databases.ts';
import { type ClusterAndPlain, run, startCluster } from './start-cluster.ts';

let pair: ClusterAndPlain;
let clients: Client[];
/** Hold locks. */
let lockers: Client[];
/** Slow on nodes alone. */
const slow = (seconds: number): string => `CREATE FUNCTION slow(int) RETURNS boolean LANGUAGE sql AS 'SELECT pg_sleep(${seconds}) IS NOT NULL'`;

beforeAll(async () => {
  pair = await startCluster();
  const { coordinator, nodes } = pair.databases;
  for (const [i, { connectionString }] of [coordinator, ...nodes].entries()) await run(connectionString, slow(i === 0 ? 0 : 20));
  clients = await Promise.all([coordinator, ...nodes].map(connectTo));
  lockers = await Promise.all([coordinator, ...nodes].map(connectTo));
});
afterAll(async () => {
  await Promise.all([...clients, ...lockers].map((client) => client.end()));
  await pair[Symbol.asyncDispose]();
}, 15_000);

async function connectTo({ connectionString }: TestDatabase): Promise<Client> {
  const client = new Client({ connectionString });
  await client.connect();
  return client;
}

/** What a query gives on every server, the coordinator's first. */
async function everywhere(text: string): Promise<unknown[][]> {
  return Promise.all(clients.map(async (client) => (await client.query({ text, rowMode: 'array' })).rows.flat()));
}

/** Resolves once another session on some server is active and of the kind asked for, or the call is over. */
async function seen(condition: string, call: { readonly over: boolean }): Promise<void> {
  const text = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active' AND (${condition})`;
  while (!call.over && (await everywhere(text)).flat().length === 0);
}

/** Nothing runs or waits on any server, nothing is prepared, no connection is held and no listener is left. */
async function expectQuiet(signal: AbortSignal, cluster: Cluster = pair.cluster): Promise<void> {
  const busy = `SELECT query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND (state <> 'idle' OR xact_start IS NOT NULL)
    AND query NOT LIKE '%shardwright.cluster%' AND query NOT LIKE '%catalog_document%'`;
  // On a busy machine a server may still be at the ROLLBACK of a connection that was given up.
  let found = await everywhere(busy);
  for (let rounds = 0; rounds < 500 && found.flat().length > 0; rounds += 1) found = await everywhere(busy);
  expect(found).toEqual(clients.map(() => []));
  expect(await everywhere('SELECT gid FROM pg_prepared_xacts WHERE database = current_database()')).toEqual(clients.map(() => []));
  // The catalog may just be being read again, which tells of nobody's call.
  while (cluster.connectionCounts().slice(0, 1).some(({ open, idle }) => open !== idle)) await everywhere('SELECT 1');
  expect(cluster.connectionCounts().filter(({ open, idle, waiting }) => open !== idle || waiting > 0)).toEqual([]);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
}

/** While `work` runs, tables whose names match are locked on all servers. */
async function whileLocked(pattern: string, mode: string, work: () => Promise<unknown>): Promise<void> {
  const tables = await everywhere(`SELECT oid::regclass::text FROM pg_class WHERE relname ~ '${pattern}' AND relkind = 'r'`);
  await Promise.all(tables.map(async (names, i) => names.length > 0 && at(lockers, i).query(`BEGIN; LOCK TABLE ${names.join(', ')} IN ${mode} MODE`)));
  try {
    await work();
  } finally {
    await Promise.all(lockers.map((locker) => locker.query('ROLLBACK')));
  }
}

/** Starts the call, aborts when `when` says so, and gives back what became of it. */
async function aborted(call: (signal: AbortSignal) => Promise<unknown>, when: (running: { readonly over: boolean }) => Promise<unknown>): Promise<{ outcome: unknown; signal: AbortSignal }> {
  const controller = new AbortController();
  const running = { over: false };
  const settled = call(controller.signal).catch((error: unknown) => error).finally(() => (running.over = true));
  await Promise.race([when(running), settled]);
  controller.abort();
  return { outcome: await settled, signal: controller.signal };
}

describe('COPY FROM', () => {
  /** Some megabytes, then silence. */
  async function* endless(line: (i: number) => string, told: () => void): AsyncGenerator<string> {
    for (let i = 0; i < 200; i += 1) yield Array.from({ length: 500 }, (_, j) => line(i * 500 + j)).join('');
    told();
    await new Promise(() => undefined);
  }

  const targets = [
    ['a distributed table', 'orders', (i: number) => `${1000 + (i % 300)}\t${i}\n`],
    ['a reference table', 'countries', (i: number) => `z${String(i).replaceAll(/\d/g, (digit) => 'abcdefghij'[Number(digit)] ?? '')}\tname ${i}\n`],
    ['a local table', 'notes', (i: number) => `${1000 + i}\tbody\n`],
  ] as const;
  test.each(targets)('into %s, aborted when the source falls silent', async (_, table, line) => {
    const before = await pair.cluster.query(`SELECT count(*) FROM ${table}`);
    let told: () => void = () => undefined;
    const silent = new Promise<void>((resolve) => (told = resolve));
    const columns = table === 'orders' ? '(tenant_id, id)' : '';
    const { outcome, signal } = await aborted((own) => pair.cluster.copyFrom(`COPY ${table}${columns} FROM STDIN`, endless(line, told), { signal: own }), () => silent);
    expect(outcome).toMatchObject({ id: 'canceled', code: '57014' });
    await expectQuiet(signal);
    expect((await pair.cluster.query(`SELECT count(*) FROM ${table}`)).rows).toEqual(before.rows);
  });

  test.each(targets)('into %s, aborted at any moment: all or nothing', async (_, table) => {
    const rows = table === 'countries' ? ['aa\tA\n', 'bb\tB\n', 'cc\tC\n', 'dd\tD\n'] : ['501\t1\n', '502\t2\n', '503\t3\n', '504\t4\n', '505\t5\n', '506\t6\n', '507\t7\n'];
    const key = { orders: 'tenant_id', countries: 'code', notes: 'id' }[table];
    const columns = table === 'orders' ? '(tenant_id, id)' : '';
    const kept = `${key} IN (${rows.map((row) => `'${row.split('\t')[0] ?? ''}'`).join(', ')})`;
    const outcomes = new Set<string>();
    for (let turns = 0; outcomes.size < 2 || turns < 60; turns += 3) {
      const controller = new AbortController();
      const copying = pair.cluster.copyFrom(`COPY ${table}${columns} FROM STDIN`, rows.join(''), { signal: controller.signal }).then(({ rowCount }) => rowCount, (error: { code?: unknown }) => error.code);
      for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
      controller.abort();
      const outcome = await copying;
      expect(outcome).toBeOneOf([rows.length, '57014']);
      await expectQuiet(controller.signal);
      const { rowCount } = await pair.cluster.query(`SELECT FROM ${table} WHERE ${kept}`);
      expect(rowCount).toBe(outcome === '57014' ? 0 : rows.length);
      if (rowCount !== 0) await pair.cluster.query(`DELETE FROM ${table} WHERE ${kept}`);
      outcomes.add(String(outcome));
    }
  });
});

describe('COPY TO', () => {
  test.each([
    ['of a table', 'COPY orders TO STDOUT'],
    ['of a query for one node', 'COPY (SELECT * FROM orders WHERE tenant_id = 3) TO STDOUT'],
    ['of a merged query', 'COPY (SELECT * FROM orders ORDER BY id, tenant_id) TO STDOUT'],
    ['of a reference table', 'COPY countries TO STDOUT'],
  ])('%s, aborted while it waits for a lock', async (_, sql) => {
    let signal: AbortSignal | undefined;
    await whileLocked('^(orders|countries)_1', 'ACCESS EXCLUSIVE', async () => {
      const result = await aborted((own) => pair.cluster.copyTo(sql, { signal: own }).toArray(), (running) => seen(`wait_event_type = 'Lock'`, running));
      expect(result.outcome).toMatchObject({ id: 'canceled', code: '57014' });
      ({ signal } = result);
    });
    await expectQuiet(present(signal));
  });

  test('aborted between two pieces', async () => {
    const controller = new AbortController();
    const reading = (async () => {
      for await (const piece of pair.cluster.copyTo(`COPY (SELECT repeat('x', 100000) FROM orders, generate_series(1, 50)) TO STDOUT`, { signal: controller.signal })) {
        expect(piece).toBeInstanceOf(Buffer);
        controller.abort();
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: '57014' });
    await expectQuiet(controller.signal);
  });
});

test.each([
  ['explain', (signal: AbortSignal) => pair.another().explain('SELECT note, count(*) FROM orders GROUP BY note', [], { signal })],
  ['query', (signal: AbortSignal) => pair.another().query({ text: 'SELECT note, count(*) FROM orders GROUP BY note', signal })],
  ['an UPDATE of all shards', (signal: AbortSignal) => pair.another().query({ text: `UPDATE orders SET note = note`, signal })],
  ['stream', (signal: AbortSignal) => pair.another().stream('SELECT note, count(*) FROM orders GROUP BY note', [], { signal }).next()],
  ['COPY TO', (signal: AbortSignal) => pair.another().copyTo('COPY (SELECT note, count(*) FROM orders GROUP BY note) TO STDOUT', { signal }).toArray()],
])('%s, aborted while planning waits for a lock', async (_, call) => {
  await whileLocked('^orders$', 'ACCESS EXCLUSIVE', async () => {
    const { outcome, signal } = await aborted(call, (running) => seen(`wait_event_type = 'Lock'`, running));
    expect(outcome).toMatchObject({ id: 'canceled', code: '57014' });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

test('explain, aborted while it asks a node\'s planner', async () => {
  const cluster = pair.another();
  let signal: AbortSignal | undefined;
  await whileLocked('^orders_1', 'ACCESS EXCLUSIVE', async () => {
    const call = (own: AbortSignal): Promise<unknown> => cluster.explain('SELECT total, count(*) FROM orders GROUP BY total', [], { signal: own });
    const result = await aborted(call, (running) => seen(`wait_event_type = 'Lock'`, running));
    expect(result.outcome).toMatchObject({ id: 'canceled', code: '57014' });
    ({ signal } = result);
  });
  await expectQuiet(present(signal), cluster);
});

describe('connect', () => {
  test('aborted while all sessions are given out', async () => {
    const cluster = pair.another({ max: 1 });
    const first = await cluster.connect();
    const controller = new AbortController();
    const second = cluster.connect({ signal: controller.signal });
    controller.abort();
    await expect(second).rejects.toMatchObject({ id: 'canceled', code: '57014' });
    await expect(cluster.connect({ signal: controller.signal })).rejects.toMatchObject({ code: '57014' });
    first.release();
    const third = await cluster.connect({ signal: new AbortController().signal });
    expect((await third.query({ text: 'SELECT 1', rowMode: 'array', signal: new AbortController().signal })).rows).toEqual([[1]]);
    third.release();
    expect([cluster.totalCount, cluster.idleCount, cluster.waitingCount]).toEqual([1, 1, 0]);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });

  test('aborted while the server is silent', async () => {
    const silent: Server = createServer(() => undefined);
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const address = silent.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const cluster = new Cluster({ host: '127.0.0.1', port, database: 'none', user: 'nobody', connectTimeoutMs: 500 });
    const connections: { destroy(): void }[] = [];
    silent.on('connection', (socket) => connections.push(socket));
    const { outcome, signal } = await aborted((own) => cluster.connect({ signal: own }), () => once(silent, 'connection'));
    expect(outcome).toMatchObject({ id: 'canceled' });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    for (const socket of connections) socket.destroy();
    await cluster.end();
    silent.close();
  });
});

describe('definitions', () => {
  beforeEach(() => run(pair.databases.coordinator.connectionString, `DROP TABLE IF EXISTS t; CREATE TABLE t (k int PRIMARY KEY, x int); INSERT INTO t SELECT i, i FROM generate_series(1, 5000) i`));

  async function expectLocal(): Promise<void> {
    expect((await pair.cluster.tables()).map(({ name }) => name)).not.toContain('t');
    expect(await everywhere(`SELECT relname FROM pg_class WHERE relname ~ '^t_1' AND relkind = 'r'`)).toEqual(clients.map(() => []));
    expect((await at(clients, 0).query('SELECT count(*)::int AS n FROM t')).rows).toEqual([{ n: 5000 }]);
  }

  test.each([
    ['createDistributedTable', (signal: AbortSignal) => pair.cluster.createDistributedTable('t', 'k', { signal, colocateWith: 'none' })],
    ['createReferenceTable', (signal: AbortSignal) => pair.cluster.createReferenceTable('t', { signal })],
  ])('%s, aborted while rows move', async (_, call) => {
    await run(pair.databases.coordinator.connectionString, 'ALTER TABLE t ADD CONSTRAINT slowly CHECK (slow(x))');
    const { outcome, signal } = await aborted(call, (running) => seen(`wait_event = 'PgSleep'`, running));
    expect(outcome).toMatchObject({ id: 'canceled', code: '57014' });
    await expectQuiet(signal);
    await expectLocal();
  });

  test.each([
    ['createDistributedTable', (signal: AbortSignal) => pair.cluster.createDistributedTable('t', 'k', { signal, shardCount: 4, colocateWith: 'none' })],
    ['createReferenceTable', (signal: AbortSignal) => pair.cluster.createReferenceTable('t', { signal })],
  ])('%s, aborted at any moment: all or nothing', async (_, call) => {
    const outcomes = new Set<string>();
    for (let turns = 0; outcomes.size < 2 || turns < 20; turns += 1) {
      const controller = new AbortController();
      const calling = call(controller.signal).then(() => 'done', (error: { code?: unknown }) => error.code);
      // A round trip each, so that the abort meets every phase.
      for (let turn = 0; turn < turns; turn += 1) await at(clients, 0).query('SELECT 1');
      controller.abort();
      const outcome = await calling;
      expect(outcome).toBeOneOf(['done', '57014']);
      await expectQuiet(controller.signal);
      if (outcome === 'done') {
        expect((await pair.cluster.query('SELECT count(*)::int AS n FROM t')).rows).toEqual([{ n: 5000 }]);
        await pair.cluster.undistributeTable('t');
      }
      await expectLocal();
      outcomes.add(String(outcome));
    }
  });

  test('undistributeTable, aborted while it waits for a lock', async () => {
    await pair.cluster.createDistributedTable('t', 'k', { colocateWith: 'none' });
    let signal: AbortSignal | undefined;
    await whileLocked('^t_1', 'ACCESS SHARE', async () => {
      const result = await aborted((own) => pair.cluster.undistributeTable('t', { signal: own }), (running) => seen(`wait_event_type = 'Lock'`, running));
      expect(result.outcome).toMatchObject({ id: 'canceled', code: '57014' });
      ({ signal } = result);
    });
    await expectQuiet(present(signal));
    expect((await pair.cluster.query('SELECT count(*)::int AS n FROM t')).rows).toEqual([{ n: 5000 }]);
    await pair.cluster.undistributeTable('t');
    await expectLocal();
  });
});

test('many statements of one call listen to its signal without a warning', async () => {
  const warnings: string[] = [];
  const note = (warning: Error): void => void warnings.push(warning.name);
  process.on('warning', note);
  const cluster = pair.another({ connectionsPerStatement: 8 });
  const { signal } = new AbortController();
  await cluster.query({ text: 'SELECT o.tenant_id, pg_sleep(0.01) FROM orders o', signal });
  await Promise.all(Array.from({ length: 30 }, () => cluster.query({ text: 'SELECT note, count(*) FROM orders GROUP BY note', signal })));
  await new Promise(setImmediate);
  process.off('warning', note);
  expect(warnings).toEqual([]);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});
