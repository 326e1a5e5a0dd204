import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { type PostgresServer, startPostgres, volatileSettings } from '../../src/embedded.ts';
import type { ChangeStream, Cluster } from '../../src/index.ts';
import { until } from '../cluster/connections.ts';
import { type MoveCluster, startMoveCluster } from '../move/move-cluster.ts';
import { startLoad } from '../move/writing-load.ts';
import { Random } from '../oracle/random.ts';
import { lineOf, StrictMirror } from './strict-mirror.ts';

const tables = ['orders', 'items', 'plans'] as const;
let servers: MoveCluster;
let spare: PostgresServer;

beforeAll(async () => {
  servers = await startMoveCluster();
  spare = await startPostgres({ settings: volatileSettings });
  await servers.cluster.query('ALTER TABLE items REPLICA IDENTITY FULL; CREATE INDEX ON orders (id); CREATE INDEX ON items (tenant, id)');
}, 120_000);

afterAll(async () => {
  await servers[Symbol.asyncDispose]();
  await spare.stop('immediate');
});

async function expectEqual(mirror: StrictMirror): Promise<void> {
  for (const table of tables) {
    const { rows } = await servers.cluster.query<Record<string, unknown>>(`SELECT * FROM ${table}`);
    const there = rows.map(lineOf).toSorted();
    expect(mirror.lines(table).length, table).toBe(there.length);
    expect(mirror.lines(table), table).toEqual(there);
  }
}

/** Reads, and leaves off at random, until told to stop; then goes on at the receiver's cursor, or where it has confirmed. */
async function receive(cluster: Cluster, mirror: StrictMirror, { random, signal, name }: { readonly random: Random; readonly signal: AbortSignal; readonly name: string }): Promise<number> {
  let openings = 0;
  while (!signal.aborted) {
    openings += 1;
    const from = mirror.cursor !== undefined && random.chance(0.5) ? mirror.cursor : undefined;
    const changes: ChangeStream = cluster.changes(tables, { name, from, snapshot: true, signal });
    mirror.reopened();
    // Little by little, the first times.
    let left = openings < 4 ? random.int(1, 20) : random.int(1, 3_000);
    try {
      for await (const change of changes) {
        mirror.apply(change);
        if (change.cursor !== undefined && random.chance(0.05)) changes.confirm(change.cursor);
        left -= 1;
        if (left === 0) break;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
  return openings;
}

test('a strict receiver equals the source through moves, splits, isolations, merges, a node that is added, and ends of its own', async () => {
  const { cluster } = servers;
  const other = servers.another({ recoveryIntervalMs: 0 });
  const random = new Random(4);
  await cluster.query(`INSERT INTO orders SELECT t, t * 1000 + i, i, 'early', 'pro' FROM generate_series(1, 16) t, generate_series(1, 20) i`);
  const load = startLoad([cluster, other], { tenants: 16, writers: 6, from: 1e9 });
  const mirror = new StrictMirror();
  const stopping = new AbortController();
  const failures: unknown[] = [];
  const receiving = receive(other, mirror, { random, signal: stopping.signal, name: 'mirror' }).catch((error: unknown) => {
    failures.push(error);
    return 0;
  });
  await until(() => mirror.cursor !== undefined || failures.length > 0);
  await cluster.query(`INSERT INTO plans VALUES ('new')`);
  const [shard] = (await cluster.shards()).filter(({ table }) => table === 'orders');
  const first = shard?.shardId ?? 0;
  const elsewhere = [1, 2, 3].find((id) => id !== shard?.nodeId) ?? 0;
  await cluster.moveShardGroup(first, { to: elsewhere });
  const { id: fourth } = await cluster.addNode(spare.connectionString);
  await cluster.moveShardGroup(first, { to: fourth });
  const split = await cluster.splitShardGroup(first, { into: 3, nodes: [fourth, 1, 2] });
  await cluster.isolateTenant('orders', 3, { to: fourth });
  const parts = (await cluster.shards()).filter((one) => one.table === 'orders' && split.shardGroups.some(({ shardGroupId }) => shardGroupId === one.shardGroupId));
  await cluster.mergeShardGroups(at(parts, 0).shardId, at(parts, 1).shardId, { to: 3 });
  await cluster.moveShardGroup(at(parts, 2).shardId, { to: fourth });
  await cluster.moveShardGroup(at(parts, 2).shardId, { to: 1 });
  await load.stop();
  expect(load.failures).toEqual([]);
  const last = await cluster.query<{ count: string }>('SELECT count(*) FROM orders');
  const deadline = performance.now() + 60_000;
  const isEven = (): boolean => mirror.lines('orders').length === Number(last.rows[0]?.count);
  while (!isEven() && failures.length === 0 && performance.now() < deadline) await delay(50);
  await delay(300);
  stopping.abort();
  expect(failures).toEqual([]);
  expect(await receiving).toBeGreaterThan(4);
  await expectEqual(mirror);

  // The node that was added leaves again, when all of its changes are read and confirmed.
  await cluster.drainNode(fourth);
  await expect(cluster.removeNode(fourth, { signal: AbortSignal.timeout(200) })).rejects.toMatchObject({ id: 'canceled' });
  mirror.reopened();
  const changes = cluster.changes(tables, { name: 'mirror', autoConfirm: true });
  const reading = (async () => {
    for await (const change of changes) mirror.apply(change);
  })().catch((error: unknown) => void failures.push(error));
  await cluster.removeNode(fourth);
  await cluster.query(`INSERT INTO orders VALUES (1, 7, 7, 'late', 'new')`);
  await until(() => failures.length > 0 || mirror.lines('orders').some((line) => line.includes('late')));
  expect(failures).toEqual([]);
  await changes.return();
  await reading;
  await expectEqual(mirror);

  await cluster.dropFeed('mirror');
  expect(await cluster.feeds()).toEqual([]);
  // The identity of items is their own.
  expect((await servers.remains()).filter((line) => !line.startsWith('identity of items'))).toEqual([]);
  expect(await servers.on(0, 'SELECT feed_id FROM shardwright.feed_node UNION ALL SELECT feed_id FROM shardwright.feed_shard UNION ALL SELECT feed_id FROM shardwright.feed_cut')).toEqual([]);
}, 180_000);
