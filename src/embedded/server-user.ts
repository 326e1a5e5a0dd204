import { readFileSync } from 'node:fs';

export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

const candidates = ['postgres', '_postgres', 'nobody'];
const lastResort: ServerUser = { uid: 65534, gid: 65534 };

/**
 * Whom the servers run as. PostgreSQL refuses root, so root hands over to `postgres`, else `nobody`, else a bare number;
 * anybody else keeps their own name, which is `undefined` here.
 */
export function serverUser(): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const entries = readPasswords();
  for (const name of candidates) {
    const found = entries.get(name);
    if (found !== undefined) return found;
  }
  return lastResort;
}

function readPasswords(): Map<string, ServerUser> {
  const entries = new Map<string, ServerUser>();
  for (const line of passwordLines()) {
    const [name, , uid, gid] = line.split(':');
    const user = { uid: Number(uid), gid: Number(gid) };
    if (name !== undefined && user.uid > 0 && user.gid >= 0) entries.set(name, user);
  }
  return entries;
}

function passwordLines(): string[] {
  try {
    return readFileSync('/etc/passwd', 'utf8').split('\n');
  } catch {
    return []; // An image without accounts: the bare number works there too.
  }
}
