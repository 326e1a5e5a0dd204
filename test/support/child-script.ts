import { type ChildProcess, fork } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuiltEntries, buildEntries } from '../../scripts/build-entries.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const builtIn = 'SHARDWRIGHT_TEST_CHILDREN';
const children = /-(?:child|process)\.ts$/;
const others = ['test/embedded/server-owner.ts', 'src/cli/main.ts'];

/** Builds what the tests start as processes: files of theirs that are called `…-child.ts` or `…-process.ts`, and the command. They are found by this process and those that it starts. */
export async function buildChildren(): Promise<BuiltEntries> {
  const scripts = readdirSync(path.join(root, 'test'), { recursive: true, encoding: 'utf8' }).filter((file) => children.test(file)).map((file) => path.join('test', file));
  const built = await buildEntries(Object.fromEntries([...scripts, ...others].map((script) => [nameOf(script), script])));
  process.env[builtIn] = built.directory;
  return built;
}

/** Starts a script, with a channel for messages. */
export function forkScript(url: URL): ChildProcess {
  const { script, execArgv } = howToStart(url);
  return fork(script, { execArgv });
}

/** Arguments of Node that start a script, for `spawn`; its own come after them. */
export function scriptArguments(url: URL): string[] {
  const { script, execArgv } = howToStart(url);
  return [...execArgv, script];
}

/** Where `buildChildren` has built it, it starts a second sooner; else TypeScript is loaded directly. */
function howToStart(url: URL): { readonly script: string; readonly execArgv: string[] } {
  const script = fileURLToPath(url);
  const directory = process.env[builtIn];
  if (directory === undefined) return { script, execArgv: ['--import', import.meta.resolve('tsx')] };
  return { script: path.join(directory, `${nameOf(path.relative(root, script))}.mjs`), execArgv: [] };
}

function nameOf(script: string): string {
  return script.replace(/\.ts$/, '');
}
