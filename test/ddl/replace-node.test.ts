import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { volatileSettings } from '../../src/embedded/default-settings.ts';
import { type PostgresServer, startPostgres } from '../../src/embedded/postgres-server.ts';
import { Cluster } from '../../src/index.ts';
import { scriptArguments } from '../support/child-script.ts';
import { replaceFirstNode } from './replace-first-node.ts';

/** The server of a node, and the one that a backup of it is restored on. */
let coordinator: PostgresServer;
let old: PostgresServer;
let restored: PostgresServer;
let cluster: Cluster;
let other: Cluster;
let directory: string;

const startNode = (name: string): Promise<PostgresServer> => startPostgres({ dataDirectory: join(directory, name), settings: volatileSettings });
const addressOf = ({ host, port, database }: PostgresServer): { host: string; port: number; database: string } => ({ host, port, database });
const on = async (server: PostgresServer, text: string): Promise<void> => {
  const client = await new Client(server.connectionString).connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
};
const shardOf = async (): Promise<string> => (await cluster.shardOf('orders', 1)).name;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'replaced-'));
  // The servers may run as another user.
  await chmod(directory, 0o755);
  [coordinator, old] = await Promise.all([startPostgres({ settings: volatileSettings }), startNode('old')]);
  cluster = new Cluster({ connectionString: coordinator.connectionString });
  other = new Cluster({ connectionString: coordinator.connectionString });
  await cluster.addNode(addressOf(old));
  await cluster.query('CREATE TABLE orders (tenant bigint, id bigint, PRIMARY KEY (tenant, id)); CREATE TABLE plans (code text)');
  await cluster.createDistributedTable('orders', 'tenant', { shardCount: 4 });
  await cluster.createReferenceTable('plans');
  await cluster.query('INSERT INTO orders SELECT g, g FROM generate_series(1, 20) g');
  await old.stop();
  execFileSync('cp', ['-a', join(directory, 'old'), join(directory, 'restored')]);
  [old, restored] = await Promise.all([startNode('old'), startNode('restored')]);
  // The server has another port now, as after a move to another host.
  await on(coordinator, `UPDATE shardwright.node SET port = ${old.port}; UPDATE shardwright.cluster SET catalog_version = catalog_version + 1`);
}, 60_000);
afterAll(async () => {
  await Promise.all([cluster.end(), other.end()]);
  await Promise.all([coordinator, old, restored].map((server) => server.stop('immediate')));
  await rm(directory, { recursive: true });
}, 60_000);

test('what is not the node, lacks its shards, or is not there is refused, and so is one while the old server takes writes', async () => {
  const before = await cluster.nodes();
  await expect(cluster.replaceNode(1, { to: addressOf(coordinator) })).rejects.toMatchObject({ id: 'nodeOfAnotherCluster', detail: expect.stringContaining('no node of any cluster') as string });
  await expect(cluster.replaceNode(9, { to: addressOf(restored) })).rejects.toMatchObject({ id: 'undefinedNode' });
  await expect(cluster.replaceNode(1, { to: { ...addressOf(restored), port: 1 } })).rejects.toMatchObject({ id: 'nodeUnreachable' });
  await expect(cluster.replaceNode(1, { to: addressOf(restored) })).rejects.toMatchObject({ id: 'nodeInUse', message: expect.stringContaining('still takes writes') as string });
  const shard = await shardOf();
  await on(restored, `ALTER TABLE ${shard} RENAME TO hidden`);
  await expect(cluster.replaceNode(1, { to: addressOf(restored) })).rejects.toMatchObject({ id: 'unsupportedNode', detail: expect.stringContaining(shard) as string });
  await on(restored, `ALTER TABLE hidden RENAME TO ${shard}; UPDATE shardwright.node_identity SET node_id = 2`);
  await expect(cluster.replaceNode(1, { to: addressOf(restored) })).rejects.toMatchObject({ id: 'nodeOfAnotherCluster', detail: expect.stringContaining('node 2 of cluster') as string });
  await on(restored, 'UPDATE shardwright.node_identity SET node_id = 1');
  expect(await cluster.nodes()).toEqual(before);
  // Statements went to the old server all the while, and still do.
  expect((await cluster.query('SELECT count(*)::int AS count FROM orders')).rows).toEqual([{ count: 20 }]);
  expect(cluster.connectionCounts().map(({ node }) => node)).toEqual([coordinator, old].map(({ host, port, database }) => `${host}:${port}/${database}`));
}, 60_000);

test('the same server under another name needs not be stopped', async () => {
  await other.query('SELECT count(*) FROM orders');
  expect(await cluster.replaceNode(addressOf(old), { to: { ...addressOf(old), host: 'localhost' } })).toEqual({ id: 1, ...addressOf(old), host: 'localhost' });
  await cluster.query('INSERT INTO orders VALUES (1, 100)');
  await expect.poll(() => other.connectionCounts().map(({ node }) => node), { timeout: 10_000 }).toContain(`localhost:${old.port}/postgres`);
  await cluster.query(`SELECT citus_update_node(1, '127.0.0.1', $1)`, [old.port]);
  expect(await cluster.nodes()).toEqual([{ id: 1, ...addressOf(old) }]);
  await cluster.query('DELETE FROM orders WHERE id = 100');
});

test('an error at any request changes nothing, and a process that is killed has changed the address or has not', async () => {
  const given = { connectionString: coordinator.connectionString, port: old.port };
  const hostNow = async (): Promise<unknown> => (await cluster.nodes())[0]?.host;
  let requests = 0;
  for (let failing = 1; ; failing += 1) {
    requests = 0;
    const reach = (where: number | 'committed'): void => {
      if (where !== 'committed') requests = where;
      if (where === failing) throw new Error('injected');
    };
    const outcome = await replaceFirstNode({ ...given, host: 'localhost', reach }).catch((error: unknown) => error);
    if (outcome === undefined) break;
    expect(outcome).toMatchObject({ message: 'injected' });
    expect(await hostNow()).toBe('127.0.0.1');
  }
  expect(requests).toBeGreaterThan(8);
  expect(await hostNow()).toBe('localhost');
  for (const [where, host] of [[requests, 'localhost'], ['committed', '127.0.0.1']] as const) {
    const child = spawn(process.execPath, [...scriptArguments(new URL('replacing-process.ts', import.meta.url)), given.connectionString, '127.0.0.1', String(given.port), String(where)], { stdio: ['ignore', 'ignore', 'inherit'] });
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
    await expect.poll(hostNow, { timeout: 10_000 }).toBe(host);
    // Nobody is left in the way of the next one.
    await cluster.query('INSERT INTO plans VALUES ($1)', [String(where)]);
  }
  expect(await cluster.nodes()).toEqual([{ id: 1, ...addressOf(old) }]);
  expect(await cluster.transactions()).toEqual([]);
}, 60_000);

test('a restored node is taken on by all processes; none goes on at the old server', async () => {
  await on(restored, `INSERT INTO ${await shardOf()} VALUES (1, 200)`);
  await old.stop();
  await cluster.replaceNode(1, { to: addressOf(restored) });
  for (const process of [cluster, other]) {
    await expect.poll(() => process.query('SELECT count(*)::int AS count FROM orders').then(({ rows }) => rows, () => []), { timeout: 10_000 }).toEqual([{ count: 21 }]);
    expect(process.connectionCounts().map(({ node }) => node)).not.toContain(`127.0.0.1:${old.port}/postgres`);
  }
  await cluster.query('INSERT INTO orders SELECT g, 300 FROM generate_series(1, 20) g');
  expect((await other.query('SELECT count(*)::int AS count FROM orders')).rows).toEqual([{ count: 41 }]);
});
