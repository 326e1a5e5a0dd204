import { startEmbeddedCluster, startPostgres } from '../../src/embedded.ts';
import type { Cluster } from '../../src/index.ts';
import type { PostgresMajor } from '../../src/embedded/find-binaries.ts';

export interface Servers extends AsyncDisposable {
  readonly plainConnectionString: string;
  readonly cluster: Cluster;
  readonly clusterConnectionString: string;
  readonly nodeConnectionStrings: readonly string[];
  /** The most server connections that the cluster may open by its configuration, over all servers. */
  readonly connectionsMax: number;
}

export interface ServersOptions {
  readonly major: PostgresMajor;
  readonly nodes: number;
}

/** Every server has the same settings: durable, and with memory enough for all of the data. */
const settings = { shared_buffers: '512MB', fsync: 'on', max_wal_size: '4GB', checkpoint_timeout: '30min', max_prepared_transactions: '600' };

/** The defaults of `Cluster`, spelled out because the budget is reckoned from them. */
const budget = { exclusivePerNode: 10, sharedPerNode: 3 };

/** One that listens for changes of the catalog. */
const listeners = 1;

/** One plain PostgreSQL, and a cluster of so many nodes beside it, empty. */
export async function startServers({ major, nodes }: ServersOptions): Promise<Servers> {
  const plain = await startPostgres({ major, settings });
  try {
    const embedded = await startEmbeddedCluster({ nodes, major, settings, cluster: budget });
    return {
      plainConnectionString: plain.connectionString,
      cluster: embedded.cluster,
      clusterConnectionString: embedded.connectionString,
      nodeConnectionStrings: embedded.nodes.map((node) => node.connectionString),
      connectionsMax: (nodes + 1) * (budget.exclusivePerNode + budget.sharedPerNode) + listeners,
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
