import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { type PostgresServer, startPostgres, volatileSettings } from '../../src/embedded.ts';
import { withServer } from '../../src/embedded/with-server.ts';
import { Cluster, type ClusterOptions } from '../../src/index.ts';
import { until } from '../cluster/connections.ts';
import { startMutingProxy } from '../txn/muting-proxy.ts';
import { startFakePatroni } from './fake-patroni.ts';

/** The coordinator database: its primary and the replicas, those that Patroni tells of. */
let members: PostgresServer[];
let leader: PostgresServer;
const ended: AsyncDisposable[] = [];

beforeEach(async () => {
  leader = await startPostgres({ settings: volatileSettings });
  members = [leader, await leader.startStandby()];
  ended.push(...members);
});

afterEach(async () => {
  for (const one of ended.splice(0).toReversed()) await one[Symbol.asyncDispose]();
});

function startPatroni(): ReturnType<typeof startFakePatroni> {
  return startFakePatroni({ servers: members, isLeader: (server) => server === leader, promote: () => fail(at(members, 1)) });
}

/** The replica has all that was committed before, and becomes the primary. */
async function fail(over: PostgresServer): Promise<void> {
  const lsn = await withServer(leader, async (connection) => (await connection.query({ text: 'SELECT pg_current_wal_lsn()' })).rows[0]?.[0]);
  await until(() => withServer(over, async (connection) => (await connection.query({ text: 'SELECT pg_last_wal_replay_lsn() >= $1', values: [lsn] })).rows[0]?.[0] === 't'));
  leader.kill();
  await over.promote();
  leader = over;
}

function open(options: ClusterOptions): Cluster {
  const cluster = new Cluster({ user: leader.user, database: leader.database, failoverTimeoutMs: 40_000, ...options });
  ended.push({ [Symbol.asyncDispose]: () => cluster.end() });
  return cluster;
}

async function states(cluster: Cluster): Promise<Record<number, string>> {
  return Object.fromEntries((await cluster.health()).map(({ port, state }) => [port, state]));
}

/** Where nothing listens. */
async function unusedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

test('Patroni tells where the coordinator database is, of members that come later too, and switches it over', async () => {
  await using patroni = await startPatroni();
  const cluster = open({ patroni: [`http://127.0.0.1:${await unusedPort()}`, patroni.url] });
  const [first, second] = [at(members, 0), at(members, 1)];
  await cluster.query('CREATE TABLE local (a int)');
  expect(await states(cluster)).toEqual({ [first.port]: 'primary', [second.port]: 'replica' });
  const third = await leader.startStandby();
  members.push(third);
  ended.push(third);
  await cluster.serversChanged('coordinator');
  await until(async () => (await states(cluster))[third.port] === 'replica');
  const { port } = await cluster.switchover('coordinator');
  expect(port).toBe(second.port);
  expect(patroni.asked).toEqual([{ leader: 'member-0' }]);
  expect((await cluster.query('INSERT INTO local VALUES (1)')).rowCount).toBe(1);
  // Other processes hear of it by way of the new primary.
  const other = open({ patroni: patroni.url });
  await other.query('SELECT FROM local');
  await cluster.addNode({ host: second.host, port: second.port });
  await until(async () => (await other.query('SELECT a FROM local')).rowCount === 1 && (await other.nodes()).length === 1);
});

test('a server under two names, of the application and of Patroni, is one', async () => {
  await using patroni = await startPatroni();
  await using named = await startMutingProxy(leader, { host: '127.0.0.2', port: 0 });
  const cluster = open({ hosts: [{ host: '127.0.0.2', port: named.port }], patroni: patroni.url, failoverTimeoutMs: 10_000 });
  const [first, second] = [at(members, 0), at(members, 1)];
  await cluster.query('CREATE TABLE local (a int)');
  await until(async () => (await cluster.health()).length === 3);
  const seen = await states(cluster);
  expect(new Set([seen[named.port], seen[first.port]])).toEqual(new Set(['alias', 'primary']));
  expect(seen[second.port]).toBe('replica');
  // None of them is known as the primary before.
  const fresh = open({ hosts: [first, { host: '127.0.0.2', port: named.port }], patroni: patroni.url, failoverTimeoutMs: 10_000 });
  expect((await fresh.query('INSERT INTO local VALUES (1)')).rowCount).toBe(1);
  // The other name is as good when one leads nowhere any more.
  await named.mute();
  await until(async () => (await states(cluster))[first.port] === 'primary');
  expect((await cluster.query('INSERT INTO local VALUES (2)')).rowCount).toBe(1);
  await fail(second);
  expect((await cluster.query('INSERT INTO local VALUES (3)')).rowCount).toBe(1);
  expect((await cluster.query('SELECT a FROM local ORDER BY a')).rows).toEqual([{ a: 1 }, { a: 2 }, { a: 3 }]);
});

test('without an answer of Patroni it is said who was asked, hosts are used, and what waits goes on with the first answer', async () => {
  const silent = `http://127.0.0.1:${await unusedPort()}`;
  const lost = open({ patroni: [silent.replace('//', '//admin:secret@')], failoverTimeoutMs: 1_500 });
  const name = `${silent}/${leader.database}`;
  await expect(lost.query('SELECT 1 AS a')).rejects.toMatchObject({
    id: 'coordinatorUnreachable', message: `no server of the coordinator database ${name} takes writes`, detail: expect.stringContaining(`no Patroni answers at ${silent}: `) as string,
  });
  const listed = open({ patroni: silent, hosts: members });
  await listed.query('CREATE TABLE local (a int)');
  expect(await states(listed)).toEqual({ [at(members, 0).port]: 'primary', [at(members, 1).port]: 'replica' });
  const connected = open({ patroni: silent, connectionString: leader.connectionString });
  expect((await connected.query('INSERT INTO local VALUES (1)')).rowCount).toBe(1);

  const servers = members;
  members = [];
  await using patroni = await startPatroni();
  const waiting = open({ patroni: patroni.url });
  const done = waiting.query('INSERT INTO local VALUES (2)');
  await expect(open({ patroni: patroni.url, failoverTimeoutMs: 1_500 }).query('SELECT FROM local')).rejects.toMatchObject({ detail: expect.stringContaining('knows of no server') as string });
  members.push(...servers);
  expect((await done).rowCount).toBe(1);
});

test('URLs that are none are refused', () => {
  expect(() => open({ patroni: [] })).toThrow('patroni needs at least one URL');
  expect(() => open({ patroni: ['http://a:8008', 'nonsense'] })).toThrow('cannot read the URL "nonsense" of a Patroni');
});
