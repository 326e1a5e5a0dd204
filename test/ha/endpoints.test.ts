import dns from 'node:dns';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test, vi } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { sqlStateOf } from '../../src/base/errors.ts';
import { splitHosts } from '../../src/cluster/connection-hosts.ts';
import { type PostgresServer, startEmbeddedCluster, startPostgres, volatileSettings } from '../../src/embedded.ts';
import { withServer } from '../../src/embedded/with-server.ts';
import { readMembers } from '../../src/ha/patroni.ts';
import { Cluster } from '../../src/index.ts';
import { until } from '../cluster/connections.ts';
import { startMutingProxy } from '../txn/muting-proxy.ts';

const settings = volatileSettings;

test('a replica that is named later takes over; the old primary, back on its old timeline, is never written to, not by a new process either', async () => {
  await using embedded = await startEmbeddedCluster({ nodes: 1, settings, cluster: { failoverTimeoutMs: 20_000 } });
  const { cluster } = embedded;
  const old = embedded.primaryOf(0);
  await using replica = await old.startStandby();
  await cluster.query('CREATE TABLE t (a bigint PRIMARY KEY)');
  await cluster.createDistributedTable('t', 'a', { shardCount: 2 });
  const hosts = [old, replica].map(({ host, port }) => ({ host, port }));
  const node = await cluster.setNodeAddresses(1, { hosts });
  expect(await cluster.nodes()).toMatchObject([{ id: 1, port: old.port, hosts, timeline: 1 }]);
  expect(node).toMatchObject({ id: 1, hosts });
  await cluster.query('INSERT INTO t VALUES (1)');
  await until(() => caughtUp(old, replica));
  await killed(old);
  const [writing] = await Promise.all([cluster.query('INSERT INTO t VALUES (2)'), replica.promote()]);
  expect(writing.rowCount).toBe(1);
  await old.restart();
  await until(async () => (await cluster.health()).some(({ port, state }) => port === old.port && state === 'outdated'));
  // Either address names the node.
  expect((await cluster.setNodeAddresses({ ...at(hosts, 1), database: 'postgres' }, { hosts: hosts.toReversed() })).id).toBe(1);
  await cluster.query('INSERT INTO t VALUES (3)');
  expect(await cluster.nodes()).toMatchObject([{ timeline: 2 }]);
  await replica.halt();
  await using fresh = disposable(new Cluster({ connectionString: embedded.connectionString, failoverTimeoutMs: 1_000 }));
  await expect(fresh.cluster.query('INSERT INTO t VALUES (4)')).rejects.toMatchObject({ id: 'nodeUnreachable', detail: expect.stringContaining('another server was promoted since') });
  await replica.restart();
  expect((await cluster.query('SELECT a::int FROM t ORDER BY a')).rows).toEqual([{ a: 1 }, { a: 2 }, { a: 3 }]);
});

test('a server of another system among the addresses is not used, nor may an address be of two nodes', async () => {
  await using embedded = await startEmbeddedCluster({ nodes: 1, settings });
  await using foreign = await startPostgres({ settings });
  const { cluster } = embedded;
  const own = embedded.primaryOf(0);
  await cluster.setNodeAddresses(1, `postgres://postgres@127.0.0.1:${own.port},127.0.0.1:${foreign.port}/postgres`);
  await until(async () => (await cluster.health()).some(({ port, state }) => port === foreign.port && state === 'foreign'));
  await cluster.query('CREATE TABLE t (a bigint PRIMARY KEY)');
  await cluster.createDistributedTable('t', 'a', { shardCount: 2 });
  await expect(cluster.addNode({ host: foreign.host, port: foreign.port })).rejects.toMatchObject({ id: 'nodeExists' });
  await expect(cluster.switchover('coordinator', { promote: () => Promise.resolve() })).rejects.toMatchObject({ id: 'invalidParameter' });
});

test('packets to a primary are dropped: other nodes are not slowed, what waits goes on with the new primary', async () => {
  await using embedded = await startEmbeddedCluster({ nodes: 2, settings, cluster: { failoverTimeoutMs: 40_000 } });
  const { cluster } = embedded;
  const server = embedded.primaryOf(0);
  await using replica = await server.startStandby();
  await using proxy = await startMutingProxy(server);
  await cluster.setNodeAddresses(1, { hosts: [{ host: '127.0.0.1', port: proxy.port }, { host: replica.host, port: replica.port }] });
  await cluster.query('CREATE TABLE t (a bigint PRIMARY KEY)');
  await cluster.createDistributedTable('t', 'a', { shardCount: 8 });
  const [here, there] = await Promise.all([1, 2].map(async (node) => {
    for (let a = 1; ; a += 1) if ((await cluster.shardOf('t', a)).nodeId === node) return a;
  }));
  await proxy.mute();
  const over = new AbortController();
  const lost = cluster.query('INSERT INTO t VALUES ($1)', [here]).finally(() => over.abort());
  let others = 0;
  while (!over.signal.aborted) others += (await Promise.race([cluster.query('SELECT FROM t WHERE a = $1', [there]), lost.catch(() => undefined)])) === undefined ? 0 : 1;
  await expect(lost).rejects.toMatchObject({ id: 'writeOutcomeUnknown', code: '08007' });
  expect(others).toBeGreaterThan(100);
  const waiting = Promise.all(Array.from({ length: 50 }, () => cluster.query('SELECT FROM t WHERE a = $1', [here])));
  // One try at a time, of the probe.
  expect(cluster.connectionCounts().find(({ node }) => node.includes(`${proxy.port}`))?.open).toBeLessThan(2);
  await replica.promote();
  expect(await waiting).toHaveLength(50);
});

/** A primary and its standby behind one name, which stands for the primary until it is pointed elsewhere. */
async function startNamed(): Promise<AsyncDisposable & { readonly name: string; readonly port: number; readonly old: PostgresServer; readonly next: PostgresServer; pointToNext(): void }> {
  const old = await startPostgres({ settings });
  const next = await old.startStandby();
  const before = await startMutingProxy(old, { host: '127.0.0.2', port: 0 });
  const after = await startMutingProxy(next, { host: '127.0.0.3', port: before.port });
  let target = '127.0.0.2';
  const lookup = dns.lookup;
  const names = vi.spyOn(dns, 'lookup').mockImplementation(((host: string, options: dns.LookupOptions, done: (error: null, ...found: unknown[]) => void) => {
    if (host !== 'node.test') lookup(host, options, done as never);
    else if (options.all === true) done(null, [{ address: target, family: 4 }]);
    else done(null, target, 4);
  }) as never);
  return {
    name: 'node.test', port: before.port, old, next,
    pointToNext: () => void (target = '127.0.0.3'),
    [Symbol.asyncDispose]: async () => {
      names.mockRestore();
      for (const one of [before, after, next, old]) await one[Symbol.asyncDispose]();
    },
  };
}

test('a name that stands for another server is resolved anew while there is no primary', async () => {
  await using embedded = await startEmbeddedCluster({ nodes: 0, settings, cluster: { failoverTimeoutMs: 40_000 } });
  await using named = await startNamed();
  const { cluster } = embedded;
  const { name, port, old, next } = named;
  await cluster.addNode({ hosts: [{ host: name, port }], database: old.database });
  await cluster.query('CREATE TABLE t (a bigint PRIMARY KEY)');
  await cluster.createDistributedTable('t', 'a', { shardCount: 2 });
  expect((await cluster.health()).find(({ host }) => host === name)).toMatchObject({ address: '127.0.0.2', role: 'primary', timeline: 1 });
  await old.halt();
  await next.promote();
  await old.follow(next);
  // The name still stands for the old primary, which is a replica now.
  await until(async () => (await cluster.health()).some(({ host, role }) => host === name && role === 'replica'));
  named.pointToNext();
  expect((await cluster.query('INSERT INTO t VALUES (1)')).rowCount).toBe(1);
  expect((await cluster.health()).find(({ host }) => host === name)).toMatchObject({ address: '127.0.0.3', role: 'primary', timeline: 2 });
});

test('so is one of the coordinator database', async () => {
  await using named = await startNamed();
  const { name, port, old, next } = named;
  await using owned = disposable(new Cluster({ hosts: [{ host: name, port }], user: old.user, database: old.database, failoverTimeoutMs: 40_000 }));
  const { cluster } = owned;
  await cluster.query('CREATE TABLE local (a int)');
  expect(await cluster.health()).toMatchObject([{ host: name, address: '127.0.0.2', role: 'primary', timeline: 1 }]);
  await old.halt();
  const waiting = cluster.query('INSERT INTO local VALUES (1)');
  await next.promote();
  named.pointToNext();
  expect((await waiting).rowCount).toBe(1);
  expect(await cluster.health()).toMatchObject([{ host: name, address: '127.0.0.3', role: 'primary', timeline: 2 }]);
});

test('Patroni tells of servers, which are asked themselves: it may be behind', async () => {
  await using embedded = await startEmbeddedCluster({ nodes: 0, settings });
  await using stale = await startPostgres({ settings });
  await using leader = await stale.startStandby();
  await stale.halt();
  await leader.promote();
  await stale.follow(leader);
  const member = ({ host, port }: { host: string; port: number }, role: string) => ({ name: `${port}`, role, host, port, state: 'running', timeline: 1 });
  const patroni = createServer((request, response) => {
    response.statusCode = request.url === '/cluster' ? 200 : 404;
    response.end(JSON.stringify({ members: [member(leader, 'replica'), member(stale, 'leader'), { name: 'starting', role: 'replica' }] }));
  }).listen(0, '127.0.0.1');
  await once(patroni, 'listening');
  const { cluster } = embedded;
  const node = await cluster.addNode({ patroni: ['http://127.0.0.1:1', `http://127.0.0.1:${(patroni.address() as AddressInfo).port}`] });
  expect(node).toMatchObject({ port: stale.port, hosts: [{ port: stale.port }, { port: leader.port }] });
  await cluster.query('CREATE TABLE t (a bigint PRIMARY KEY)');
  await cluster.createDistributedTable('t', 'a', { shardCount: 2 });
  await cluster.query('INSERT INTO t VALUES (1)');
  const states = new Map((await cluster.health()).map(({ port, state }) => [port, state]));
  expect(states.get(leader.port)).toBe('primary');
  expect(states.get(stale.port)).toBe('replica');
  patroni.close();
});

test('documents of Patroni and connection strings that are odd', () => {
  for (const odd of [undefined, null, [], { members: {} }, { members: [null, { host: 'a' }, { host: 1, port: 2 }] }]) expect(readMembers(odd)).toEqual([]);
  expect(splitHosts('postgres://u:p%2C@h:5433/db?sslmode=require')).toBeUndefined();
  expect(splitHosts('postgresql://u:p@h1,[::1]:5433,h3:1/db?x=y,z')).toEqual({
    first: 'postgresql://u:p@h1/db?x=y,z', hosts: [{ host: 'h1', port: 5432 }, { host: '::1', port: 5433 }, { host: 'h3', port: 1 }],
  });
  expect(splitHosts('postgres://h1,h2/db')).toMatchObject({ first: 'postgres://h1/db' });
  expect(() => splitHosts('postgres://h1,h2:x/db')).toThrow('cannot read the host');
});

/** Whether the replica has all that the primary has at this moment. */
async function caughtUp(primary: PostgresServer, replica: PostgresServer): Promise<boolean> {
  const lsn = await withServer(primary, async (connection) => (await connection.query({ text: 'SELECT pg_current_wal_lsn()' })).rows[0]?.[0]);
  return withServer(replica, async (connection) => (await connection.query({ text: 'SELECT pg_last_wal_replay_lsn() >= $1', values: [lsn] })).rows[0]?.[0] === 't');
}

/** Kills a server, and waits until the sessions that it had are gone, too: they may commit for a moment still, what no standby will hear of. */
async function killed(server: PostgresServer): Promise<void> {
  const sessions = await withServer(server, async (connection) => (await connection.query({ text: `SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'` })).rows.map(([pid]) => Number(pid)));
  server.kill();
  await until(() => Promise.resolve(!sessions.some(isAlive)));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return sqlStateOf(error) === 'EPERM';
  }
  const file = `/proc/${pid}/stat`;
  return !existsSync(file) || !readFileSync(file, 'utf8').includes(') Z ');
}

function disposable(cluster: Cluster): AsyncDisposable & { readonly cluster: Cluster } {
  return { cluster, [Symbol.asyncDispose]: () => cluster.end() };
}
