import { Pool } from 'pg';
import { keepConnections } from './keep-connections.ts';
import { copyingOf } from './copying.ts';
import type { Copying } from './copying.ts';
import { installCluster, installPlain, installPrerequisites } from './install.ts';
import type { ClusterUnderTest, ServerAddress, SingleShard } from './install.ts';
import { makePair } from './pair.ts';
import type { Pair } from './pair.ts';

/** An empty database. */
export interface EmptyDatabase extends ServerAddress {
  readonly connectionString: string;
}

export interface Places {
  readonly plain: EmptyDatabase;
  readonly coordinator: EmptyDatabase;
  readonly nodes: readonly EmptyDatabase[];
}

export interface LoadOptions {
  readonly seed: number;
  readonly shardCount: number;
  readonly singleShard?: SingleShard | undefined;
  /** Passed on to the cluster. */
  readonly options?: Readonly<Record<string, unknown>>;
}

export interface LoadedPair {
  readonly pair: Pair;
  readonly cluster: ClusterUnderTest;
  readonly copying: { readonly plain: Copying; readonly cluster: Copying };
  /** Closes every connection of both sides. */
  end(): Promise<void>;
}

export type MakeCluster = (options: Readonly<Record<string, unknown>> & { readonly connectionString: string }) => ClusterUnderTest;

/** Makes the schema and the rows of the seed in the plain database and in a new cluster over the others. */
export async function loadPair(places: Places, { seed, shardCount, singleShard, options }: LoadOptions, makeCluster: MakeCluster): Promise<LoadedPair> {
  const { connectionString } = places.coordinator;
  await installPlain(places.plain.connectionString, seed);
  await Promise.all([places.coordinator, ...places.nodes].map((database) => installPrerequisites(database.connectionString)));
  const cluster = makeCluster({ ...options, connectionString });
  const plain = new Pool({ connectionString: places.plain.connectionString, max: 4 });
  const coordinator = new Pool({ connectionString, max: 1 });
  const end = async (): Promise<void> => {
    await Promise.all([cluster.end(), plain.end(), coordinator.end()]);
  };
  try {
    for (const { host, port, database } of places.nodes) await cluster.addNode({ host, port, database });
    await installCluster(cluster, connectionString, { seed, shardCount, singleShard });
    return { pair: await makePair({ plain: keepConnections(plain), cluster, coordinator }), cluster, copying: { plain: copyingOf(plain), cluster }, end };
  } catch (error) {
    await end();
    throw error;
  }
}
