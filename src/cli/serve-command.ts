import { readFileSync } from 'node:fs';
import cluster from 'node:cluster';
import { Command, Option } from 'commander';
import { ClusterError } from '../base/errors.ts';
import { Cluster } from '../coordinator/cluster.ts';
import { serve } from '../wire/serve.ts';
import type { WireOptions } from '../wire/wire-options.ts';
import { integerBetween, parseListen, positiveNumber } from './options.ts';
import { untilStopped } from './until-stopped.ts';
import { linkWorkers, runWorkers, workersFor } from './workers.ts';

export interface ServeOptions {
  readonly coordinator: string;
  readonly listen: ReturnType<typeof parseListen>;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
  readonly requireTls?: boolean;
  readonly authentication: 'scram' | 'certificate' | 'trust';
  readonly actAs?: 'login' | 'set_role';
  readonly maxConnections: number;
  readonly workersPerCore?: number;
  readonly idleTimeout: number;
  readonly idleInTransactionTimeout: number;
}

const daySeconds = 86_400;

/** `shardwright serve`: the wire server in front of a cluster that is there. */
export function serveCommand(): Command {
  return new Command('serve')
    .description('Let any client of PostgreSQL speak to a cluster as to one server.')
    .requiredOption('--coordinator <url>', 'the coordinator database: postgres://user@host/database; a password may be in PGPASSWORD')
    .option('--listen <address>', 'HOST:PORT', parseListen, parseListen('127.0.0.1:5432'))
    .option('--tls-cert <file>', 'certificate, with its chain, in PEM')
    .option('--tls-key <file>', 'its key, in PEM')
    .option('--tls-ca <file>', 'who signs the certificates of clients')
    .option('--require-tls', 'refuse clients that do not use TLS')
    .addOption(new Option('--authentication <method>', 'scram: by the passwords of the coordinator database\'s roles; trust: on loopback addresses only').choices(['scram', 'certificate', 'trust']).default('scram'))
    .addOption(new Option('--act-as <way>', 'login: log in to the servers as the client\'s role, the default but with trust; set_role: take it, for roles that you trust').choices(['login', 'set_role']))
    .option('--max-connections <count>', 'clients at a time', integerBetween(1, 1_000_000), 10_000)
    .option('--workers-per-core <count>', 'processes that share the port; one process in all by default', positiveNumber)
    .option('--idle-timeout <seconds>', 'end sessions that do nothing; 0: never', integerBetween(0, daySeconds), 0)
    .option('--idle-in-transaction-timeout <seconds>', 'the same for those in a transaction; 0: never', integerBetween(0, daySeconds), 0)
    .action(runServe);
}

async function runServe(options: ServeOptions): Promise<void> {
  const workers = options.workersPerCore === undefined ? 0 : workersFor(options.workersPerCore);
  if (workers > 1 && cluster.isPrimary) {
    await runWorkers(workers, (port) => readyLine({ ...options, listen: { ...options.listen, port } }));
    return;
  }
  const own = new Cluster({ connectionString: options.coordinator });
  // A server that went away is the statement's error, not the process's.
  own.on('error', () => undefined);
  try {
    const server = await serve(own, wireOptions(options, Math.max(workers, 1)));
    if (cluster.isWorker) linkWorkers(server, workers);
    else console.log(readyLine({ ...options, listen: server }));
    await untilStopped();
    await server.close();
  } finally {
    await own.end();
    // The channel to the process that started this one would keep it alive.
    if (cluster.isWorker) process.disconnect();
  }
}

function wireOptions({ listen, tlsCert, tlsKey, tlsCa, requireTls, authentication, actAs, maxConnections, idleTimeout, idleInTransactionTimeout }: ServeOptions, workers: number): WireOptions {
  if ((tlsCert === undefined) !== (tlsKey === undefined)) throw new ClusterError('invalidParameter', '--tls-cert and --tls-key belong together');
  const tls = tlsCert === undefined || tlsKey === undefined ? undefined : { cert: readFileSync(tlsCert), key: readFileSync(tlsKey), ...(tlsCa === undefined ? {} : { ca: readFileSync(tlsCa) }) };
  return {
    ...listen, tls, requireTls, authentication, actAs, connectionsMax: Math.ceil(maxConnections / workers), idleTimeoutMs: idleTimeout * 1_000, idleInTransactionTimeoutMs: idleInTransactionTimeout * 1_000,
  };
}

function readyLine({ coordinator, listen: { host, port } }: Pick<ServeOptions, 'coordinator'> & { readonly listen: { readonly host: string; readonly port: number } }): string {
  const { username, pathname } = new URL(coordinator);
  return `ready postgres://${username === '' ? '' : `${username}@`}${host.includes(':') ? `[${host}]` : host}:${port}${pathname}`;
}
