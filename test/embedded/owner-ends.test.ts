import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { serverUser } from '../../src/embedded/server-user.ts';
import { ended, expectNothingLeft, serversOf, startOwner } from './owner-process.ts';

describe('however their owner ends, nothing is left of its servers', () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)('%s to its process group', async (signal) => {
    const owner = startOwner();
    const servers = await serversOf(owner);
    expect(servers.map(({ sharedMemory }) => sharedMemory.length > 0)).toEqual([true, true]);
    process.kill(-(owner.child.pid ?? 0), signal);
    expect(await ended(owner)).toBe(signal);
    await expectNothingLeft(servers);
  });

  test.each([
    ['stop', 0],
    ['finish', 0],
    ['exit', 3],
    ['throw', 1],
  ] as const)('it does: %s', async (ending, status) => {
    const owner = startOwner({ ending });
    const servers = await serversOf(owner);
    expect(await ended(owner)).toBe(status);
    await expectNothingLeft(servers);
  });

  test('its own SIGINT handler runs', async () => {
    const owner = startOwner({ ending: 'handle' });
    const servers = await serversOf(owner);
    process.kill(-(owner.child.pid ?? 0), 'SIGINT');
    expect((await owner.lines.next()).value).toBe('handled');
    expect(await ended(owner)).toBe(7);
    await expectNothingLeft(servers);
  });
});

test('a user that is not root owns servers too', async () => {
  const user = serverUser();
  const directory = privateTmpdir(user);
  const owner = startOwner({ tmpdir: directory, user });
  const servers = await serversOf(owner);
  const client = new Client(servers[0]?.connectionString);
  await client.connect();
  await client.end();
  process.kill(owner.child.pid ?? 0, 'SIGKILL');
  await expectNothingLeft(servers);
});

test('two processes that need the same template at once make one', async () => {
  const directory = privateTmpdir(undefined);
  const owners = [startOwner({ ending: 'stop', tmpdir: directory }), startOwner({ ending: 'stop', tmpdir: directory })];
  expect(await Promise.all(owners.map((owner) => ended(owner)))).toEqual([0, 0]);
  const [root = '', ...others] = readdirSync(directory).filter((name) => name.startsWith('shardwright-'));
  expect(others).toEqual([]);
  expect(readdirSync(join(directory, root))).toEqual([expect.stringMatching(/^data-18\.[\d.]+-default\.\d+$/)]);
});

describe('killed while servers start, the owner leaves nothing', () => {
  const directory = mkdtempSync(join(tmpdir(), 'test-embedded-'));
  chmodSync(directory, 0o755);
  beforeAll(() => ended(startOwner({ ending: 'stop', tmpdir: directory }))); // Makes the template.
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  // What a start writes, in this order. The kill comes as soon as the first server's is seen.
  test.each(['', 'data/PG_VERSION', 'data/postgres.log', 'data/postmaster.pid'])('when "%s" is there', async (file) => {
    const owner = startOwner({ tmpdir: directory });
    while (!runDirectories(directory).some((path) => existsSync(join(path, file)))) await turn();
    process.kill(owner.child.pid ?? 0, 'SIGKILL');
    await ended(owner);
    await vi.waitFor(() => expect(runDirectories(directory)).toEqual([]), { timeout: 20_000, interval: 20 });
  });
});

/** Temporary data of servers: `shardwright-<uid>/run-<name>`. */
function runDirectories(directory: string): string[] {
  const roots = readdirSync(directory).filter((name) => name.startsWith('shardwright-'));
  return roots.flatMap((root) => readdirSync(join(directory, root)).map((name) => join(directory, root, name))).filter((path) => path.includes('/run-'));
}

function privateTmpdir(user: { uid: number; gid: number } | undefined): string {
  const directory = mkdtempSync(join(tmpdir(), 'test-embedded-'));
  chmodSync(directory, 0o755);
  if (user !== undefined) chownSync(directory, user.uid, user.gid);
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
