import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ClusterError } from '../base/errors.ts';
import { awaitReady, logTail } from './await-ready.ts';
import { settingArguments } from './default-settings.ts';
import { freePort } from './free-port.ts';
import type { PreparedServer } from './prepare-server.ts';
import { Supervisor } from './supervise.ts';

export interface RunOptions {
  /** A free one by default; then another one is tried when somebody takes it first. */
  readonly port?: number | undefined;
  /** What becomes of a temporary directory when the start fails. */
  readonly onFailure: 'keep' | 'remove';
  readonly signal?: AbortSignal | undefined;
}

export interface Run {
  readonly supervisor: Supervisor;
  readonly port: number;
}

const portAttempts = 5;
// The length of sockaddr_un.sun_path on macOS, the shortest of those that matter.
const socketPathMax = 103;

/** Starts the prepared server and waits until it is ready. `embeddedServer` with the end of its log, `canceled`. */
export async function runServer(prepared: PreparedServer, options: RunOptions): Promise<Run> {
  let failed: Supervisor | undefined;
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const supervisor = await supervise(failed === undefined ? prepared : { ...prepared, template: undefined }, port);
    await failed?.release('keep'); // Only now: the directory always has a supervisor.
    const error = await failureOf(supervisor, prepared, options.signal);
    if (error === undefined) return { supervisor, port };
    failed = supervisor;
    if (options.port === undefined && attempt < portAttempts && isPortTaken(error)) continue;
    await failed.release(prepared.removeDirectory === undefined ? 'keep' : options.onFailure);
    throw error;
  }
}

async function supervise(prepared: PreparedServer, port: number): Promise<Supervisor> {
  try {
    return await Supervisor.start({
      postgres: prepared.binaries.postgres,
      args: ['-D', prepared.dataDirectory, '-p', String(port), ...settingArguments(effectiveSettings(prepared, port))],
      logFile: logFileOf(prepared),
      dataDirectory: prepared.dataDirectory,
      template: prepared.template,
      removeDirectory: prepared.removeDirectory,
      user: prepared.user,
    });
  } catch (error) {
    if (prepared.removeDirectory !== undefined) rmSync(prepared.removeDirectory, { recursive: true, force: true });
    throw error;
  }
}

function effectiveSettings(prepared: PreparedServer, port: number): Record<string, string> {
  const socket = join(prepared.dataDirectory, `.s.PGSQL.${port}`);
  const unix_socket_directories = Buffer.byteLength(socket) <= socketPathMax ? prepared.dataDirectory : '';
  return { listen_addresses: '127.0.0.1', unix_socket_directories, ...prepared.settings };
}

/** Waits for the start; what went wrong is returned, and then the server has ended. */
async function failureOf(supervisor: Supervisor, prepared: PreparedServer, signal: AbortSignal | undefined): Promise<unknown> {
  try {
    const ready = await awaitReady(supervisor, prepared.dataDirectory, signal);
    return ready ? undefined : await startFailed(prepared);
  } catch (error) {
    supervisor.signal('SIGQUIT');
    await supervisor.serverEnded;
    return error;
  }
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
