import { randomUUID } from 'node:crypto';
import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { throwIfAborted } from '../base/abort.ts';
import { sqlStateOf } from '../base/errors.ts';
import type { ServerUser } from './server-user.ts';
import { workDirectory } from './work-directory.ts';

export interface CachedDirectory {
  /** Names the content: the same key means the same files. */
  readonly key: string;
  readonly user: ServerUser | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Fills a directory that does not exist yet. */
  readonly build: (path: string) => Promise<void>;
}

const dayMs = 86_400_000;
const pollMs = 15;

/**
 * A directory that is built once and shared by all processes of a user: returns its path. It is built beside and renamed into
 * place, so it is always whole; the lock only saves others the work. A day's directory is not used after the next day: cleaners
 * of temporary directories remove files one by one.
 */
export async function cachedDirectory(wanted: CachedDirectory): Promise<string> {
  const root = workDirectory(wanted.user);
  const today = Math.floor(Date.now() / dayMs);
  const path = join(root, `${wanted.key}.${today}`);
  while (!(await exists(path))) {
    throwIfAborted(wanted.signal);
    if (await takeLock(`${path}.lock`)) await buildUnder(path, wanted, () => sweep(root, today));
    else await delay(pollMs);
  }
  return path;
}

async function buildUnder(path: string, wanted: CachedDirectory, tidy: () => Promise<void>): Promise<void> {
  const draft = `${path}.draft-${process.pid}-${randomUUID()}`;
  try {
    await tidy();
    await wanted.build(draft);
    await rename(draft, path).catch(async (error: unknown) => {
      if (!(await exists(path))) throw error; // Else another process was faster: its directory is as good.
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
    await rm(`${path}.lock`, { force: true });
  }
}

/** True when the lock is ours now. The lock of a process that is gone is removed, for the next try. */
async function takeLock(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (sqlStateOf(error) !== 'EEXIST') throw error;
  }
  const holder = Number(await readFile(lock, 'utf8').catch(() => ''));
  if (holder > 0 && !isAlive(holder)) await rm(lock, { force: true });
  return false;
}

/** Removes what builders that died left, and the directories of two days ago and before. */
async function sweep(root: string, today: number): Promise<void> {
  for (const name of await readdir(root)) {
    const [, day, draftOf] = /\.(\d+)(?:\.lock|\.draft-(\d+)-.*)?$/.exec(name) ?? [];
    const stale = Number(day) < today - 1 || (draftOf !== undefined && !isAlive(Number(draftOf)));
    if (stale) await rm(join(root, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return sqlStateOf(error) === 'EPERM';
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
