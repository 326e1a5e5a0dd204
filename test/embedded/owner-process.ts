import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, vi } from 'vitest';
import { sqlStateOf } from '../../src/base/errors.ts';
import type { ServerUser } from '../../src/embedded/server-user.ts';
import { scriptArguments } from '../support/child-script.ts';

export interface OwnedServer {
  readonly pid: number;
  readonly dataDirectory: string;
  readonly connectionString: string;
  /** Files in /dev/shm and System V segments that the server holds. */
  readonly sharedMemory: readonly string[];
}

export interface Owner {
  readonly child: ChildProcess;
  readonly lines: AsyncIterator<string>;
}

export interface OwnerOptions {
  /** See server-owner.ts; by default it lives on. */
  readonly ending?: string;
  readonly tmpdir?: string;
  readonly user?: ServerUser | undefined;
}

/** Starts server-owner.ts as the leader of a process group of its own. */
export function startOwner({ ending = 'live', tmpdir, user }: OwnerOptions = {}): Owner {
  const child = spawn(process.execPath, [...scriptArguments(new URL('server-owner.ts', import.meta.url)), ending], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...(tmpdir === undefined ? {} : { TMPDIR: tmpdir }) },
    ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
  });
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

/** The owner's servers, once they are ready. */
export async function serversOf(owner: Owner): Promise<OwnedServer[]> {
  const { value } = await owner.lines.next();
  const servers: OwnedServer[] = JSON.parse(value);
  return servers.map((server) => ({ ...server, sharedMemory: sharedMemoryOf(server) }));
}

/** Exit status, or the signal that ended it. */
export async function ended({ child }: Owner): Promise<number | NodeJS.Signals | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode ?? child.signalCode;
}

/** No process, no file and no shared memory is left of them. Waits: the servers end after their owner. */
export async function expectNothingLeft(servers: readonly OwnedServer[]): Promise<void> {
  await vi.waitFor(
    () => {
      for (const { pid, dataDirectory, sharedMemory } of servers) {
        expect(isAlive(pid), `process ${pid}`).toBe(false);
        expect(existsSync(dirname(dataDirectory)), dirname(dataDirectory)).toBe(false);
        expect(sharedMemory.filter((segment) => segmentExists(segment))).toEqual([]);
      }
    },
    { timeout: 20_000, interval: 20 },
  );
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return sqlStateOf(error) === 'EPERM';
  }
}

/** Linux tells what a process has mapped; elsewhere nothing is known. */
export function sharedMemoryOf(server: { readonly pid: number }): string[] {
  const maps = `/proc/${server.pid}/maps`;
  if (!existsSync(maps)) return [];
  const text = readFileSync(maps, 'utf8');
  const files = text.match(/\/dev\/shm\/PostgreSQL\.\d+/g) ?? [];
  const segments = [...text.matchAll(/\s(\d+)\s+\/SYSV/g)].map(([, id]) => `sysv ${id}`);
  return [...new Set([...files, ...segments])];
}

export function segmentExists(segment: string): boolean {
  if (segment.startsWith('/')) return existsSync(segment);
  const [, id] = segment.split(' ');
  return readFileSync('/proc/sysvipc/shm', 'utf8')
    .split('\n')
    .some((line) => line.trim().split(/\s+/)[1] === id);
}
