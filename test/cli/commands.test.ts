import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterEach, expect, test } from 'vitest';
import { parseListen, parseNode } from '../../src/cli/options.ts';
import { present } from '../../src/base/assert.ts';
import { query, RawClient, requestCancel } from '../wire/raw-client.ts';
import { startCluster } from '../coordinator/start-cluster.ts';
import { scriptArguments } from '../support/child-script.ts';

const running = new Set<ChildProcess>();
afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
});

interface Command {
  readonly child: ChildProcess;
  /** All that it has printed. */
  output(): string;
  /** Where it can be reached. */
  ready(): Promise<string>;
  exit(signal: NodeJS.Signals): Promise<number | null>;
  ended(): Promise<number | null>;
}

function command(...args: string[]): Command {
  const child = spawn(process.execPath, [...scriptArguments(new URL('../../src/cli/main.ts', import.meta.url)), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let output = '';
  const changed: (() => void)[] = [];
  const more = (chunk?: Buffer): void => {
    output += chunk?.toString() ?? '';
    for (const wake of changed.splice(0)) wake();
  };
  child.stdout.on('data', more);
  child.stderr.on('data', more);
  const exited = once(child, 'exit').then(([code]) => {
    running.delete(child);
    more();
    return code as number | null;
  });
  const ready = async (): Promise<string> => {
    for (;;) {
      const line = /^ready (\S+)$/m.exec(output)?.[1];
      if (line !== undefined) return line;
      if (child.exitCode !== null) throw new Error(`it ended: ${output}`);
      await new Promise<void>((resolve) => changed.push(resolve));
    }
  };
  const exit = (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal);
    return exited;
  };
  return { child, output: () => output, ready, exit, ended: () => exited };
}

async function ask(url: string, ...texts: string[]): Promise<unknown[]> {
  const client = new Client(url);
  await client.connect();
  try {
    const results: unknown[] = [];
    for (const text of texts) results.push((await client.query({ text, rowMode: 'array' })).rows);
    return results;
  } finally {
    await client.end();
  }
}

test('dev starts a cluster, stops cleanly and comes back with its data', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'shardwright-dev-'));
  // Servers run as another user than root.
  chmodSync(directory, 0o755);
  try {
    const first = command('dev', '--nodes', '2', '--port', '0', '--data', join(directory, 'data'));
    const url = await first.ready();
    expect(url).toMatch(/^postgres:\/\/postgres@127\.0\.0\.1:\d+\/postgres$/);
    await ask(url, 'CREATE TABLE t (a int PRIMARY KEY)', `SELECT create_distributed_table('t', 'a')`, 'INSERT INTO t SELECT generate_series(1, 100)');
    expect(await first.exit('SIGINT')).toBe(0);
    expect(first.output()).toBe(`ready ${url}\n`);
    const second = command('dev', '--nodes', '2', '--port', '0', '--data', join(directory, 'data'));
    expect(await ask(await second.ready(), 'SELECT count(*) FROM t')).toEqual([[['100']]]);
    expect(await second.exit('SIGTERM')).toBe(0);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('serve: several processes share a port, and find the session that a client cancels', async () => {
  await using pair = await startCluster();
  const { connectionString } = pair.databases.coordinator;
  const server = command('serve', '--coordinator', connectionString, '--listen', '127.0.0.1:0', '--authentication', 'trust', '--workers-per-core', '1.5');
  const url = await server.ready();
  const { hostname: host, port, pathname, username: user } = new URL(url);
  const where = { host, port: Number(port), database: pathname.slice(1), user };
  const clients = await Promise.all(Array.from({ length: 6 }, () => RawClient.start(where)));
  const [first] = clients;
  first?.send(query('SELECT count(*), count(DISTINCT pid) FROM shardwright_stat_activity'));
  expect((await first?.until('Z'))?.find(([type]) => type === 'D')).toEqual(['D', '6', '6']);
  for (const client of clients) {
    client.send(query('SELECT pg_sleep(600)'));
    while (client.said.length === 0) await requestCancel(where, present(client.key));
    expect((await client.until('Z'))[0]).toMatchObject(['E', { M: 'canceling statement due to user request' }]);
    await client.end();
  }
  expect(await server.exit('SIGTERM')).toBe(0);
});

test('patroni-callback tells all processes to ask the servers of a node; switchover says who is missing', async () => {
  await using pair = await startCluster();
  const { connectionString } = pair.databases.coordinator;
  const client = new Client({ connectionString });
  await client.connect();
  const heard = once(client, 'notification');
  await client.query(`DO $$ BEGIN EXECUTE (SELECT 'LISTEN shardwright_catalog_' || replace(id::text, '-', '') FROM shardwright.cluster); END $$`);
  const callback = command('patroni-callback', '--coordinator', connectionString, '--node', 'coordinator', 'on_role_change', 'primary', 'main');
  expect(await callback.ended()).toBe(0);
  expect(callback.output()).toBe('told of on_role_change (primary) in main\n');
  const [{ payload }] = (await heard) as [{ payload: string }];
  expect(JSON.parse(payload)).toMatchObject({ kind: 'changed', node: 0 });
  await client.end();
  const switchover = command('switchover', '--coordinator', connectionString, '--node', '1');
  expect(await switchover.ended()).toBe(1);
  expect(switchover.output()).toMatch(/^error: node .* has one server only\n {2}setNodeAddresses\(\) names its replicas\.\n$/);
});

test('nodes by id, address and as the coordinator database', () => {
  expect(['2', 'node-1:5432/app', 'postgres://node-1,node-2/app', 'coordinator'].map(parseNode)).toEqual([2, 'postgres://node-1:5432/app', 'postgres://node-1,node-2/app', 'coordinator']);
});

test('what is wrong is said in a line', async () => {
  const wrong = command('dev', '--nodes', 'many');
  expect(await wrong.ended()).toBe(1);
  expect(wrong.output()).toContain(`argument 'many' is invalid. It is a whole number from 1 to 64.`);
  const unreachable = command('serve', '--coordinator', 'postgres://u@127.0.0.1:1/d');
  expect(await unreachable.ended()).toBe(1);
  expect(unreachable.output()).toContain('error: could not connect to the coordinator database 127.0.0.1:1/d');
});

test('addresses to listen on', () => {
  expect(parseListen('6432')).toEqual({ host: '127.0.0.1', port: 6432 });
  expect(parseListen(':0')).toEqual({ host: '127.0.0.1', port: 0 });
  expect(parseListen('[::1]:5432')).toEqual({ host: '::1', port: 5432 });
  expect(parseListen('db.example:5432')).toEqual({ host: 'db.example', port: 5432 });
  for (const wrong of ['', 'host', 'host:', 'host:99999', 'a:b:1']) expect(() => parseListen(wrong)).toThrow('HOST:PORT');
});
