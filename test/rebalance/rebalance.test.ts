import { afterAll, beforeAll, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import type { Cluster, StrategyGroup } from '../../src/index.ts';
import { type MoveCluster, startMoveCluster } from '../move/move-cluster.ts';

let servers: MoveCluster;
let cluster: Cluster;
beforeAll(async () => {
  servers = await startMoveCluster();
  cluster = servers.cluster;
}, 120_000);
afterAll(() => servers[Symbol.asyncDispose](), 60_000);

/** What is stored and counted of the groups of `orders`, by ordinal, as the strategies see it. */
async function loadOf(by: Cluster): Promise<readonly StrategyGroup[]> {
  const seen: StrategyGroup[] = [];
  await by.rebalancePlan({ strategy: { cost: (group) => seen.push(group) } });
  return seen.filter(({ tables }) => tables.includes('public.orders'));
}

test('the load is counted for each shard group, of all processes, and halves within an hour', async () => {
  const other = servers.another();
  const tenant = 1;
  const { shardGroupId } = await cluster.shardOf('orders', tenant);
  const loaded = async (): Promise<{ statements: number; rows: number; elsewhere: number }> => {
    const groups = await loadOf(cluster);
    const own = groups.find((group) => group.shardGroupId === shardGroupId);
    return { statements: Math.round(own?.statements ?? 0), rows: Math.round(own?.rows ?? 0), elsewhere: Math.round(groups.reduce((sum, group) => sum + group.statements, 0) - (own?.statements ?? 0)) };
  };
  expect(await loaded()).toEqual({ statements: 0, rows: 0, elsewhere: 0 });
  // 1 + 1 statements, 3 rows; then reads: 3 rows each.
  await cluster.query('INSERT INTO orders (tenant, id) VALUES ($1, 1)', [tenant]);
  await cluster.query('INSERT INTO orders (tenant, id) VALUES ($1, 2), ($1, 3)', [tenant]);
  for (let i = 0; i < 4; i += 1) await (i % 2 === 0 ? cluster : other).query('SELECT * FROM orders WHERE tenant = $1', [tenant]);
  await loadOf(other);
  expect(await loaded()).toEqual({ statements: 6, rows: 15, elsewhere: 0 });
  // A transaction, a stream, COPY.
  await cluster.transaction((client) => client.query('UPDATE orders SET total = 1 WHERE tenant = $1', [tenant]));
  for await (const _ of cluster.stream('SELECT * FROM orders WHERE tenant = $1', [tenant]));
  await cluster.copyFrom('COPY orders (tenant, id) FROM STDIN', `${tenant}\t4\n${tenant}\t5\n`);
  expect(await loaded()).toEqual({ statements: 9, rows: 23, elsewhere: 0 });
  // Four shard groups.
  await cluster.query('SELECT count(*) FROM orders');
  expect(await loaded()).toMatchObject({ statements: 10, elsewhere: 3 });
  await servers.on(0, `UPDATE shardwright.shard_load SET measured_at = measured_at - interval '1 hour'`);
  expect(await loaded()).toMatchObject({ statements: 5, rows: 12 });
  await cluster.query('SELECT * FROM orders WHERE tenant = $1', [tenant]);
  expect(await loaded()).toMatchObject({ statements: 6 });
  await servers.on(0, `UPDATE shardwright.shard_load SET measured_at = measured_at - interval '1 day'`);
  await cluster.query('SELECT 1 FROM orders WHERE tenant = $1', [tenant]);
  await loadOf(cluster);
  expect(await servers.on(0, 'SELECT shard_group_id FROM shardwright.shard_load')).toEqual([[shardGroupId]]);
});

test('shard groups that are asked most do not stay together', async () => {
  const tenants = await Promise.all([0, 1, 2, 3].map(async (shard) => tenantOf(at((await cluster.shards()).filter(({ table }) => table === 'orders'), shard).shardId)));
  for (const { shardId, nodeId } of (await cluster.shards()).filter(({ table }) => table === 'orders')) if (nodeId !== 1) await cluster.moveShardGroup(shardId, { to: 1 });
  for (let i = 0; i < 40; i += 1) for (const tenant of tenants.slice(0, 2)) await cluster.query('SELECT 1 FROM orders WHERE tenant = $1', [tenant]);
  const hot = await Promise.all(tenants.slice(0, 2).map(async (tenant) => (await cluster.shardOf('orders', tenant)).shardGroupId));
  const moved = (await cluster.rebalance({ strategy: 'by_load', maxMoves: 1 })).map(({ shardGroupId }) => shardGroupId);
  expect(moved).toHaveLength(1);
  expect(hot).toContain(moved[0]);
});

async function tenantOf(shardId: number): Promise<number> {
  for (let tenant = 0; ; tenant += 1) if ((await cluster.shardOf('orders', tenant)).shardId === shardId) return tenant;
}

test('a strategy of the caller’s own: cost, capacity, allowed', async () => {
  const groups = await loadOf(cluster);
  expect(groups.map(({ tables, shardIds }) => [tables, shardIds.length])).toEqual(Array.from({ length: 4 }, () => [['public.orders', 'public.items'], 2]));
  expect(groups.every(({ bytes }) => bytes > 0)).toBe(true);
  const special = at(groups, 2).shardGroupId;
  const plan = await cluster.rebalancePlan({
    strategy: { cost: () => 1, capacity: ({ id }) => (id === 1 ? 0 : 1), allowed: ({ shardGroupId }, { id }) => shardGroupId !== special || id === 3 }, threshold: 0,
  });
  const places = new Map(groups.map(({ shardGroupId, nodeId }) => [shardGroupId, nodeId]));
  for (const { shardGroupId, from, to } of plan) {
    expect(places.get(shardGroupId)).toBe(from);
    places.set(shardGroupId, to);
  }
  expect(places.get(special)).toBe(3);
  expect([1, 2, 3].map((node) => [...places.values()].filter((id) => id === node).length)).toEqual([0, 2, 2]);
  const excluded = await cluster.rebalancePlan({ strategy: { capacity: ({ id }) => (id === 1 ? 0 : 1) }, excludedShardIds: groups.map(({ shardIds }) => at(shardIds, 1)) });
  expect(excluded).toEqual([]);
  for (const value of [-1, NaN, Infinity]) {
    await expect(cluster.rebalancePlan({ strategy: { cost: () => value } })).rejects.toMatchObject({ id: 'invalidParameter' });
    await expect(cluster.rebalancePlan({ strategy: { capacity: () => value } })).rejects.toMatchObject({ id: 'invalidParameter' });
  }
});
