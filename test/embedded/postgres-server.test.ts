import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { Client } from 'pg';
import { describe, expect, test, vi } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { volatileSettings } from '../../src/embedded/default-settings.ts';
import type { PostgresMajor } from '../../src/embedded/find-binaries.ts';
import { freePort } from '../../src/embedded/free-port.ts';
import { startPostgres, type PostgresServer } from '../../src/embedded/postgres-server.ts';
import { isAlive, segmentExists, sharedMemoryOf } from './owner-process.ts';

const settings = volatileSettings;

describe('a server', () => {
  test.each([15, 16, 17, 18] as const)('of version %i is ready, and fit to be a node', async (major) => {
    await using server = await startPostgres({ major, settings });
    expect(server.major).toBe(major);
    expect(await show(server, 'server_version')).toMatch(new RegExp(`^${major}\\.`));
    expect(await show(server, 'wal_level')).toBe('logical');
    expect(await show(server, 'max_prepared_transactions')).toBe('200');
    expect(await show(server, 'server_encoding')).toBe('UTF8');
    expect(await show(server, 'listen_addresses')).toBe('127.0.0.1');
  });

  test('has the port, the settings and the locale that were asked for', async () => {
    const port = await freePort();
    await using server = await startPostgres({ port, settings: { ...settings, max_prepared_transactions: '0' }, locale: 'icu:en-US' });
    expect(server.port).toBe(port);
    expect(server.connectionString).toBe(`postgresql://postgres@127.0.0.1:${port}/postgres`);
    expect(await show(server, 'max_prepared_transactions')).toBe('0');
    expect(await value(server, `SELECT 'a' < 'B'`)).toBe(true); // By code point it would not be.
    expect(await value(server, 'SELECT datlocprovider::text FROM pg_database WHERE datname = current_database()')).toBe('i');
  });

  test('can be reached through a socket in its data directory', async () => {
    await using server = await startPostgres({ settings });
    expect(await run({ host: server.dataDirectory, port: server.port, user: server.user, database: server.database }, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  test.each([15, 16, 17, 18] as const)('of version %i is another system than one started beside it', async (major) => {
    const servers = await Promise.all([startPostgres({ major, settings }), startPostgres({ major, settings })]);
    const [one, two] = await Promise.all(servers.map((server) => value(server, 'SELECT system_identifier FROM pg_control_system()')));
    await Promise.all(servers.map((server) => server.stop()));
    expect(one).not.toBe(two);
  });
});

describe('stop', () => {
  test.each(['fast', 'immediate'] as const)('%s leaves no process, directory or shared memory, and may be repeated', async (mode) => {
    const server = await startPostgres({ settings });
    const memory = sharedMemoryOf(server);
    await Promise.all([server.stop(mode), server.stop()]);
    await server.stop();
    expectGone(server, memory);
  });

  test('ends open sessions', async () => {
    const server = await startPostgres({ settings });
    const client = new Client(server.connectionString);
    const errors: unknown[] = [];
    client.on('error', (error) => errors.push(error));
    await client.connect();
    await client.query('BEGIN');
    await server.stop();
    await vi.waitFor(() => expect(errors[0]).toMatchObject({ code: '57P01' }), { timeout: 30_000 });
  });

  test('after the server was killed leaves nothing either', async () => {
    const server = await startPostgres({ settings });
    const memory = sharedMemoryOf(server);
    server.kill();
    await server.stop();
    expectGone(server, memory);
  });
});

describe('restart', () => {
  test.each(['running', 'killed'] as const)('of a %s server: same address, same data', async (state) => {
    await using server = await startPostgres({ settings });
    const { pid, connectionString } = server;
    await run(connectionString, 'CREATE TABLE t AS SELECT 1 AS a');
    if (state === 'killed') server.kill();
    await server.restart();
    expect(server.pid).not.toBe(pid);
    expect(server.connectionString).toBe(connectionString);
    expect(await run(connectionString, 'SELECT a FROM t')).toEqual([{ a: 1 }]);
  });

  test('that fails says why, and can be repeated', async () => {
    await using server = await startPostgres({ settings });
    await run(server.connectionString, `ALTER SYSTEM SET shared_preload_libraries = 'nonsense'`);
    await expect(server.restart()).rejects.toMatchObject({ id: 'embeddedServer', detail: expect.stringContaining('nonsense') });
    await expect(server.restart()).rejects.toMatchObject({ id: 'embeddedServer' });
  });
});

describe('a start that fails', () => {
  test('for an unknown setting: has the log, leaves nothing', async () => {
    const error: unknown = await startPostgres({ settings: { no_such_setting: '1' } }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ id: 'embeddedServer', detail: expect.stringContaining('unrecognized configuration parameter "no_such_setting"') });
    const [, directory = ''] = /In "([^"]+)"/.exec(String(Object(error).detail)) ?? [];
    expect(directory).toContain('run-');
    expect(existsSync(directory)).toBe(false);
  });

  test('for a taken port: names it', async () => {
    const other = createServer();
    const port = await new Promise<number>((resolve) => {
      other.listen(0, '127.0.0.1', () => resolve(Number(Object(other.address()).port)));
    });
    await expect(startPostgres({ port, settings })).rejects.toMatchObject({ detail: expect.stringMatching(/Address already in use[^]*port/) });
    other.close();
  });

  test('for a version that is nowhere: says how to get it', async () => {
    const major = 14 as PostgresMajor;
    await expect(startPostgres({ major })).rejects.toMatchObject({
      message: 'no PostgreSQL 14 found',
      hint: expect.stringMatching(/npm install .*postgres.*14/),
    });
  });
});

function expectGone({ pid, dataDirectory }: PostgresServer, sharedMemory: readonly string[]): void {
  expect(isAlive(pid)).toBe(false);
  expect(existsSync(dataDirectory)).toBe(false);
  expect(sharedMemory.length).toBeGreaterThan(0);
  expect(sharedMemory.filter((segment) => segmentExists(segment))).toEqual([]);
}

async function show(server: PostgresServer, setting: string): Promise<unknown> {
  return value(server, `SELECT current_setting('${setting}')`);
}

async function value(server: PostgresServer, sql: string): Promise<unknown> {
  return Object.values(at(await run(server.connectionString, sql), 0))[0];
}

async function run(address: ConstructorParameters<typeof Client>[0], sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client(address);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}
