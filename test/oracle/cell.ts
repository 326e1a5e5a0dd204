import { Pool } from 'pg';
import type { ClusterUnderTest } from './install.ts';
import { installCluster, installPlain, installPrerequisites } from './install.ts';
import { makePair } from './pair.ts';
import type { Pair } from './pair.ts';
import type { Share } from './run-section.ts';
import { createTestDatabases } from '../support/test-databases.ts';

/** One combination of versions, sizes and tuning. */
export interface Cell {
  readonly major: 15 | 18;
  readonly nodes: number;
  readonly shardCount: number;
  readonly share: Omit<Share, 'major'>;
  /** Passed on to the cluster: batches of one row, one connection per node, forced merge paths. */
  readonly options?: Readonly<Record<string, unknown>>;
}

export interface OpenCell extends AsyncDisposable {
  readonly pair: Pair;
  readonly share: Share;
}

export type MakeCluster = (options: Readonly<Record<string, unknown>> & { readonly connectionString: string }) => ClusterUnderTest;

export function nameOfCell({ major, nodes, shardCount, options }: Cell): string {
  return `${shardCount} shards on ${nodes} nodes, PostgreSQL ${major}${options === undefined ? '' : `, ${JSON.stringify(options)}`}`;
}

/** Loads both sides. Disposing closes every connection and proves that the cluster left none. */
export async function openCell(cell: Cell, makeCluster: MakeCluster): Promise<OpenCell> {
  const databases = await createTestDatabases({ major: cell.major, nodes: cell.nodes });
  const oracle = await createTestDatabases({ major: cell.major, nodes: 0 });
  const { connectionString } = databases.coordinator;
  await installPlain(oracle.coordinator.connectionString, dataSeed);
  await Promise.all([databases.coordinator, ...databases.nodes].map((database) => installPrerequisites(database.connectionString)));
  const cluster = makeCluster({ ...cell.options, connectionString });
  const plain = new Pool({ connectionString: oracle.coordinator.connectionString, max: 4 });
  const coordinator = new Pool({ connectionString, max: 1 });
  const close = async (): Promise<void> => {
    await Promise.all([cluster.end(), plain.end(), coordinator.end()]);
    await Promise.all([databases.drop(), oracle.drop()]);
  };
  for (const { host, port, database, user } of databases.nodes) await cluster.addNode({ host, port, database, user });
  await installCluster(cluster, connectionString, { seed: dataSeed, shardCount: cell.shardCount });
  const pair = await makePair({ plain, cluster, coordinator });
  return { pair, share: { ...cell.share, major: cell.major }, [Symbol.asyncDispose]: close };
}

/** Fixed: a failing case must fail again. The fuzzer varies it. */
export const dataSeed = 20_240_229;
