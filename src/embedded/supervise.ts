import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { ClusterError } from '../base/errors.ts';
import { identity, serverEnvironment } from './run-command.ts';
import type { ServerUser } from './server-user.ts';

export interface SupervisedServer {
  readonly postgres: string;
  readonly args: readonly string[];
  readonly dataDirectory: string;
  readonly logFile: string;
  /** Copied to the data directory before the server starts. */
  readonly template?: string | undefined;
  /** Removed once the server has ended and either this process is gone or it let go of the server. */
  readonly removeDirectory?: string | undefined;
  readonly user: ServerUser | undefined;
}

/**
 * A shell that is the server's parent, in a session of its own so that no Ctrl-C reaches either. Its standard input is the life
 * line: it ends when this process lets go, exits, or is killed in any way.
 *
 * 1. The directory to remove is known before anything is written to it.
 * 2. The shell knows the server's number from the fork itself, so no moment exists in which a server is unwatched.
 * 3. Standard output stays open in the server and its backends alone: its end means that all of them are gone.
 * 4. A line on standard input means that the directory is to be kept.
 * 5. A server that was killed (137) could not give back its shared memory: a single-user server in the same directory finds and
 *    frees it. It may have to wait for the last backend, which notices the death of its postmaster a little later.
 */
const script = `
remove=$1 template=$2 data=$3 log=$4 postgres=$5
shift 5
if [ -n "$template" ] && ! cp -Rp "$template/." "$data"; then
  [ -z "$remove" ] || rm -rf "$remove"
  exit 1
fi
"$postgres" "$@" 2>>"$log" </dev/null &
server=$!
echo "$server"
exec >/dev/null 2>&1
while read -r line; do remove=; done
kill -QUIT "$server"
wait "$server"
if [ $? -eq 137 ] && [ -n "$remove" ]; then
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    "$postgres" --single -D "$data" template1 </dev/null && break
    sleep 0.2
  done
fi
[ -z "$remove" ] || rm -rf "$remove"
`;

/** One run of a server, from its start to the end of its last process. */
export class Supervisor {
  readonly #shell: ChildProcess;
  readonly #lifeLine: Writable;
  /** Resolves when no process of the server is left; never rejects. */
  readonly serverEnded: Promise<void>;
  readonly #shellEnded: Promise<unknown>;
  #ended = false;

  private constructor(
    shell: ChildProcess,
    pipes: { readonly lifeLine: Writable; readonly output: Readable },
    readonly pid: number,
  ) {
    this.#shell = shell;
    this.#lifeLine = pipes.lifeLine;
    this.#shellEnded = shell.exitCode === null ? once(shell, 'exit') : Promise.resolve();
    this.serverEnded = endOf(pipes.output).then(() => void (this.#ended = true));
  }

  /** Resolves as soon as the server process exists; it is not ready for connections then. */
  static async start(server: SupervisedServer): Promise<Supervisor> {
    const args = [server.removeDirectory ?? '', server.template ?? '', server.dataDirectory, server.logFile, server.postgres];
    const shell = spawn('/bin/sh', ['-c', script, 'shardwright-supervisor', ...args, ...server.args], {
      ...identity(server.user),
      cwd: '/',
      env: serverEnvironment(),
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    shell.stdin.on('error', () => undefined); // The shell is gone: `serverEnded` and `release` tell.
    const complaints = collect(shell.stderr);
    const firstLine = await readLine(shell.stdout);
    const pid = Number(firstLine);
    if (pid > 0) return new Supervisor(shell, { lifeLine: shell.stdin, output: shell.stdout }, pid);
    throw new ClusterError('embeddedServer', 'could not set up a data directory', { detail: await complaints });
  }

  get ended(): boolean {
    return this.#ended;
  }

  signal(signal: NodeJS.Signals): void {
    if (!this.#ended) process.kill(this.pid, signal);
  }

  /** Whether the server's life keeps this process alive. */
  hold(held: boolean): void {
    for (const handle of [this.#shell, this.#shell.stdin, this.#shell.stdout, this.#shell.stderr]) {
      if (!(handle instanceof Socket) && handle !== this.#shell) continue;
      if (held) handle.ref();
      else handle.unref();
    }
  }

  /** Lets go: the server is ended if it still runs, and its directory removed unless it is to be kept. */
  async release(directory: 'keep' | 'remove'): Promise<void> {
    this.hold(true);
    this.#lifeLine.end(directory === 'keep' ? 'keep\n' : '');
    await this.#shellEnded;
  }
}

async function readLine(output: Readable): Promise<string> {
  let text = '';
  output.setEncoding('utf8');
  while (!text.includes('\n')) {
    const chunk: unknown = output.read();
    if (typeof chunk === 'string') text += chunk;
    else if (output.readableEnded || output.destroyed) return '';
    else await Promise.race([once(output, 'readable'), once(output, 'close')]);
  }
  return text.trim();
}

async function collect(output: Readable): Promise<string> {
  let text = '';
  output.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await once(output, 'close');
  return text.trim();
}

async function endOf(output: Readable): Promise<void> {
  output.resume();
  if (!output.closed) await once(output, 'close');
}
