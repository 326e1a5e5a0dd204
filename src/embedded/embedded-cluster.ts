import { join, resolve } from 'node:path';
import { allOrAbort } from '../base/abort.ts';
import { at, present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import { Cluster, type ClusterOptions } from '../coordinator/cluster.ts';
import { choosePorts, rememberPorts } from './cluster-ports.ts';
import type { Settings } from './default-settings.ts';
import type { PostgresMajor } from './find-binaries.ts';
import { startPostgres, type PostgresServer } from './postgres-server.ts';
import { addReplicas, groupAt, ServerGroup } from './server-group.ts';

export interface EmbeddedClusterOptions {
  /** Servers that store shards, beside the coordinator's: 3 by default. */
  readonly nodes?: number | undefined;
  /** Streaming standbys of each node and of the coordinator's server: none by default. Not with a `dataDirectory`. */
  readonly replicas?: number | undefined;
  /** With `replicas`: a commit waits until a standby has it on its disk, so that a failover loses nothing. No by default. */
  readonly synchronous?: boolean | undefined;
  /** 18 by default. */
  readonly major?: PostgresMajor | undefined;
  /** Kept after the end, and used again with its data; nodes that it has already come back too. Temporary by default. */
  readonly dataDirectory?: string | undefined;
  /** The coordinator's; nodes take the ports after it. Free ones by default, the same again for an existing data directory. */
  readonly port?: number | undefined;
  /** Of every server, see `PostgresOptions.settings`. */
  readonly settings?: Settings | undefined;
  /** Of every server, see `PostgresOptions.locale`. */
  readonly locale?: string | undefined;
  /** Passed on to `new Cluster`. */
  readonly cluster?: ClusterOptions | undefined;
  /** Aborting gives up the start; it does not stop a cluster that runs. */
  readonly signal?: AbortSignal | undefined;
}

export interface EmbeddedAddress {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly connectionString: string;
}

/** The address of a node's primary, as it is now, and of its standbys. */
export interface EmbeddedNode extends EmbeddedAddress {
  readonly replicas: readonly EmbeddedAddress[];
}

/** A node by its place in `nodes`, or the coordinator database. */
export type EmbeddedWhich = number | 'coordinator';

export interface EmbeddedCluster extends AsyncDisposable {
  readonly cluster: Cluster;
  /** Of the coordinator database, for `new Cluster({ connectionString })` in other processes. */
  readonly connectionString: string;
  readonly nodes: readonly EmbeddedNode[];
  /** The servers of a node, by its place in `nodes`, or of the coordinator database, in the order of their making: to be killed, restarted and looked into. */
  servers(which: EmbeddedWhich): readonly PostgresServer[];
  /** The server among them that takes writes. */
  primaryOf(which: EmbeddedWhich): PostgresServer;
  /** Kills the primary as a crash would, and promotes a standby. Resolves when that takes writes. */
  failover(which: EmbeddedWhich): Promise<void>;
  /** Stops the primary cleanly, promotes a standby, and makes a standby of the old primary. */
  switchover(which: EmbeddedWhich): Promise<void>;
  /** Brings back what failovers have killed, as standbys at the same addresses. */
  rejoin(which: EmbeddedWhich): Promise<void>;
  /** Ends the cluster object and stops the servers; temporary data is gone then. May be called again. */
  stop(): Promise<void>;
}

/**
 * Starts a coordinator's server and the nodes' servers side by side (see `startPostgres`) and adds the nodes. Nothing is left after
 * `stop`, nor when the process ends in any other way. Throws `embeddedServer` and `canceled`, and then nothing runs.
 *
 * ```ts
 * await using embedded = await startEmbeddedCluster({ nodes: 4 });
 * await embedded.cluster.query('SELECT 1');
 * ```
 */
export async function startEmbeddedCluster(options: EmbeddedClusterOptions = {}): Promise<EmbeddedCluster> {
  const { replicas = 0, synchronous = false } = options;
  if (replicas > 0 && options.dataDirectory !== undefined) throw keptReplicas();
  const servers = [...(await startServers(options)).values()];
  const groups = servers.map((server) => new ServerGroup(server, synchronous && replicas > 0));
  const [coordinator, ...nodes] = groups;
  let cluster: Cluster | undefined;
  const stop = async () => {
    try {
      if (cluster !== undefined) await endOnce(cluster);
    } finally {
      await Promise.all(groups.map((group) => group.stop()));
    }
  };
  try {
    await addReplicas(groups, replicas, options.signal);
    const connectionString = connectionStringOf(present(coordinator));
    cluster = new Cluster({ connectionString, ...options.cluster });
    for (const node of nodes) await addNode(cluster, node, options.signal);
    return {
      cluster, connectionString, stop, [Symbol.asyncDispose]: stop,
      get nodes() {
        return nodes.map(describe);
      },
      servers: (which) => groupAt(groups, which).servers,
      primaryOf: (which) => groupAt(groups, which).primary,
      failover: async (which) => void (await groupAt(groups, which).failover()),
      switchover: async (which) => void (await groupAt(groups, which).switchover()),
      rejoin: (which) => groupAt(groups, which).rejoin(),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function keptReplicas(): ClusterError {
  return new ClusterError('invalidParameter', 'an embedded cluster with replicas cannot keep its data', {
    detail: 'After a failover the data of a server are those of another.', hint: 'Leave out dataDirectory, or replicas.',
  });
}

async function startServers(options: EmbeddedClusterOptions): Promise<Map<string, PostgresServer>> {
  const { nodes = 3, port, major, settings, locale } = options;
  const directory = options.dataDirectory === undefined ? undefined : resolve(options.dataDirectory);
  const ports = choosePorts({ nodes, port, dataDirectory: directory });
  const started = new Map<string, PostgresServer>();
  const start = async (name: string, signal: AbortSignal) => {
    const dataDirectory = directory === undefined ? undefined : join(directory, name);
    started.set(name, await startPostgres({ major, settings, locale, dataDirectory, port: ports.get(name), signal }));
  };
  try {
    await allOrAbort(options.signal, [...ports.keys()].map((name) => (signal) => start(name, signal)));
    const servers = new Map([...ports.keys()].map((name) => [name, present(started.get(name))]));
    if (directory !== undefined) rememberPorts(directory, new Map([...servers].map(([name, server]) => [name, server.port])));
    return servers;
  } catch (error) {
    await stopAll(started);
    throw error;
  }
}

/** A data directory that is used again has its nodes already. */
async function addNode(cluster: Cluster, { servers }: ServerGroup, signal: AbortSignal | undefined): Promise<void> {
  const { database } = at(servers, 0);
  try {
    const hosts = servers.map(({ host, port }) => ({ host, port }));
    await cluster.addNode({ ...(hosts.length > 1 ? { hosts } : at(hosts, 0)), database }, { signal });
  } catch (error) {
    if (!(error instanceof ClusterError) || error.id !== 'nodeExists') throw error;
  }
}

/** pg's pools refuse a second end, and the user may have ended this one. */
async function endOnce(cluster: Cluster): Promise<void> {
  if (!cluster.ending) await cluster.end();
}

async function stopAll(servers: ReadonlyMap<string, PostgresServer>): Promise<void> {
  await Promise.all([...servers.values()].map((server) => server.stop()));
}

/** With all addresses, in the order of their making. */
function connectionStringOf({ servers }: ServerGroup): string {
  const { user, database } = at(servers, 0);
  return `postgresql://${user}@${servers.map(({ host, port }) => `${host}:${port}`).join(',')}/${database}`;
}

function describe({ primary, replicas }: ServerGroup): EmbeddedNode {
  return { ...addressOf(primary), replicas: replicas.map(addressOf) };
}

function addressOf({ host, port, database, connectionString }: PostgresServer): EmbeddedAddress {
  return { host, port, database, connectionString };
}
