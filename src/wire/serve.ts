import { createServer, type Server } from 'node:net';
import { isIP } from 'node:net';
import { lookup } from 'node:dns/promises';
import { ClusterError } from '../base/errors.ts';
import { Cluster } from '../coordinator/cluster.ts';
import { loadGrammar } from '../sql/parse.ts';
import type { ClientActivity } from '../execute/computed/client-activity.ts';
import type { SessionActivity } from './activity.ts';
import { ClientConnection } from './client-connection.ts';
import { ServerState } from './server-state.ts';
import type { WireOptions } from './wire-options.ts';

/** A server that speaks PostgreSQL's protocol, and runs. */
export interface WireServer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** What the sessions of this server do, as `pg_stat_activity` would show it; in SQL: `shardwright_stat_activity`. */
  activity(): SessionActivity[];
  /** What `shardwright_stat_activity` shows of this server. */
  clients(): readonly ClientActivity[];
  /** Others whom it shows as well: clients of processes that share the port. */
  onActivity(others: () => Promise<readonly ClientActivity[]>): void;
  /** Cancels what a session runs, as a client's request with its number and secret does. */
  cancel(processId: number, key: Buffer): void;
  /** Told of such requests for sessions that this server does not have: another process that shares its port may. */
  onUnknownCancel(listener: (processId: number, key: Buffer) => void): void;
  /** Takes no more clients, ends those there are, and resolves when all is rolled back that was open. The cluster goes on. */
  close(): Promise<void>;
}

/**
 * Lets any client of PostgreSQL speak to the cluster as to one server: protocol 3.0 to 3.2, authentication by the coordinator database's roles, each session acting as its role on every server. Resolves when it
 * listens. Errors: `invalidParameter`, those of `cluster.connect()`, and those of the socket (`EADDRINUSE`).
 *
 * ```ts
 * await using server = await serve(cluster, { port: 6432, authentication: 'trust' });
 * ```
 */
export async function serve(cluster: Cluster, options: WireOptions = {}): Promise<WireServer> {
  const { host = '127.0.0.1', port = 5432 } = options;
  await checkTrust(host, options);
  await loadGrammar();
  const coordinator = Cluster.coordinatorOf(cluster);
  await coordinator.store.load();
  const { rows } = await cluster.query<{ name: string }>('SELECT pg_catalog.current_database() AS name');
  const state = new ServerState(coordinator, options, rows[0]?.name ?? '');
  const clients = new Map<ClientConnection, Promise<void>>();
  const server = createServer({ noDelay: true }, (socket) => {
    const client = new ClientConnection(socket, state);
    state.connections += 1;
    clients.set(client, client.run().finally(() => {
      state.connections -= 1;
      clients.delete(client);
    }));
  });
  await listening(server, port, host);
  const address = server.address();
  let others = (): Promise<readonly ClientActivity[]> => Promise.resolve([]);
  const source = async (): Promise<readonly ClientActivity[]> => [...state.activity.clients(), ...(await others())];
  coordinator.clientSources.add(source);
  const close = async (): Promise<void> => {
    coordinator.clientSources.delete(source);
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const client of clients.keys()) client.end();
    await Promise.all(clients.values());
    await closed;
  };
  return {
    host, port: typeof address === 'object' && address !== null ? address.port : port, activity: () => state.activity.list(), clients: () => state.activity.clients(),
    onActivity: (listener) => void (others = listener),
    cancel: (processId, key) => void state.keys.cancel(processId, key),
    onUnknownCancel: (listener) => void (state.keys.onUnknown = listener),
    close, [Symbol.asyncDispose]: close,
  };
}

function listening(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host, backlog: 4096 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Whoever reaches the port could be anybody. */
async function checkTrust(host: string, { authentication, tls }: WireOptions): Promise<void> {
  if (authentication === 'certificate' && tls?.ca === undefined) throw new ClusterError('invalidParameter', 'authentication by certificate needs tls with a ca');
  if (authentication !== 'trust') return;
  const addresses = isIP(host) === 0 ? (await lookup(host, { all: true })).map(({ address }) => address) : [host];
  if (addresses.every((address) => /^127\.|^::1$/.test(address))) return;
  throw new ClusterError('invalidParameter', `authentication "trust" is for loopback addresses only, not for ${host}`, { hint: 'Leave it out, and give roles passwords.' });
}
