import { chmodSync, existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { Client } from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { volatileSettings } from '../../src/embedded/default-settings.ts';
import { startPostgres } from '../../src/embedded/postgres-server.ts';

const settings = volatileSettings;

describe('a data directory of the caller', () => {
  test('is made, kept, and used again with its data and version', async () => {
    const dataDirectory = join(temporaryDirectory(), 'not', 'there', 'yet');
    const first = await startPostgres({ dataDirectory, major: 15, settings });
    await query(first.connectionString, 'CREATE TABLE t AS SELECT 1 AS a');
    await first.stop();
    await using second = await startPostgres({ dataDirectory, settings });
    expect(second).toMatchObject({ major: 15, dataDirectory });
    expect(await query(second.connectionString, 'SELECT a FROM t')).toEqual([{ a: 1 }]);
  });

  test('is used again after its server was killed', async () => {
    const dataDirectory = temporaryDirectory();
    const first = await startPostgres({ dataDirectory, settings });
    await query(first.connectionString, 'CREATE TABLE t AS SELECT 1 AS a');
    first.kill();
    await first.stop();
    await using second = await startPostgres({ dataDirectory, settings });
    expect(await query(second.connectionString, 'SELECT a FROM t')).toEqual([{ a: 1 }]);
  });

});

/** On a busy machine the server may be ready before anybody has looked: then it is stopped. */
async function outcomeOfAbort(dataDirectory: string, file: string): Promise<unknown> {
  const controller = new AbortController();
  const outcome = startPostgres({ dataDirectory, settings, signal: controller.signal }).then((server) => server.stop(), (error: unknown) => (error as { id?: unknown }).id);
  while (!existsSync(join(dataDirectory, file))) await turn();
  controller.abort();
  return outcome;
}

// What a start writes, in this order.
test.each(['', 'PG_VERSION', 'postgres.log', 'postmaster.pid'])('a start that is given up when "%s" is there leaves no server, and a sound directory', async (file) => {
  let dataDirectory = join(temporaryDirectory(), 'data');
  while ((await outcomeOfAbort(dataDirectory, file)) !== 'canceled') dataDirectory = join(temporaryDirectory(), 'data');
  await using server = await startPostgres({ dataDirectory, settings });
  expect(await query(server.connectionString, 'SELECT 1 AS a')).toEqual([{ a: 1 }]);
});

describe('a directory is refused', () => {
  test('that a server runs in, and that server goes on', async () => {
    const dataDirectory = temporaryDirectory();
    await using first = await startPostgres({ dataDirectory, settings });
    await expect(startPostgres({ dataDirectory, settings })).rejects.toMatchObject({
      id: 'embeddedServer',
      detail: expect.stringContaining(`lock file "postmaster.pid" already exists`),
    });
    expect(await query(first.connectionString, 'SELECT 1 AS a')).toEqual([{ a: 1 }]);
  });

  test('of another version than asked for', async () => {
    const dataDirectory = temporaryDirectory();
    await (await startPostgres({ dataDirectory, major: 15, settings })).stop();
    await expect(startPostgres({ dataDirectory, major: 18 })).rejects.toThrow(`data directory "${dataDirectory}" is of PostgreSQL 15, not 18`);
  });

  test('of a version that is too old', async () => {
    const dataDirectory = temporaryDirectory();
    writeFileSync(join(dataDirectory, 'PG_VERSION'), '9.6\n');
    await expect(startPostgres({ dataDirectory })).rejects.toThrow(`data directory "${dataDirectory}" is of PostgreSQL 9.6`);
  });

  test('that holds something else', async () => {
    const dataDirectory = temporaryDirectory();
    writeFileSync(join(dataDirectory, 'thesis.tex'), '');
    await expect(startPostgres({ dataDirectory })).rejects.toThrow(`directory "${dataDirectory}" is neither empty nor a data directory`);
  });
});

async function query(connectionString: string, sql: string): Promise<unknown[]> {
  const client = new Client(connectionString);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'test-embedded-'));
  chmodSync(directory, 0o755);
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
