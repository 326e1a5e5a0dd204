import { join, resolve } from 'node:path';
import { allOrAbort } from '../base/abort.ts';
import { present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import { Cluster, type ClusterOptions } from '../coordinator/cluster.ts';
import { choosePorts, rememberPorts } from './cluster-ports.ts';
import type { Settings } from './default-settings.ts';
import type { PostgresMajor } from './find-binaries.ts';
import { startPostgres, type PostgresServer } from './postgres-server.ts';

export interface EmbeddedClusterOptions {
  /** Servers that store shards, beside the coordinator's: 3 by default. */
  readonly nodes?: number | undefined;
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

export interface EmbeddedNode {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly connectionString: string;
}

export interface EmbeddedCluster extends AsyncDisposable {
  readonly cluster: Cluster;
  /** Of the coordinator database, for `new Cluster({ connectionString })` in other processes. */
  readonly connectionString: string;
  readonly nodes: readonly EmbeddedNode[];
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
  const servers = await startServers(options);
  const coordinator = present(servers.get('coordinator'));
  const nodes = [...servers].filter(([name]) => name !== 'coordinator').map(([, server]) => server);
  const cluster = new Cluster({ connectionString: coordinator.connectionString, ...options.cluster });
  const stop = async () => {
    try {
      await endOnce(cluster);
    } finally {
      await stopAll(servers);
    }
  };
  try {
    for (const node of nodes) await addNode(cluster, node, options.signal);
  } catch (error) {
    await stop();
    throw error;
  }
  return { cluster, connectionString: coordinator.connectionString, nodes: nodes.map(describe), stop, [Symbol.asyncDispose]: stop };
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
async function addNode(cluster: Cluster, { host, port, database }: PostgresServer, signal: AbortSignal | undefined): Promise<void> {
  try {
    await cluster.addNode({ host, port, database }, { signal });
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

function describe({ host, port, database, connectionString }: PostgresServer): EmbeddedNode {
  return { host, port, database, connectionString };
}
