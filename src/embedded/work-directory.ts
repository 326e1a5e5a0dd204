import { chownSync, lstatSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { ServerUser } from './server-user.ts';

/**
 * The directory under the system's temporary one for all that servers of this user need: templates, and the data of those that run.
 * It belongs to the user and is closed to all others, so that a server's supervisor can tidy up in it.
 */
export function workDirectory(user: ServerUser | undefined): string {
  const owner = user?.uid ?? process.getuid?.() ?? 0;
  const path = join(temporaryDirectory(user), `shardwright-${owner}`);
  try {
    mkdirSync(path, { mode: 0o700 });
    if (user !== undefined) chownSync(path, user.uid, user.gid);
  } catch (error) {
    if (sqlStateOf(error) !== 'EEXIST') throw error;
  }
  if (isOurs(path, owner)) return path;
  throw new ClusterError('embeddedServer', `directory "${path}" belongs to somebody else`, {
    hint: 'Remove it, or set TMPDIR to another directory.',
  });
}

/** root is the owner for the moment between the two steps above, in another process. */
function isOurs(path: string, owner: number): boolean {
  const found = lstatSync(path);
  return found.isDirectory() && (found.uid === owner || found.uid === process.getuid?.());
}

/** TMPDIR may be private to root; then its servers' user needs another one. */
function temporaryDirectory(user: ServerUser | undefined): string {
  const path = realpathSync(tmpdir());
  return user === undefined || isReachable(path, user) ? path : '/tmp';
}

function isReachable(path: string, user: ServerUser): boolean {
  const { mode, uid, gid } = statSync(path);
  const search = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
  return (mode & search) !== 0 && (path === dirname(path) || isReachable(dirname(path), user));
}
