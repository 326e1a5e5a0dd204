import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { volatileSettings } from '../../src/embedded/default-settings.ts';
import { freePort } from '../../src/embedded/free-port.ts';
import type { Keeper } from './keeper.ts';

export interface MemberOptions {
  readonly scope: string;
  readonly name: string;
  readonly etcdPort: number;
  /** What Patroni calls when the server's role changes; it adds the action, the role and the scope. */
  readonly onRoleChange?: string | undefined;
}

/** A Patroni and the PostgreSQL that it looks after. */
export class Member {
  #patroni: ChildProcess | undefined;

  private constructor(
    private readonly keeper: Keeper,
    readonly name: string,
    readonly port: number,
    /** Of Patroni's REST interface. */
    readonly url: string,
  ) {}

  static async start(keeper: Keeper, { scope, name, etcdPort, onRoleChange }: MemberOptions): Promise<Member> {
    const directory = await keeper.directory(name);
    const [port, restPort] = [await freePort(), await freePort()];
    const member = new Member(keeper, name, port, `http://127.0.0.1:${restPort}`);
    // JSON is YAML.
    await writeFile(join(directory, 'patroni.yml'), JSON.stringify(configuration({ scope, name, etcdPort, onRoleChange, port, restPort, directory })));
    member.startPatroni();
    return member;
  }

  startPatroni(): void {
    this.#patroni = this.keeper.run({ name: this.name, program: '/usr/bin/patroni', args: ['patroni.yml'] });
  }

  async killPatroni(): Promise<void> {
    const ended = this.#patroni === undefined ? Promise.resolve() : once(this.#patroni, 'exit');
    this.#patroni?.kill('SIGKILL');
    await ended;
  }

  /** Of the postmaster, and whatever it has started. */
  async signalServer(signal: NodeJS.Signals, options: { readonly withBackends: boolean }): Promise<void> {
    const postmaster = Number((await readFile(join(this.keeper.root, this.name, 'data', 'postmaster.pid'), 'utf8')).split('\n')[0]);
    const backends = options.withBackends ? (await readFile(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8')).trim().split(' ').filter((pid) => pid !== '').map(Number) : [];
    for (const pid of [postmaster, ...backends]) process.kill(pid, signal);
  }

  /** What Patroni's REST interface says to the question, by its status; undefined without an answer. */
  async status(path: string): Promise<number | undefined> {
    return fetch(`${this.url}${path}`, { signal: AbortSignal.timeout(1_000) }).then(({ status }) => status, () => undefined);
  }
}

interface Placed extends MemberOptions {
  readonly port: number;
  readonly restPort: number;
  readonly directory: string;
}

/** How long a leader may be silent, in seconds; loop_wait + 2 × retry_timeout may not be more. */
export const ttl = 7;

function configuration({ scope, name, etcdPort, onRoleChange, port, restPort, directory }: Placed): unknown {
  return {
    scope, name,
    restapi: { listen: `127.0.0.1:${restPort}`, connect_address: `127.0.0.1:${restPort}` },
    etcd3: { hosts: `127.0.0.1:${etcdPort}` },
    bootstrap: {
      dcs: {
        ttl, loop_wait: 1, retry_timeout: 3, synchronous_mode: true,
        // A primary that crashes is replaced at once instead of being started again.
        primary_start_timeout: 0,
        postgresql: {
          use_pg_rewind: true, use_slots: true,
          parameters: { ...volatileSettings, full_page_writes: 'on', wal_log_hints: 'on', max_prepared_transactions: 100, wal_level: 'logical', max_connections: 100, shared_buffers: '32MB', wal_keep_size: '256MB', log_min_messages: 'log' },
        },
      },
      initdb: [{ encoding: 'UTF8' }, { locale: 'C' }, 'no-sync'],
    },
    postgresql: {
      listen: `127.0.0.1:${port}`, connect_address: `127.0.0.1:${port}`, data_dir: join(directory, 'data'), bin_dir: '/usr/lib/postgresql/15/bin', pgpass: join(directory, 'pgpass'),
      authentication: { superuser: { username: 'postgres', password: 'unused' }, replication: { username: 'replicator', password: 'unused' }, rewind: { username: 'postgres', password: 'unused' } },
      parameters: { unix_socket_directories: directory },
      pg_hba: ['host all all 127.0.0.1/32 trust', 'host replication all 127.0.0.1/32 trust', 'local all all trust'],
      remove_data_directory_on_rewind_failure: true, remove_data_directory_on_diverged_timelines: true,
      ...(onRoleChange === undefined ? {} : { callbacks: { on_role_change: onRoleChange } }),
    },
  };
}
