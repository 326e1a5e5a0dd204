import { mkdtemp, rm, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsdown';

export interface BuiltChild extends AsyncDisposable {
  readonly script: string;
}

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Builds `children/main.ts` to JavaScript, as users would run the library: loading TypeScript directly adds some 40 MB to a
 * process. It lies below node_modules, so that the packages it imports are found.
 */
export async function buildChild(): Promise<BuiltChild> {
  const cache = path.join(root, 'node_modules', '.cache');
  await mkdir(cache, { recursive: true });
  const outDir = await mkdtemp(path.join(cache, 'shardwright-bench-'));
  await build({
    config: false,
    cwd: root,
    entry: { child: path.join(root, 'bench', 'children', 'main.ts') },
    format: 'esm',
    platform: 'node',
    outDir,
    clean: false,
    dts: false,
    logLevel: 'silent',
    outExtensions: () => ({ js: '.mjs' }),
  });
  return {
    script: path.join(outDir, 'child.mjs'),
    [Symbol.asyncDispose]: () => rm(outDir, { recursive: true, force: true }),
  };
}
