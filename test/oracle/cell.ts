import { dataSeed } from './data-seed.ts';
import { loadPair } from './load-pair.ts';
import type { LoadedPair, MakeCluster } from './load-pair.ts';
import type { SingleShard } from './install.ts';
import type { Share } from './run-section.ts';
import { createTestDatabases } from '../support/test-databases.ts';

/** One combination of versions, sizes and tuning. */
export interface Cell {
  readonly major: 15 | 18;
  readonly nodes: number;
  readonly shardCount: number;
  readonly singleShard?: SingleShard | undefined;
  readonly share: Omit<Share, 'major'>;
  /** Passed on to the cluster: batches of one row, one connection per node, forced merge paths. */
  readonly options?: Readonly<Record<string, unknown>>;
}

export interface OpenCell extends AsyncDisposable, Pick<LoadedPair, 'pair' | 'copying'> {
  readonly share: Share;
}

export function nameOfCell({ major, nodes, shardCount, singleShard, options }: Cell): string {
  return `${shardCount} shards on ${nodes} nodes, PostgreSQL ${major}${singleShard === undefined ? '' : `, single-shard tables: ${singleShard}`}${options === undefined ? '' : `, ${JSON.stringify(options)}`}`;
}

/** Loads both sides into fresh databases. Disposing closes every connection and proves that the cluster left none. */
export async function openCell(cell: Cell, makeCluster: MakeCluster): Promise<OpenCell> {
  const databases = await createTestDatabases({ major: cell.major, nodes: cell.nodes });
  const oracle = await createTestDatabases({ major: cell.major, nodes: 0 });
  const places = { plain: oracle.coordinator, coordinator: databases.coordinator, nodes: databases.nodes };
  const loaded = await loadPair(places, { ...cell, seed: dataSeed }, makeCluster);
  const close = async (): Promise<void> => {
    await loaded.end();
    await Promise.all([databases.drop(), oracle.drop()]);
  };
  return { pair: loaded.pair, copying: loaded.copying, share: { ...cell.share, major: cell.major }, [Symbol.asyncDispose]: close };
}
