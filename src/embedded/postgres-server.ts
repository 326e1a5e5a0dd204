import { becomeStandby, promoteServer, standbyOf } from './standby.ts';
import type { PostgresMajor } from './find-binaries.ts';
import type { PostgresOptions } from './postgres-options.ts';
import { prepareServer, type PreparedServer } from './prepare-server.ts';
import { type Run, runServer } from './run-server.ts';
import type { Supervisor } from './supervise.ts';

/** A PostgreSQL server of this process. It ends with the process, however that ends, and never keeps the process alive. */
export interface PostgresServer extends AsyncDisposable {
  /** Always 127.0.0.1: the server listens there, and on a socket in its data directory. */
  readonly host: string;
  readonly port: number;
  /** The superuser `postgres`, trusted without a password. */
  readonly user: string;
  readonly database: string;
  readonly major: PostgresMajor;
  readonly connectionString: string;
  readonly dataDirectory: string;
  /** The postmaster's process id; another one after `restart`. */
  readonly pid: number;
  /**
   * `fast` (the default) ends sessions and writes a checkpoint, `immediate` leaves recovery to the next start. Resolves when all
   * processes are gone and a temporary directory is removed. May be called again.
   */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
  /** Kills the postmaster as a crash would (SIGKILL). `restart` brings the server back, `stop` still has to be called. */
  kill(): void;
  /** Stops (fast) whatever still runs and starts again: same port, same data. */
  restart(): Promise<void>;
  /** Stops (fast), with all that standbys still lack sent to them. `restart` and `follow` bring the server back, `stop` still has to be called. */
  halt(): Promise<void>;
  /** Starts a streaming standby of this server from a base backup that is made now. Its data are temporary. It has to be stopped as well. */
  startStandby(options?: StandbyOptions): Promise<PostgresServer>;
  /** Makes a standby a primary, on a new timeline. Resolves when it takes writes. */
  promote(): Promise<void>;
  /** Stops (fast), and starts again as a standby of another server. That one must have all that this one has: it was a standby of this one up to its clean stop. */
  follow(primary: PostgresServer): Promise<void>;
}

export interface StandbyOptions extends Pick<PostgresOptions, 'port' | 'signal'> {
  /** What its primary knows it by: `standby_` and its port by default. */
  readonly applicationName?: string | undefined;
}

/**
 * Starts a PostgreSQL server and resolves when it accepts connections (about 0.3 s; the first of a version takes a second more).
 * Runs as root too, under another user then. Throws `embeddedServer` with the end of the server's log, and `canceled`.
 *
 * ```ts
 * await using server = await startPostgres({ major: 18, settings: { fsync: 'off' } });
 * const pool = new Pool({ connectionString: server.connectionString });
 * ```
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const prepared = await prepareServer(options);
  return running(prepared, await runServer(prepared, options));
}

async function running(prepared: PreparedServer, { supervisor, port, failure }: Run): Promise<PostgresServer> {
  const server = new RunningServer(prepared, port, supervisor);
  if (failure !== undefined) {
    await server.stop();
    throw failure;
  }
  supervisor.hold(false);
  return server;
}

class RunningServer implements PostgresServer {
  readonly host = '127.0.0.1';
  readonly user = 'postgres';
  readonly database = 'postgres';
  #prepared: PreparedServer;
  #supervisor: Supervisor;
  #stopped: Promise<void> | undefined;

  constructor(
    prepared: PreparedServer,
    readonly port: number,
    supervisor: Supervisor,
  ) {
    this.#prepared = prepared;
    this.#supervisor = supervisor;
  }

  get major(): PostgresMajor {
    return this.#prepared.major;
  }

  get connectionString(): string {
    return `postgresql://${this.user}@${this.host}:${this.port}/${this.database}`;
  }

  get dataDirectory(): string {
    return this.#prepared.dataDirectory;
  }

  get pid(): number {
    return this.#supervisor.pid;
  }

  stop(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    this.#stopped ??= this.#stop(mode);
    return this.#stopped;
  }

  kill(): void {
    this.#supervisor.signal('SIGKILL');
  }

  async restart(): Promise<void> {
    await endServer(this.#supervisor, 'fast');
    const run = await runServer(this.#prepared, { port: this.port, previous: this.#supervisor });
    this.#supervisor = run.supervisor;
    this.#supervisor.hold(false);
    if (run.failure !== undefined) throw run.failure;
  }

  halt(): Promise<void> {
    return endServer(this.#supervisor, 'fast');
  }

  async startStandby(options: StandbyOptions = {}): Promise<PostgresServer> {
    const { prepared, run } = await standbyOf(this, this.#prepared, options);
    return running(prepared, run);
  }

  promote(): Promise<void> {
    return promoteServer(this);
  }

  async follow(primary: PostgresServer): Promise<void> {
    await endServer(this.#supervisor, 'fast');
    this.#prepared = await becomeStandby(this.#prepared, this, primary);
    await this.restart();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(mode: 'fast' | 'immediate'): Promise<void> {
    await endServer(this.#supervisor, mode);
    await this.#supervisor.release(this.#prepared.removeDirectory === undefined ? 'keep' : 'remove');
  }
}

const fastMs = 20_000;

/** Ends the server; a fast end that takes too long (a stuck replica, say) becomes an immediate one. */
async function endServer(supervisor: Supervisor, mode: 'fast' | 'immediate'): Promise<void> {
  supervisor.hold(true);
  supervisor.signal(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
  const timer = setTimeout(() => supervisor.signal('SIGQUIT'), fastMs);
  await supervisor.serverEnded.finally(() => clearTimeout(timer));
}
