import { existsSync, lstatSync, readFileSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { sqlStateOf } from '../base/errors.ts';
import { cachedDirectory } from './cached-directory.ts';
import type { Installation } from './find-binaries.ts';
import { runCommand } from './run-command.ts';
import type { ServerUser } from './server-user.ts';

export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  /** As the program says it: `18.4`. */
  readonly version: string;
}

/** Makes an installation fit for the user: linked to its libraries, and copied to where the user may read it if need be. */
export async function usableBinaries(
  found: Installation,
  options: { readonly user: ServerUser | undefined; readonly signal?: AbortSignal | undefined },
): Promise<Binaries> {
  const { movableRoot } = found;
  if (movableRoot === undefined) return tryBinaries(found, options.user);
  if (linkLibraries(movableRoot)) {
    const inPlace = await tryBinaries(found, options.user).catch(() => undefined);
    if (inPlace !== undefined) return inPlace;
  }
  const copy = await cachedDirectory({
    ...options,
    key: `postgres-${packageKey(movableRoot)}`,
    build: (path) => copyInstallation(movableRoot, path, options.signal),
  });
  return tryBinaries({ bin: join(copy, 'bin'), movableRoot: copy }, options.user);
}

async function tryBinaries(installation: Installation, user: ServerUser | undefined): Promise<Binaries> {
  const postgres = join(installation.bin, 'postgres');
  const printed = await runCommand({ program: postgres, args: ['--version'], user });
  return { postgres, initdb: join(installation.bin, 'initdb'), version: /\d+(\.\d+)?/.exec(printed)?.[0] ?? 'unknown' };
}

/**
 * npm packages cannot hold symbolic links: the package lists those it needs, and its install script, which may be switched off,
 * makes them. Safe to repeat and to run twice at once. False when the directory is not ours to write and some are missing.
 */
function linkLibraries(root: string): boolean {
  try {
    for (const link of missingLinks(root)) linkOnce(basename(link.source), link.path);
    return true;
  } catch (error) {
    if (['EACCES', 'EPERM', 'EROFS'].includes(sqlStateOf(error) ?? '')) return false;
    throw error;
  }
}

function linkOnce(source: string, path: string): void {
  try {
    symlinkSync(source, path);
  } catch (error) {
    if (sqlStateOf(error) !== 'EEXIST') throw error;
  }
}

/** Paths in the list start with `native/`, the name of the root; source and link always share a directory. */
function missingLinks(root: string): { source: string; path: string }[] {
  const list = join(root, 'pg-symlinks.json');
  if (!existsSync(list)) return [];
  const entries: unknown = JSON.parse(readFileSync(list, 'utf8'));
  if (!Array.isArray(entries)) return [];
  return entries
    .filter(isLink)
    .map(({ source, target }) => ({ source, path: join(root, target.replace(/^native\//, '')) }))
    .filter(({ path }) => lstatSync(path, { throwIfNoEntry: false }) === undefined);
}

function isLink(entry: unknown): entry is { source: string; target: string } {
  if (typeof entry !== 'object' || entry === null || !('source' in entry) || !('target' in entry)) return false;
  return typeof entry.source === 'string' && typeof entry.target === 'string';
}

async function copyInstallation(root: string, path: string, signal: AbortSignal | undefined): Promise<void> {
  await runCommand({ program: 'cp', args: ['-R', root, path], signal });
  await runCommand({ program: 'chmod', args: ['-R', 'u+w,a+rX', path], signal });
  linkLibraries(path);
}

function packageKey(root: string): string {
  const text = readFileSync(join(dirname(root), 'package.json'), 'utf8');
  return /"version"\s*:\s*"([\w.-]+)"/.exec(text)?.[1] ?? 'unknown';
}
