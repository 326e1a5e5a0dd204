import { startEmbeddedCluster, startPostgres } from '../../src/embedded.ts';
import type { Cluster } from '../../src/index.ts';
import type { PostgresMajor } from '../../src/embedded/find-binaries.ts';

export interface Servers extends AsyncDisposable {
  readonly plainConnectionString: string;
  readonly cluster: Cluster;
  readonly clusterConnectionString: string;
  readonly nodeConnectionStrings: readonly string[];
}

export interface ServersOptions {
  readonly major: PostgresMajor;
  readonly nodes: number;
}

/** Every server has the same settings: durable, and with memory enough for all of the data. */
const settings = { shared_buffers: '512MB', fsync: 'on', max_wal_size: '4GB', checkpoint_timeout: '30min' };

/** One plain PostgreSQL, and a cluster of so many nodes beside it, empty. */
export async function startServers({ major, nodes }: ServersOptions): Promise<Servers> {
  const plain = await startPostgres({ major, settings });
  try {
    const embedded = await startEmbeddedCluster({ nodes, major, settings });
    return {
      plainConnectionString: plain.connectionString,
      cluster: embedded.cluster,
      clusterConnectionString: embedded.connectionString,
      nodeConnectionStrings: embedded.nodes.map((node) => node.connectionString),
      [Symbol.asyncDispose]: async () => {
        await embedded.stop();
        await plain.stop();
      },
    };
  } catch (error) {
    await plain.stop();
    throw error;
  }
}
