import { spawn } from 'node:child_process';
import { ClusterError } from '../base/errors.ts';
import type { ServerUser } from './server-user.ts';

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly user?: ServerUser | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a program to its end and returns its standard output, trimmed. `embeddedServer` when it cannot be started or fails; the
 * detail has what it printed. Aborting kills it.
 */
export function runCommand(command: Command): Promise<string> {
  const child = spawn(command.program, [...command.args], {
    ...identity(command.user),
    cwd: '/',
    env: serverEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(command.signal === undefined ? {} : { signal: command.signal }),
  });
  let output = '';
  let complaints = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text));
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(commandFailed(command, error.message, error)));
    child.once('close', (status) => {
      if (status === 0) resolve(output.trim());
      else reject(commandFailed(command, `${complaints}${output}`.trim() || `It ended with status ${status ?? 'none'}.`));
    });
  });
}

/** The options that make `spawn` run a program under another user; none without one. */
export function identity(user: ServerUser | undefined): { uid?: number; gid?: number } {
  return user === undefined ? {} : { uid: user.uid, gid: user.gid };
}

/** No PG* variable of the caller may reach a server, and its messages are to be in English. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
}

function commandFailed(command: Command, detail: string, cause?: unknown): ClusterError {
  return new ClusterError('embeddedServer', `could not run "${command.program}"`, { detail, cause });
}
