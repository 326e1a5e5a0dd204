import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import type { Cluster, RebalanceEvent, StrategyGroup } from '../../src/index.ts';
import { until } from '../cluster/connections.ts';
import { type MoveCluster, startMoveCluster } from '../move/move-cluster.ts';
import type { RebalanceTask } from './fault-child.ts';
import { forkScript } from '../support/child-script.ts';

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
  return seen.filter(({ shards }) => shards.some(({ table }) => table === 'orders'));
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
  expect(groups.map(({ shards }) => shards.map(({ table }) => table))).toEqual(Array.from({ length: 4 }, () => ['orders', 'items']));
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
  const excluded = await cluster.rebalancePlan({ strategy: { capacity: ({ id }) => (id === 1 ? 0 : 1) }, excludedShardIds: groups.map(({ shards }) => at(shards, 1).shardId) });
  expect(excluded).toEqual([]);
  for (const value of [-1, NaN, Infinity]) {
    await expect(cluster.rebalancePlan({ strategy: { cost: () => value } })).rejects.toMatchObject({ id: 'invalidParameter' });
    await expect(cluster.rebalancePlan({ strategy: { capacity: () => value } })).rejects.toMatchObject({ id: 'invalidParameter' });
  }
});

/** How many shard groups of `orders` there are on each node. */
async function counts(): Promise<number[]> {
  const shards = (await cluster.shards()).filter(({ table }) => table === 'orders');
  return [1, 2, 3].map((node) => shards.filter(({ nodeId }) => nodeId === node).length);
}

async function gatherOn(node: number): Promise<void> {
  await cluster.rebalance({ strategy: { capacity: ({ id }) => (id === node ? 1 : 0) } });
  expect((await counts())[node - 1]).toBe(4);
}

test('moves run side by side, but one from a node and one to a node', async () => {
  await cluster.rebalance({ strategy: { cost: () => 1, capacity: ({ id }) => (id === 3 ? 0 : 1) }, threshold: 0 });
  expect(await counts()).toEqual([2, 2, 0]);
  // Each of the two goes to the other node and two more to the third, whatever order.
  const running = new Map<string, RebalanceEvent>();
  const together: number[] = [];
  const plan = await cluster.rebalance({
    strategy: { allowed: ({ nodeId: from }, { id }) => id === (from % 3) + 1 },
    threshold: Infinity, parallel: 3, verify: 'sample', maxRetainedBytes: 1e9,
    onProgress: (event) => {
      if (['done', 'undone'].includes(event.state)) running.delete(event.jobId);
      else running.set(event.jobId, event);
      together.push(running.size);
      for (const side of ['from', 'to'] as const) expect(new Set([...running.values()].map((one) => one[side])).size).toBe(running.size);
    },
  });
  expect(plan).toHaveLength(4);
  // As each of them was given its limits.
  const given = await servers.on(0, `SELECT count(*)::int FROM shardwright.job WHERE options @> '{"verify": "sample", "maxRetainedBytes": 1000000000}' AND NOT options ? 'maxLagMs'`);
  expect(given).toEqual([[4]]);
  expect(Math.max(...together)).toBe(2);
  expect(await counts()).toEqual([0, 2, 2]);
  expect(await servers.remains()).toEqual([]);
}, 60_000);

test('a move that fails is told at the end, and keeps no other from being made', async () => {
  await gatherOn(1);
  const names = (await cluster.shards()).filter(({ table }) => table === 'orders').map(({ name }) => name);
  await servers.on(2, `CREATE TABLE ${at(names, 0)} ()`);
  const failing = cluster.rebalance({ strategy: { capacity: ({ id }) => (id === 2 ? 1 : 0) } });
  await expect(failing).rejects.toMatchObject({ id: 'rebalanceIncomplete', message: expect.stringContaining('1 of 4') as string, detail: expect.stringContaining(`${at(names, 0)}" exists on node`) as string });
  expect(await counts()).toEqual([1, 3, 0]);
  await servers.on(2, `DROP TABLE ${at(names, 0)}`);
  const last = at((await cluster.rebalances({ all: true })).slice(-1), 0);
  expect(last).toMatchObject({ state: 'failed', finishedAt: expect.any(Date) as Date });
  expect(last.moves.map(({ state }) => state).sort()).toEqual(['done', 'done', 'done', 'failed']);
  expect(await servers.remains()).toEqual([]);
}, 60_000);

test('one is started, seen, and stopped by another process; a second one is refused meanwhile', async () => {
  await gatherOn(1);
  const other = servers.another();
  const before = (await cluster.rebalances({ all: true })).length;
  // One that holds up the slot of the first move.
  const client = await cluster.connect();
  await client.query('BEGIN');
  for (const tenant of [0, 1, 2, 3, 4, 5, 6]) await client.query('INSERT INTO orders (tenant, id) VALUES ($1, 900)', [tenant]);
  const id = await cluster.startRebalance({ strategy: 'by_shard_count', threshold: 0 });
  await until(async () => (await other.jobs()).length > 0);
  expect(await other.rebalances()).toMatchObject([{ rebalanceId: id, state: 'running', finishedAt: undefined }]);
  await expect(other.rebalance({ strategy: 'by_shard_count', threshold: 0 })).rejects.toMatchObject({ id: 'rebalanceInProgress' });
  await other.cancelJob(id ?? '');
  await client.query('ROLLBACK');
  client.release();
  expect((await other.rebalances({ all: true })).slice(before)).toMatchObject([{ rebalanceId: id, state: 'cancelled' }]);
  await expect(cluster.resumeJob(id ?? '')).rejects.toMatchObject({ id: 'canceled' });
  await expect(cluster.cancelJob(id ?? '')).rejects.toMatchObject({ id: 'unknownJob' });
  expect(await counts()).toEqual([4, 0, 0]);
  expect(await servers.remains()).toEqual([]);
  const giveUp = new AbortController();
  await expect(cluster.rebalance({ strategy: 'by_shard_count', threshold: 0, signal: giveUp.signal, onProgress: ({ state }) => state === 'index' && giveUp.abort() })).rejects.toMatchObject({ id: 'canceled' });
  expect(await servers.remains()).toEqual([]);
  expect(await cluster.startRebalance({ strategy: { cost: () => 0 } })).toBe(undefined);
  for (const parallel of [0, 1.5, 99]) await expect(cluster.rebalance({ parallel })).rejects.toMatchObject({ id: 'invalidParameter' });
}, 60_000);

test.each(['preflight', 'cut_over'])('a process that is killed in a rebalance, with a move in state %s, is followed by another, by itself', async (state) => {
  await gatherOn(1);
  const child = forkScript(new URL('fault-child.ts', import.meta.url));
  child.send({ coordinator: servers.embedded.connectionString, state } satisfies RebalanceTask);
  expect(await once(child, 'message')).toEqual(['reached', undefined]);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const [left] = await cluster.rebalances();
  expect(left).toMatchObject({ state: 'running' });
  const another = servers.another({ recoveryIntervalMs: 100 });
  await another.query('SELECT 1 FROM orders LIMIT 1');
  await until(async () => (await cluster.rebalances()).length === 0 && (await cluster.jobs()).length === 0);
  await another.end();
  expect(at((await cluster.rebalances({ all: true })).slice(-1), 0)).toMatchObject({ rebalanceId: left?.rebalanceId, state: 'finished' });
  expect((await counts())[0]).toBe(0);
  expect(await servers.remains()).toEqual([]);
}, 60_000);

describe('by SQL, as in Citus', () => {
  test('a plan, its rebalance, and how it is', async () => {
    await gatherOn(1);
    const host = '127.0.0.1';
    const ports = servers.embedded.nodes.map(({ port }) => port);
    const { rows, fields } = await cluster.query<Record<string, unknown>>(`SELECT * FROM get_rebalance_table_shards_plan(rebalance_strategy => 'by_shard_count', threshold => 0)`);
    expect(fields.map(({ name }) => name)).toEqual(['table_name', 'shardid', 'shard_size', 'sourcename', 'sourceport', 'targetname', 'targetport']);
    // Two or three shard groups of two tables.
    expect(rows.length % 2).toBe(0);
    expect(rows.slice(0, 2)).toMatchObject(['orders', 'items'].map((table_name) => ({ table_name, sourcename: host, sourceport: ports[0] })));
    expect(rows.every(({ table_name, shard_size }) => table_name !== 'orders' || Number(shard_size) > 0)).toBe(true);
    expect((await cluster.query(`SELECT shardid FROM get_rebalance_table_shards_plan('orders', max_shard_moves => 1, rebalance_strategy => $1, threshold => 0)`, ['by_shard_count'])).rows).toEqual(rows.slice(0, 2).map(({ shardid }) => ({ shardid })));
    expect((await cluster.query(`SELECT * FROM get_rebalance_table_shards_plan(excluded_shard_list => $1)`, [rows.map(({ shardid }) => shardid)])).rows.every((row) => !rows.some(({ shardid }) => shardid === (row as Record<string, unknown>).shardid))).toBe(true);
    expect((await cluster.query(`SELECT * FROM get_rebalance_table_shards_plan(drain_only => true)`)).rows).toEqual([]);
    const started = await cluster.query<{ id: string }>(`SELECT citus_rebalance_start(rebalance_strategy := 'by_shard_count') AS id`);
    const { id } = at(started.rows, 0);
    expect(started.fields).toMatchObject([{ name: 'id', dataTypeID: 20 }]);
    const running = await cluster.query<{ details: { task_state_counts: Record<string, number> } }>('SELECT * FROM citus_rebalance_status()');
    expect(running.rows).toMatchObject([{ job_id: id, state: 'running', job_type: 'rebalance', started_at: expect.any(Date) as Date, finished_at: null }]);
    expect(Object.values(at(running.rows, 0).details.task_state_counts).reduce((sum, count) => sum + count, 0)).toBe(rows.length / 2);
    await cluster.query('SELECT citus_rebalance_wait()');
    expect((await cluster.query('SELECT state, details FROM citus_job_status($1)', [id])).rows).toEqual([{ state: 'finished', details: { tasks: [], task_state_counts: { done: rows.length / 2 } } }]);
    expect((await cluster.query<{ job_id: string }>('SELECT job_id, state FROM citus_job_list()')).rows.at(-1)).toEqual({ job_id: id, state: 'finished' });
    await cluster.query(`SELECT citus_job_wait($1, 'finished')`, [id]);
    await expect(cluster.query(`SELECT citus_job_wait($1, 'cancelled')`, [id])).rejects.toMatchObject({ code: '55000' });
    expect((await cluster.query('SELECT citus_rebalance_wait()')).rows).toEqual([{ citus_rebalance_wait: '' }]);
    expect((await cluster.query(`SELECT citus_rebalance_start(rebalance_strategy => 'by_shard_count')`)).rows).toEqual([{ citus_rebalance_start: null }]);
  }, 60_000);

  test('one is stopped', async () => {
    await gatherOn(1);
    const client = await cluster.connect();
    await client.query('BEGIN');
    for (const tenant of [0, 1, 2, 3, 4, 5, 6]) await client.query('INSERT INTO orders (tenant, id) VALUES ($1, 901)', [tenant]);
    const { rows } = await cluster.query<{ citus_rebalance_start: string }>(`SELECT citus_rebalance_start('by_shard_count')`);
    await expect(cluster.query({ text: 'SELECT citus_rebalance_wait()', signal: AbortSignal.timeout(300) })).rejects.toMatchObject({ id: 'canceled' });
    expect(await cluster.rebalances()).toMatchObject([{ state: 'running' }]);
    await cluster.query('SELECT citus_rebalance_stop()');
    await client.query('ROLLBACK');
    client.release();
    expect((await cluster.query('SELECT job_id, state FROM citus_rebalance_status()')).rows).toEqual([{ job_id: rows[0]?.citus_rebalance_start, state: 'cancelled' }]);
    await expect(cluster.query('SELECT citus_rebalance_stop()')).rejects.toMatchObject({ id: 'unknownJob' });
    expect(await servers.remains()).toEqual([]);
  }, 60_000);

  test('strategies, and what is refused', async () => {
    expect((await cluster.query('SELECT name, default_strategy, default_threshold FROM citus_rebalance_strategies')).rows).toEqual(
      ['by_shard_count', 'by_disk_size', 'by_load'].map((name) => ({ name, default_strategy: name === 'by_disk_size', default_threshold: 0.1 })));
    await expect(cluster.query(`SELECT citus_rebalance_start('by_magic')`)).rejects.toMatchObject({ code: '22023' });
    await expect(cluster.query(`SELECT * FROM get_rebalance_table_shards_plan('nothing')`)).rejects.toMatchObject({ id: 'notDistributed' });
    await expect(cluster.query(`SELECT * FROM get_rebalance_table_shards_plan(improvement_threshold => 0.5)`)).rejects.toMatchObject({ code: '22023' });
    await expect(cluster.query('SELECT nothing FROM citus_rebalance_status()')).rejects.toMatchObject({ code: '42703' });
    expect((await cluster.query(`SELECT count(*)::int AS n FROM citus_rebalance_status() WHERE state = 'running'`)).rows).toEqual([{ n: 0 }]);
    await expect(cluster.query(`SELECT citus_job_cancel('nothing')`)).rejects.toMatchObject({ code: '22P02' });
    await expect(cluster.query('SELECT citus_job_wait(99999)')).rejects.toMatchObject({ id: 'unknownJob' });
  });
});
