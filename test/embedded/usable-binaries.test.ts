import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { present } from '../../src/base/assert.ts';
import { findBinaries } from '../../src/embedded/find-binaries.ts';
import { identity } from '../../src/embedded/run-command.ts';
import { serverUser } from '../../src/embedded/server-user.ts';
import { usableBinaries } from '../../src/embedded/usable-binaries.ts';

const user = serverUser();

test('libraries are linked in place, by several at once too', async () => {
  const root = await freshPackage();
  const all = await Promise.all([1, 2, 3].map(() => usableBinaries({ bin: join(root, 'bin'), movableRoot: root }, { user })));
  expect(all.map(({ postgres }) => postgres)).toEqual(Array.from({ length: 3 }, () => join(root, 'bin', 'postgres')));
  expect(linksIn(root)).toBeGreaterThan(5);
});

test('a package that the servers cannot read, or that nobody may write to, is copied once', async () => {
  const root = await freshPackage();
  chmodSync(join(root, 'lib'), 0o555); // Not to be written to, for all but root ...
  chmodSync(dirname(root), 0o700); // ... whose servers cannot read it.
  const installation = { bin: join(root, 'bin'), movableRoot: root };
  const [binaries, again] = [await usableBinaries(installation, { user }), await usableBinaries(installation, { user })];
  onTestFinished(() => rmSync(dirname(dirname(binaries.postgres)), { recursive: true, force: true }));
  expect(again).toEqual(binaries);
  expect(binaries.postgres.startsWith(root)).toBe(false);
  expect(execFileSync(binaries.initdb, ['--version'], { ...identity(user), cwd: '/', encoding: 'utf8' })).toContain(binaries.version);
});

test('npm packages come before the servers of the machine', async () => {
  const { bin, movableRoot } = await findBinaries(15);
  expect(bin).toContain('node_modules');
  expect(existsSync(join(present(movableRoot), 'bin', 'postgres'))).toBe(true);
});

/** The package as npm unpacks it with install scripts switched off: no links. Of a version that no cache knows. */
async function freshPackage(): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'test-embedded-'));
  onTestFinished(() => {
    chmodSync(join(directory, 'native', 'lib'), 0o755);
    rmSync(directory, { recursive: true, force: true });
  });
  chmodSync(directory, 0o755);
  const { movableRoot } = await findBinaries(15);
  const root = join(directory, 'native');
  execFileSync('cp', ['-RP', present(movableRoot), root]);
  for (const name of readdirSync(join(root, 'lib'))) if (isLink(join(root, 'lib', name))) unlinkSync(join(root, 'lib', name));
  const manifest = readFileSync(join(dirname(present(movableRoot)), 'package.json'), 'utf8');
  writeFileSync(join(directory, 'package.json'), manifest.replace(/"version": "[^"]+"/, `"version": "15.0.0-${randomBytes(6).toString('hex')}"`));
  return root;
}

function linksIn(root: string): number {
  return readdirSync(join(root, 'lib')).filter((name) => isLink(join(root, 'lib', name))).length;
}

function isLink(path: string): boolean {
  return lstatSync(path).isSymbolicLink();
}
