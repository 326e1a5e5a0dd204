import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { Patch } from './new-identity.ts';
import { identity, serverEnvironment } from './run-command.ts';
import type { ServerUser } from './server-user.ts';

export interface SupervisedServer {
  readonly postgres: string;
  readonly args: readonly string[];
  readonly dataDirectory: string;
  readonly logFile: string;
  /** Copied to the data directory before the server starts. */
  readonly template: string | undefined;
  /** The template is the data directory of a server that runs: `start` is given its base backup, and makes the copy a standby. */
  readonly isLive?: boolean | undefined;
  /** Made to the copy. */
  readonly patches: readonly Patch[];
  /** Made before the start; removed once the server has ended and this process is gone or let go of the server. */
  readonly removeDirectory: string | undefined;
  readonly user: ServerUser | undefined;
}

/**
 * A shell that is the server's parent, in a session of its own so that no Ctrl-C reaches either. Its standard input is the life
 * line: it ends when this process lets go, exits, or is killed in any way.
 *
 * 1. The shell itself makes the directory to remove: it is there before that and until after its end.
 * 2. It knows the server's number from the fork itself, so no moment exists in which a server is unwatched.
 * 3. Standard output stays open in the server and its backends alone: its end means that all of them are gone.
 *    This process may be gone already when the shell writes the number: SIGPIPE must not end it then.
 * 4. A further line on standard input means that the directory is to be kept.
 * 5. A server that has not set its handlers yet ignores QUIT, as all do that a shell starts in the background; so TERM comes first,
 *    which ends such a server, and is overtaken by QUIT in any other.
 * 6. A server that was killed (137) could not give back its shared memory: a single-user server in the same directory finds and
 *    frees it. It may have to wait for the last backend, which notices the death of its postmaster a little later.
 * 7. A running server's files change and vanish while they are copied; that is what its base backup is for, whose label comes on standard input
 *    up to a line with a dot: a life line that ends before has given no label.
 */
const script = `
remove=$1 template=$2 live=$3 data=$4 log=$5 postgres=$6
shift 6
trap '' PIPE
end() {
  [ -z "$remove" ] || rm -rf "$remove"
  exit
}
copy_live() {
  for entry in "$template"/*; do
    name=\${entry##*/}
    case $name in
      postmaster.*|postgres.log|standby.signal|recovery.signal|backup_label*) ;;
      pg_wal|pg_replslot|pg_dynshmem|pg_notify|pg_serial|pg_snapshots|pg_stat_tmp|pg_subtrans) mkdir -m 700 "$data/$name" || return ;;
      *) cp -Rp "$entry" "$data" 2>"$data.complaints" || ! grep -v 'No such file or directory' "$data.complaints" >&2 || return ;;
    esac
  done
  rm -f "$data.complaints"
  echo copied
  while read -r line; do
    [ "$line" != . ] || { : >"$data/standby.signal"; return; }
    printf '%s\\n' "$line" >>"$data/backup_label"
  done
  return 1
}
read -r go || exit
[ -z "$remove" ] || mkdir -p -m 700 "$remove" "$data" || end
if [ -n "$live" ]; then copy_live || end
elif [ -n "$template" ]; then cp -Rp "$template/." "$data" || end
fi
while [ "$1" != -- ]; do
  printf "$3" | dd of="$data/$1" bs=1 seek="$2" conv=notrunc 2>/dev/null || end
  shift 3
done
shift
"$postgres" "$@" 2>>"$log" </dev/null &
server=$!
echo "$server"
exec >/dev/null 2>&1
while read -r line; do remove=; done
kill -TERM "$server"
kill -QUIT "$server"
wait "$server"
if [ $? -eq 137 ] && [ -n "$remove" ]; then
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    "$postgres" --single -D "$data" template1 </dev/null && break
    sleep 0.2
  done
fi
end
`;

/**
 * One run of a server, from before its start to the end of its last process. A server's next run is supervised before the last one
 * is let go, so that its directory is never without a supervisor.
 */
export class Supervisor {
  readonly #shell: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #shellEnded: Promise<unknown>;
  readonly #complaints: Promise<string>;
  #pid: number | undefined;
  #ended = false;
  /** Resolves when no process of the server is left; never rejects. */
  readonly serverEnded: Promise<void>;

  constructor(server: SupervisedServer) {
    const { removeDirectory = '', template = '', isLive = false, dataDirectory, logFile, postgres, args } = server;
    const patches = server.patches.flatMap(({ file, offset, bytes }) => [file, String(offset), octal(bytes)]);
    const scriptArgs = [removeDirectory, template, isLive ? 'live' : '', dataDirectory, logFile, postgres, ...patches, '--', ...args];
    this.#shell = spawn('/bin/sh', ['-c', script, 'shardwright-supervisor', ...scriptArgs], {
      ...identity(server.user),
      cwd: '/',
      env: serverEnvironment(),
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#shell.stdin.on('error', () => undefined); // The shell is gone: what follows tells.
    this.#shellEnded = new Promise((resolve) => this.#shell.once('error', resolve).once('exit', resolve));
    this.#complaints = collect(this.#shell.stderr);
    this.serverEnded = new Promise<void>((resolve) => this.#shell.stdout.once('close', resolve)).then(() => void (this.#ended = true));
  }

  /** Resolves as soon as the server process exists; it is not ready for connections then. `embeddedServer` if it never will. `endBackup` gives the backup's label when all is copied. */
  async start(endBackup?: () => Promise<string>): Promise<void> {
    this.#shell.stdin.write('go\n');
    if (endBackup !== undefined && (await firstLine(this.#shell.stdout)) === 'copied') this.#shell.stdin.write(`${(await endBackup()).trimEnd()}\n.\n`);
    this.#pid = Number(await firstLine(this.#shell.stdout));
    this.#shell.stdout.resume();
    if (this.#pid > 0) return;
    throw new ClusterError('embeddedServer', 'could not set up a data directory', { detail: await this.#complaints });
  }

  /** The postmaster's; 0 before the start. */
  get pid(): number {
    return this.#pid ?? 0;
  }

  get ended(): boolean {
    return this.#ended;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#ended || this.pid === 0) return;
    try {
      process.kill(this.pid, signal);
    } catch (error) {
      if (sqlStateOf(error) !== 'ESRCH') throw error; // Its last processes are about to end.
    }
  }

  /** Ends the server without a checkpoint, at whatever step of its start it is (5). */
  async end(): Promise<void> {
    this.signal('SIGTERM');
    this.signal('SIGQUIT');
    await this.serverEnded;
  }

  /** Whether the server's life keeps this process alive. */
  hold(held: boolean): void {
    const pipes = [this.#shell.stdin, this.#shell.stdout, this.#shell.stderr].filter((pipe) => pipe instanceof Socket);
    for (const handle of [this.#shell, ...pipes]) {
      if (held) handle.ref();
      else handle.unref();
    }
  }

  /** Lets go: the server is ended if it still runs, and its directory removed unless it is to be kept. May be called again. */
  async release(directory: 'keep' | 'remove'): Promise<void> {
    this.hold(true);
    this.#shell.stdin.end(directory === 'keep' ? 'keep\n' : '');
    await this.#shellEnded;
  }
}

/** As the shell's printf reads bytes. */
function octal(bytes: Uint8Array): string {
  return [...bytes].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
}

async function firstLine(output: Readable): Promise<string> {
  output.setEncoding('utf8');
  for await (const line of createInterface({ input: output })) return line;
  return '';
}

async function collect(output: Readable): Promise<string> {
  let text = '';
  output.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await once(output, 'close');
  return text.trim();
}
