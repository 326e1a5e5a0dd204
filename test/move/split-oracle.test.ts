import { Client } from 'pg';
import { describeCell } from '../oracle/describe-cell.ts';
import type { Cell, OpenCell } from '../oracle/cell.ts';
import { dataSeed } from '../oracle/data-seed.ts';
import { type EmptyDatabase, loadPair, type MakeCluster } from '../oracle/load-pair.ts';
import { present } from '../../src/base/assert.ts';
import { volatileSettings } from '../../src/embedded/default-settings.ts';
import { type PostgresServer, startPostgres } from '../../src/embedded/postgres-server.ts';
import { Cluster } from '../../src/index.ts';

/** The cases of the oracle over shard groups of very unequal size, which a process has made that is not the one that queries them. On servers of its own: a slot waits for every transaction of its server. */
describeCell({ major: 18, nodes: 3, shardCount: 3, share: { every: 4, offset: 2 } }, (options) => new Cluster(options), openUneven);

async function openUneven(cell: Cell, makeCluster: MakeCluster): Promise<OpenCell> {
  const servers = await Promise.all(Array.from({ length: 1 + cell.nodes }, () => startPostgres({ major: cell.major, settings: { ...volatileSettings, wal_level: 'logical', max_prepared_transactions: '50' } })));
  const [coordinator, ...nodes] = servers.map(databaseOf) as [EmptyDatabase, ...EmptyDatabase[]];
  const plain = { ...coordinator, database: 'plain', connectionString: coordinator.connectionString.replace(/\/[^/]*$/, '/plain') };
  const admin = await new Client(coordinator.connectionString).connect();
  await admin.query('CREATE DATABASE plain');
  await admin.end();
  const loaded = await loadPair({ plain, coordinator, nodes }, { ...cell, seed: dataSeed }, makeCluster);
  const other = new Cluster({ connectionString: coordinator.connectionString });
  try {
    await makeUneven(other);
  } finally {
    await other.end();
  }
  const close = async (): Promise<void> => {
    await loaded.end();
    await Promise.all(servers.map((server) => server.stop('immediate')));
  };
  return { pair: loaded.pair, copying: loaded.copying, share: { ...cell.share, major: cell.major }, [Symbol.asyncDispose]: close };
}

function databaseOf({ host, port, database, connectionString }: PostgresServer): EmptyDatabase {
  return { host, port, database, connectionString };
}

/** Of the three shard groups of each colocation group the first is cut into three, of which one has a single hash, the others are merged, and then cut again elsewhere. */
async function makeUneven(cluster: Cluster): Promise<void> {
  for (const [table, first] of await firstShards(cluster)) {
    await cluster.splitShardGroup(first.shardId, { at: [-2_000_000_000, -1_999_999_999], nodes: [3, 1, 2] });
    const [, , , second, third] = await shardsOf(cluster, table);
    await cluster.mergeShardGroups(present(second).shardId, present(third).shardId);
    await cluster.splitShardGroup(present((await shardsOf(cluster, table)).at(-1)).shardId, { at: [1_500_000_000] });
  }
}

type Shards = Awaited<ReturnType<Cluster['shards']>>;

async function shardsOf(cluster: Cluster, table: string): Promise<Shards> {
  return (await cluster.shards()).filter((shard) => `${shard.schema}.${shard.table}` === table).toSorted((a, b) => (a.min ?? 0) - (b.min ?? 0));
}

/** A table of each colocation group, and its first shard. */
async function firstShards(cluster: Cluster): Promise<Map<string, Shards[number]>> {
  const first = new Map<number, [string, Shards[number]]>();
  for (const shard of await cluster.shards()) {
    if (shard.min === -(2 ** 31) && !first.has(shard.shardGroupId ?? 0)) first.set(shard.shardGroupId ?? 0, [`${shard.schema}.${shard.table}`, shard]);
  }
  return new Map(first.values());
}
