import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsdown';

export interface BuiltEntries extends AsyncDisposable {
  /** Holds `<name>.mjs` for each entry. */
  readonly directory: string;
}

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Builds TypeScript to JavaScript for processes of their own, as users would run the library: loading TypeScript directly takes a second and some 40 MB more for each process. `entries`:
 * paths from the project's root, by name. What is built lies below node_modules, so that the packages it imports are found.
 */
export async function buildEntries(entries: Readonly<Record<string, string>>): Promise<BuiltEntries> {
  const cache = path.join(root, 'node_modules', '.cache');
  await mkdir(cache, { recursive: true });
  const directory = await mkdtemp(path.join(cache, 'shardwright-built-'));
  // Processes of other users read it, too.
  await chmod(directory, 0o755);
  await build({
    config: false,
    cwd: root,
    entry: { ...entries },
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    deps: { skipNodeModulesBundle: true },
    outDir: directory,
    clean: false,
    dts: false,
    logLevel: 'silent',
    outExtensions: () => ({ js: '.mjs' }),
  });
  return { directory, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
}
