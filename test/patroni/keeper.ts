import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, openSync, closeSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { identity, serverEnvironment } from '../../src/embedded/run-command.ts';
import { serverUser } from '../../src/embedded/server-user.ts';

/**
 * Ends all whose working directory lies in the one given, and removes that, once standard input ends: so also when this process is killed. Servers are told to quit, since one that is killed leaves its shared memory; what starts
 * servers goes before them.
 */
const script = `
root=$1
trap '' INT TERM HUP
while read -r line; do :; done
ours() { for p in /proc/[0-9]*; do case $(readlink "$p/cwd") in "$root"/*) echo "\${p#/proc/}" "$(cat "$p/comm")";; esac; done 2>/dev/null; }
for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  ours >"$root/left"
  [ -s "$root/left" ] || break
  while read -r pid name; do
    case $name in
      postgres) kill -CONT "$pid"; [ "$attempt" -lt 3 ] || kill -QUIT "$pid" ;;
      *) kill -KILL "$pid" ;;
    esac
  done <"$root/left"
  sleep 0.1
done 2>/dev/null
rm -rf "$root"
`;

export interface Program {
  /** Of its directory, under which its output is kept, too. */
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
}

/** A directory, and programs that work in it as the servers' user; all of them are gone when it is closed, or this process is. */
export class Keeper implements AsyncDisposable {
  readonly root: string;
  readonly #shell: ChildProcess;

  constructor() {
    this.root = mkdtempSync(join(tmpdir(), 'shardwright-patroni-'));
    own(this.root);
    this.#shell = spawn('/bin/sh', ['-c', script, 'shardwright-keeper', this.root], { cwd: '/', detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  }

  /** A new directory of its own for the program. */
  async directory(name: string): Promise<string> {
    const path = join(this.root, name);
    await mkdir(path, { mode: 0o700, recursive: true });
    own(path);
    return path;
  }

  run({ name, program, args }: Program): ChildProcess {
    const directory = join(this.root, name);
    const log = openSync(`${directory}.log`, 'a');
    const child = spawn(program, [...args], { ...identity(serverUser()), cwd: directory, env: serverEnvironment(), detached: true, stdio: ['ignore', log, log] });
    closeSync(log);
    child.unref();
    return child;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#shell.stdin?.end();
    await once(this.#shell, 'exit');
  }
}

function own(path: string): void {
  const user = serverUser();
  if (user !== undefined) chownSync(path, user.uid, user.gid);
}
