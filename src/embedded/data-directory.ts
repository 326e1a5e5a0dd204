import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import { isMajor, type PostgresMajor } from './find-binaries.ts';
import type { ServerUser } from './server-user.ts';
import { workDirectory } from './work-directory.ts';

export interface ExistingData {
  readonly path: string;
  readonly major: PostgresMajor;
  /** Whom its server has to run as when root starts it: PostgreSQL insists on the owner. */
  readonly owner: ServerUser | undefined;
}

export interface Place {
  readonly dataDirectory: string;
  /** The temporary directory around it; `undefined` when the caller named the data directory. */
  readonly removeDirectory: string | undefined;
}

/** What is in the directory; `undefined` when it is empty or missing. `embeddedServer` when it holds something else. */
export function existingData(directory: string): ExistingData | undefined {
  const path = resolve(directory);
  const names = filesIn(path);
  if (names.length === 0) return undefined;
  if (!names.includes('PG_VERSION')) throw new ClusterError('embeddedServer', `directory "${path}" is neither empty nor a data directory`);
  const version = readFileSync(join(path, 'PG_VERSION'), 'utf8').trim();
  const major = Number(version);
  if (!isMajor(major)) {
    throw new ClusterError('embeddedServer', `data directory "${path}" is of PostgreSQL ${version}`, { hint: 'Versions 15 to 18 can be started.' });
  }
  const { uid, gid } = statSync(path);
  return { path, major, owner: process.getuid?.() === 0 ? { uid, gid } : undefined };
}

/** A name for a temporary data directory: its supervisor makes it, and removes it in the end. */
export function temporaryPlace(user: ServerUser | undefined): Place {
  const removeDirectory = join(workDirectory(user), `run-${randomBytes(6).toString('hex')}`);
  return { dataDirectory: join(removeDirectory, 'data'), removeDirectory };
}

/** Makes the directory if need be, and gives it to the server's user, closed to all others. */
export function givenPlace(directory: string, user: ServerUser | undefined): Place {
  const dataDirectory = resolve(directory);
  mkdirSync(dataDirectory, { recursive: true });
  chmodSync(dataDirectory, 0o700);
  if (user !== undefined) chownSync(dataDirectory, user.uid, user.gid);
  return { dataDirectory, removeDirectory: undefined };
}

function filesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (sqlStateOf(error) === 'ENOENT') return [];
    throw error;
  }
}
