import { startEmbeddedCluster, startPostgres, type PostgresMajor } from '../src/embedded.ts';
import type { Cluster } from '../src/index.ts';
import type { NodePlace } from './tour/shard-table.ts';

export interface DemoServers {
  readonly cluster: Cluster;
  readonly connectionString: string;
  readonly nodes: readonly NodePlace[];
  readonly plainConnectionString: string;
  stop(): Promise<void>;
}

const settings = { shared_buffers: '128MB' };

/** A coordinator database, so many nodes, and one plain PostgreSQL to compare with. */
export async function startServers(nodes: number, major: PostgresMajor): Promise<DemoServers> {
  const plain = await startPostgres({ major, settings });
  try {
    const embedded = await startEmbeddedCluster({ nodes, major, settings });
    return {
      cluster: embedded.cluster,
      connectionString: embedded.connectionString,
      nodes: embedded.nodes.map(({ host, port, database, connectionString }) => ({ name: `${host}:${port}/${database}`, connectionString })),
      plainConnectionString: plain.connectionString,
      stop: async () => {
        await embedded.stop();
        await plain.stop();
      },
    };
  } catch (error) {
    await plain.stop();
    throw error;
  }
}
