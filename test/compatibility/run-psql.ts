import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import type { EchoedLine } from './echoed-lines.ts';

export interface Place {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
}

/** Of the servers' version. */
const psql = '/usr/lib/postgresql/15/bin/psql';

interface PsqlRun {
  readonly place: Place;
  /** Where the servers find the data files, and a folder `results` to write to. */
  readonly sources: string;
  /** Without its ending. */
  readonly path: string;
  readonly timeoutMs: number;
}

/** Runs a script as PostgreSQL's own runner does, but that tags and SQLSTATEs are shown. Resolves to all that was printed. One that takes too long is ended. */
export async function runPsql(lines: readonly EchoedLine[], { place, sources, path, timeoutMs }: PsqlRun): Promise<string> {
  writeFileSync(`${path}.sql`, lines.map(({ text }) => text).join('\n'), 'latin1');
  const input = openSync(`${path}.sql`, 'r');
  const output = openSync(`${path}.out`, 'w');
  const env = {
    PATH: process.env['PATH'], HOME: sources, LC_ALL: 'C.UTF-8', PGHOST: place.host, PGPORT: String(place.port), PGUSER: place.user, PGDATABASE: place.database, PGAPPNAME: 'pg_regress',
    PGTZ: 'PST8PDT', PGDATESTYLE: 'Postgres, MDY', PGOPTIONS: '-c intervalstyle=postgres_verbose', PG_ABS_SRCDIR: sources, PG_ABS_BUILDDIR: sources, PG_LIBDIR: '/nowhere', PG_DLSUFFIX: '.so',
  };
  const child = spawn(psql, ['-X', '-a', '-v', 'VERBOSITY=verbose', '-v', 'HIDE_TABLEAM=on', '-v', 'HIDE_TOAST_COMPRESSION=on'], { stdio: [input, output, output], env, timeout: timeoutMs, killSignal: 'SIGKILL' });
  const signal = await new Promise<string | null>((resolve, reject) => child.once('error', reject).once('exit', (_, by) => resolve(by)));
  closeSync(input);
  closeSync(output);
  const printed = readFileSync(`${path}.out`, 'latin1');
  return signal === null ? printed : `${printed}\nended after ${timeoutMs / 1000} s`;
}
