import { createServer } from 'node:net';
import { Client, type ClientConfig } from 'pg';
import { expect, test } from 'vitest';
import { openTestNode } from './connections.ts';
import { ClusterError } from '../../src/base/errors.ts';
import { nodeId } from '../../src/catalog/ids.ts';
import type { NodeConnections } from '../../src/cluster/node-connection.ts';
import { openNodeConnections } from '../../src/cluster/open-node-connections.ts';
import { volatileSettings } from '../../src/embedded/default-settings.ts';
import { startPostgres } from '../../src/embedded/postgres-server.ts';

function open(client: ClientConfig, connectTimeoutMs = 5_000): NodeConnections {
  return openNodeConnections({ id: nodeId(1), name: 'there:1/db' }, { client, connectTimeoutMs });
}

test.each(['shared', 'exclusive'])('nobody listens: the node is named (%s)', async (kind) => {
  const nobody = open({ host: '127.0.0.1', port: 1 });
  const signal = kind === 'shared' ? undefined : new AbortController().signal;
  const calls = Array.from({ length: 30 }, () => nobody.query({ text: 'SELECT 1' }, { signal }));
  for (const outcome of await Promise.allSettled(calls)) {
    expect(outcome).toMatchObject({
      reason: { id: 'nodeUnreachable', message: 'could not connect to node there:1/db', detail: expect.stringContaining('ECONNREFUSED') },
    });
  }
  await nobody.end();
  expect(nobody.counts).toEqual({ open: 0, idle: 0, waiting: 0 });
});

test('a server that says nothing counts as unreachable', async () => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await new Promise((resolve) => silent.once('listening', resolve));
  const address = silent.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const connections = open({ host: '127.0.0.1', port }, 50);
  await expect(connections.query({ text: 'SELECT 1' })).rejects.toMatchObject({ id: 'nodeUnreachable' });
  await expect(connections.acquire()).rejects.toMatchObject({ id: 'nodeUnreachable' });
  await connections.end();
  silent.close();
});

test('the server\'s own refusal passes through, naming the node', async () => {
  await using node = await openTestNode();
  const nowhere = open({ connectionString: node.connectionString.replace(/[^/]*$/, 'nowhere') });
  await expect(nowhere.query({ text: 'SELECT 1' })).rejects.toMatchObject({ code: '3D000', where: 'node there:1/db', hint: expect.stringContaining('there:1/db') });
  const nobody = open({ connectionString: node.connectionString.replace('postgres@', 'nobody@') });
  await expect(nobody.acquire()).rejects.toMatchObject({ code: '28000', where: 'node there:1/db' });
  await Promise.all([nowhere.end(), nobody.end()]);
});

test('a wrong password passes through, naming the node', async () => {
  await using server = await startPostgres({ settings: volatileSettings });
  const admin = new Client(server.connectionString);
  await admin.connect();
  await admin.query("CREATE ROLE app LOGIN PASSWORD 'right'");
  const rules = "SELECT 'host all app all scram-sha-256' UNION ALL SELECT 'host all all all trust'";
  await admin.query(`COPY (${rules}) TO '${server.dataDirectory}/pg_hba.conf'`);
  await admin.query('SELECT pg_reload_conf()');
  await admin.end();
  const { host, port } = server;
  const wrong = open({ host, port, user: 'app', password: 'wrong', database: 'postgres' });
  await expect(wrong.query({ text: 'SELECT 1' })).rejects.toMatchObject({ code: '28P01', where: 'node there:1/db', hint: expect.stringContaining('password') });
  const right = open({ host, port, user: 'app', password: 'right', database: 'postgres' });
  expect((await right.query({ text: 'SELECT 1' })).rows).toEqual([['1']]);
  await Promise.all([wrong.end(), right.end()]);
});

test('an error of a statement keeps its fields and gets the node', async () => {
  await using node = await openTestNode();
  await node.connections.query({ text: 'CREATE TABLE t (a int PRIMARY KEY)' });
  const error: unknown = await node.connections.query({ text: "DO $$ BEGIN INSERT INTO t VALUES (1), (1); END $$" }).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: '23505', constraint: 't_pkey', table: 't', severity: 'ERROR' });
  expect(error).toMatchObject({ where: expect.stringMatching(new RegExp(`^SQL statement[^]*\nnode ${node.name}$`)) });
});

test.each([{ shared: true }, { shared: false }])('a server killed under a statement (%o)', async ({ shared }) => {
  await using server = await startPostgres({ settings: volatileSettings });
  const connections = open({ connectionString: server.connectionString });
  const options = shared ? {} : { signal: new AbortController().signal };
  await connections.query({ text: 'SELECT 1' }, options);
  const sleeping = connections.query({ text: 'SELECT pg_sleep(1000)' }, options);
  const settled = expect(sleeping).rejects.toSatisfy((error) => error instanceof ClusterError && error.id === 'connectionLost' && error.message.includes('there:1/db'));
  await connections.query({ text: 'SELECT 1', mayWait: true });
  await server.stop('immediate');
  await settled;
  await expect(connections.query({ text: 'SELECT 1' }, options)).rejects.toMatchObject({ id: 'nodeUnreachable' });
  await connections.end();
});

test('connections that the server closed while idle are dropped', async () => {
  await using node = await openTestNode();
  await node.connections.query({ text: 'SELECT 1' });
  await node.connections.query({ text: 'SELECT 1', mayWait: true });
  expect(node.connections.counts).toMatchObject({ open: 2, idle: 2 });
  await node.sees('(SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()) = 2');
  while (node.connections.counts.open > 0) await new Promise((resolve) => setImmediate(resolve));
  expect((await node.connections.query({ text: 'SELECT 1' })).rows).toEqual([['1']]);
  expect((await node.connections.query({ text: 'SELECT 1', mayWait: true })).rows).toEqual([['1']]);
});

test('a session ended by the administrator gives the server\'s words to the running statement; those behind have not run', async () => {
  await using node = await openTestNode({ sharedMax: 1 });
  const [running, behind] = [node.connections.query({ text: 'SELECT pg_sleep(1000)' }), node.connections.query({ text: 'SELECT 1' })];
  const settled = Promise.allSettled([running, behind]);
  while (!(await node.sees("(SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep%') = 1")));
  expect(await settled).toMatchObject([{ reason: { code: '57P01' } }, { reason: { id: 'nodeUnreachable' } }]);
});
