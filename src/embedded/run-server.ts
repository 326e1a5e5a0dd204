import { join } from 'node:path';
import { ClusterError } from '../base/errors.ts';
import { awaitReady, logTail } from './await-ready.ts';
import { settingArguments } from './default-settings.ts';
import { freePort } from './free-port.ts';
import { newIdentity } from './new-identity.ts';
import type { PreparedServer } from './prepare-server.ts';
import { Supervisor } from './supervise.ts';

export interface RunOptions {
  /** A free one by default; then another one is tried when somebody takes it first. */
  readonly port?: number | undefined;
  /** Of the server's last run, which has ended; it is let go here. */
  readonly previous?: Supervisor | undefined;
  /** The template is the data directory of a server that runs: ends its base backup, whose label it gives. */
  readonly endBackup?: (() => Promise<string>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Run {
  readonly supervisor: Supervisor;
  readonly port: number;
  /** Set when the start failed: `embeddedServer` with the end of the server's log, or `canceled`. The server has ended then. */
  readonly failure: unknown;
}

const portAttempts = 5;
// The length of sockaddr_un.sun_path on macOS, the shortest of those that matter.
const socketPathMax = 103;

/** Starts the prepared server and waits until it is ready or has failed. Either way the caller has a supervisor to let go of. */
export async function runServer(prepared: PreparedServer, options: RunOptions): Promise<Run> {
  let { previous } = options;
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const supervisor = superviseRun(prepared, port, { previous, isLive: options.endBackup !== undefined });
    const failure = await start(supervisor, { ...options, prepared, previous });
    const again = options.port === undefined && attempt < portAttempts && isPortTaken(failure);
    if (!again) return { supervisor, port, failure };
    previous = supervisor;
  }
}

function superviseRun(prepared: PreparedServer, port: number, { previous, isLive }: { readonly previous: Supervisor | undefined; readonly isLive: boolean }): Supervisor {
  const template = previous === undefined ? prepared.template : undefined;
  return new Supervisor({
    postgres: prepared.binaries.postgres,
    args: ['-D', prepared.dataDirectory, '-p', String(port), ...settingArguments(effectiveSettings(prepared, port))],
    logFile: logFileOf(prepared),
    dataDirectory: prepared.dataDirectory,
    template,
    isLive,
    patches: template === undefined || isLive ? [] : newIdentity(template),
    removeDirectory: prepared.removeDirectory,
    user: prepared.user,
  });
}

interface Start extends RunOptions {
  readonly prepared: PreparedServer;
}

/** What went wrong is returned, and then the server has ended. */
async function start(supervisor: Supervisor, { prepared, previous, endBackup, signal }: Start): Promise<unknown> {
  try {
    await previous?.release('keep');
    await supervisor.start(endBackup);
    const ready = await awaitReady(supervisor, prepared.dataDirectory, signal);
    return ready ? undefined : await startFailed(prepared);
  } catch (error) {
    await supervisor.end();
    return error;
  }
}

function effectiveSettings(prepared: PreparedServer, port: number): Record<string, string> {
  const socket = join(prepared.dataDirectory, `.s.PGSQL.${port}`);
  const unix_socket_directories = Buffer.byteLength(socket) <= socketPathMax ? prepared.dataDirectory : '';
  return { listen_addresses: '127.0.0.1', unix_socket_directories, ...prepared.settings };
}

async function startFailed(prepared: PreparedServer): Promise<ClusterError> {
  return new ClusterError('embeddedServer', `PostgreSQL ${prepared.binaries.version} did not start`, {
    detail: `In "${prepared.dataDirectory}". Its log ends with:\n${await logTail(logFileOf(prepared))}`,
  });
}

function isPortTaken(error: unknown): boolean {
  return error instanceof ClusterError && error.detail?.includes('Address already in use') === true;
}

function logFileOf({ dataDirectory }: PreparedServer): string {
  return join(dataDirectory, 'postgres.log');
}
