import { setTimeout as wait } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import type { Cluster, ClusterClient } from '../../src/index.ts';
import { type ClusterAndPlain, startCluster } from './start-cluster.ts';

let pair: ClusterAndPlain;
/** Tenants on different nodes. */
let tenants: number[];
let observers: Client[];
beforeAll(async () => {
  pair = await startCluster();
  observers = await Promise.all(pair.databases.nodes.map(async ({ connectionString }) => new Client({ connectionString }).connect()));
  const byNode = new Map<unknown, number>();
  for (let tenant = 1; tenant <= 12; tenant += 1) byNode.set((await pair.cluster.shardOf('orders', tenant)).node, tenant);
  tenants = [...byNode.values()];
  expect(tenants).toHaveLength(3);
});
afterAll(async () => {
  await Promise.all(observers.map((observer) => observer.end()));
  await pair[Symbol.asyncDispose]();
}, 15_000);
beforeEach(() => pair.cluster.query('UPDATE orders SET total = 0'));

const deadlock = { id: 'deadlockDetected', code: '40P01', message: 'deadlock detected', transient: true };

async function begun(cluster: Cluster): Promise<ClusterClient> {
  const client = await cluster.connect();
  await client.query('BEGIN');
  return client;
}

function touch(client: ClusterClient, tenant: number): Promise<unknown> {
  return client.query('UPDATE orders SET total = total + 1 WHERE tenant_id = $1 AND id = 1', [tenant]);
}

/** Resolves when so many writes of ours wait for a lock, on all nodes together; what else waits for one for a moment does not count. */
async function waiting(count: number): Promise<void> {
  for (;;) {
    const found = await Promise.all(observers.map((observer) => observer.query(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query ~ '^(INSERT|UPDATE) '`)));
    if (found.reduce((sum, { rowCount }) => sum + (rowCount ?? 0), 0) >= count) return;
    await wait(5);
  }
}

test.each([['of one process', () => [pair.cluster, pair.cluster, pair.cluster]], ['of several', () => [pair.cluster, pair.another(), pair.another()]]])('transactions %s in a circle over three nodes: the youngest is given up', async (_, processes) => {
  const clients: ClusterClient[] = [];
  for (const cluster of processes()) {
    clients.push(await begun(cluster));
    // Ages are told apart by milliseconds.
    await wait(5);
  }
  for (const [i, client] of clients.entries()) await touch(client, at(tenants, i));
  const second = clients.map((client, i) => touch(client, at(tenants, (i + 1) % 3)).then(() => 'done', (error: unknown) => error));
  expect(await second[2]).toMatchObject(deadlock);
  await at(clients, 2).query('ROLLBACK');
  expect(await second[1]).toBe('done');
  await at(clients, 1).query('COMMIT');
  expect(await second[0]).toBe('done');
  await at(clients, 0).query('COMMIT');
  for (const client of clients) client.release();
  expect((await pair.cluster.query({ text: 'SELECT sum(total)::int FROM orders WHERE id = 1', rowMode: 'array' })).rows).toEqual([[4]]);
});

test('statements that change all shards, and a transaction', async () => {
  const client = await begun(pair.cluster);
  await touch(client, at(tenants, 0));
  // It locks the rows of the other nodes, and waits for the first; given up, it comes again.
  const sweeping = pair.another().query('UPDATE orders SET total = total + 10').then(() => 'done', (error: unknown) => error);
  await waiting(1);
  const touching = touch(client, at(tenants, 1)).then(() => 'done', (error: unknown) => error);
  expect(await touching).toBe('done');
  await client.query('COMMIT');
  client.release();
  expect(await sweeping).toBe('done');
  expect((await pair.cluster.query({ text: 'SELECT min(total)::int, max(total)::int FROM orders', rowMode: 'array' })).rows).toEqual([[10, 11]]);
});

test.each([['outside of blocks', false], ['in blocks', true]])('many writers of all rows, %s, come one after the other', async (_, inBlock) => {
  const processes = [pair.cluster, pair.another(), pair.another()];
  const sweep = async (cluster: Cluster): Promise<void> => {
    const client = await cluster.connect();
    try {
      if (inBlock) await client.query('BEGIN');
      await client.query('UPDATE orders SET total = total + 1');
      if (inBlock) await client.query('COMMIT');
    } finally {
      client.release();
    }
  };
  await Promise.all(Array.from({ length: 12 }, (_, i) => sweep(at(processes, i % 3))));
  expect((await pair.cluster.query({ text: 'SELECT DISTINCT total::int FROM orders', rowMode: 'array' })).rows).toEqual([[12]]);
});

test('inserts of the same keys', async () => {
  const insert = (order: readonly number[]): string => `INSERT INTO orders (tenant_id, id) VALUES ${order.map((i) => `(${at(tenants, i)}, 5000)`).join(', ')}`;
  const clients = [await begun(pair.cluster), await begun(pair.another())];
  await at(clients, 0).query(insert([0]));
  await wait(5);
  await at(clients, 1).query(insert([1]));
  await wait(5);
  // Outside of a block: it has inserted on the other nodes, and waits for both.
  const alone = pair.another().query(insert([2, 0, 1])).then(() => 'done', (error: { code?: unknown }) => error.code);
  await waiting(2);
  const crossed = at(clients, 0).query(insert([2])).then(() => 'done', (error: { code?: unknown }) => error.code);
  expect(await crossed).toBe('done');
  for (const client of clients) {
    await client.query('ROLLBACK');
    client.release();
  }
  // It was given up, and has come again.
  expect(await alone).toBe('done');
  expect((await pair.cluster.query('DELETE FROM orders WHERE id = 5000')).rowCount).toBe(3);
});

test('transaction() comes through', async () => {
  const move = (cluster: Cluster, order: readonly number[]): Promise<void> => cluster.transaction(async (tx) => {
    for (const i of order) {
      await touch(tx, at(tenants, i));
      await wait(20);
    }
  });
  const processes = [pair.cluster, pair.another(), pair.another()];
  await Promise.all([[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]].map((order, i) => move(at(processes, i % 3), order)));
  expect((await pair.cluster.query({ text: 'SELECT sum(total)::int FROM orders WHERE id = 1', rowMode: 'array' })).rows).toEqual([[12]]);
});

test('waiting is no deadlock', async () => {
  const [first, second, third] = [await begun(pair.cluster), await begun(pair.another()), await begun(pair.another())];
  await touch(first, at(tenants, 0));
  await touch(first, at(tenants, 1));
  await touch(second, at(tenants, 2));
  // Whoever waits first is first.
  const later = [touch(second, at(tenants, 0))];
  await Promise.race([waiting(1), ...later]);
  later.push(touch(third, at(tenants, 0)));
  await Promise.race([waiting(2), ...later]);
  await wait(1_500);
  await first.query('COMMIT');
  // Mostly who waited first.
  const [next, last] = await Promise.race([at(later, 0).then(() => [second, third] as const), at(later, 1).then(() => [third, second] as const)]);
  await next.query('COMMIT');
  await Promise.all(later);
  await last.query('ROLLBACK');
  for (const client of [first, second, third]) client.release();
  // What was told of them is forgotten.
  await wait(1_000);
  expect((await pair.cluster.query('SELECT * FROM shardwright.waiting')).rows).toEqual([]);
});

test('a server process that has begun another transaction since is no part of the one that was told of', async () => {
  const { cluster } = pair;
  const waiter = await begun(cluster);
  await touch(waiter, at(tenants, 0));
  await touch(waiter, at(tenants, 1));
  const shards = await Promise.all(tenants.map((tenant) => cluster.shardOf('orders', tenant)));
  const plainOn = async (i: number): Promise<{ client: Client; pid: number; node: number; update: string }> => {
    const { node: place, nodeId: node, name } = at(shards, i);
    const client = new Client({ connectionString: `postgresql://postgres@${place}` });
    await client.connect();
    await client.query('BEGIN');
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    return { client, pid: at(rows, 0).pid, node, update: `UPDATE ${name} SET total = total + 1 WHERE tenant_id = ${at(tenants, i)} AND id = 1` };
  };
  // The waiter waits for `ahead`, and `behind` for the waiter, on two nodes. As parts of one transaction they would make a circle.
  const [behind, ahead] = [await plainOn(0), await plainOn(2)];
  await cluster.query(`INSERT INTO shardwright.waiting (transaction_id, node_id, pid, began, started, seen_at)
    SELECT 'earlier', node, pid, 1, '1', now() + interval '1 minute' FROM (VALUES (${behind.node}, ${behind.pid}), (${ahead.node}, ${ahead.pid})) AS told (node, pid)`);
  await ahead.client.query(ahead.update);
  const behindDone = behind.client.query(behind.update);
  const waited = touch(waiter, at(tenants, 2)).then(() => 'done', (error: unknown) => error);
  await waiting(2);
  await wait(1_500);
  await ahead.client.query('ROLLBACK');
  expect(await waited).toBe('done');
  await waiter.query('ROLLBACK');
  await behindDone;
  waiter.release();
  await Promise.all([behind, ahead].map(async ({ client }) => client.end()));
  await cluster.query(`DELETE FROM shardwright.waiting WHERE transaction_id = 'earlier'`);
});

test('when deadlocks cannot be found, it is said, once', async () => {
  const told: unknown[] = [];
  const cluster = pair.another({ onBackgroundError: (error, task) => told.push([task, error]) });
  const [first, second] = [await begun(pair.cluster), await begun(cluster)];
  await touch(first, at(tenants, 0));
  await touch(second, at(tenants, 1));
  const coordinator = new Client({ connectionString: pair.databases.coordinator.connectionString });
  await coordinator.connect();
  await coordinator.query('ALTER TABLE shardwright.waiting RENAME TO waiting_elsewhere');
  try {
    const waited = touch(second, at(tenants, 0));
    await Promise.race([waited, until(() => told.length > 0)]);
    await wait(1_000);
    await first.query('COMMIT');
    await waited;
  } finally {
    await coordinator.query('ALTER TABLE shardwright.waiting_elsewhere RENAME TO waiting');
    await coordinator.end();
  }
  await second.query('ROLLBACK');
  for (const client of [first, second]) client.release();
  expect(told).toMatchObject([['deadlocks', { code: '42P01' }]]);
});

async function until(happened: () => boolean): Promise<void> {
  while (!happened()) await wait(10);
}
