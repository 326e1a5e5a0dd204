import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at, present } from '../../src/base/assert.ts';
import type { ClusterClient, ShardInfo } from '../../src/index.ts';
import { shardGroupId, nodeId } from '../../src/catalog/ids.ts';
import { until } from '../cluster/connections.ts';
import { openMoves } from './fault-moves.ts';
import { type MoveCluster, startMoveCluster } from './move-cluster.ts';

/**
 * Two moves wait for two transactions, each of which has used the one group and then wants the other: a circle of four, through queues for locks, of which no server of two can know. The moves give way before any server looks for
 * deadlocks, so that neither transaction is its victim.
 */
let servers: MoveCluster;
let shards: ShardInfo[];
const tenants = new Map<number, number>();
beforeAll(async () => {
  servers = await startMoveCluster({ options: { recoveryIntervalMs: 0 } });
  shards = (await servers.cluster.shards()).filter(({ table }) => table === 'orders');
  for (let tenant = 1; tenants.size < shards.length; tenant += 1) {
    const { shardId } = await servers.cluster.shardOf('orders', tenant);
    if (!tenants.has(shardId)) tenants.set(shardId, tenant);
  }
  await servers.cluster.query(`INSERT INTO orders SELECT t, i FROM unnest($1::bigint[]) t, generate_series(1, 2) i`, [[...tenants.values()]]);
}, 120_000);
afterAll(() => servers[Symbol.asyncDispose](), 60_000);

type Group = { readonly name: string; readonly tenant: number; readonly group: number };

/** Begins the move of a group, which stops before the step behind `step`. */
async function moveUpTo(step: string, { group }: Group): Promise<{ readonly there: Promise<void>; readonly go: () => void; readonly end: Promise<string> }> {
  const [there, go] = [gate(), gate()];
  const { moves, pools } = await openMoves(servers.embedded.connectionString, 'mover');
  const { nodeId: from } = at((await servers.cluster.shards()).filter(({ shardGroupId: id }) => id === group), 0);
  const onStep = async (reached: string): Promise<void> => {
    if (reached !== step) return;
    there.open();
    await go.opened;
  };
  const move = async (): Promise<string> => {
    try {
      return await moves.move({ group: shardGroupId(group), from: nodeId(from), to: nodeId((from % 3) + 1), limits: {} }, { onStep });
    } finally {
      await pools.end();
    }
  };
  return { there: there.opened, go: go.open, end: move() };
}

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Of each: the transaction's row of a group. */
const add = (client: ClusterClient, id: number, { tenant }: Group): Promise<unknown> => client.query('UPDATE orders SET total = total + 1 WHERE tenant = $1 AND id = $2', [tenant, id]);

/** A mover is in the queue for a shard of the group. */
const isWaitedFor = async ({ name, group }: Group): Promise<boolean> => {
  const { nodeId: node } = at((await servers.cluster.shards()).filter(({ shardGroupId: id }) => id === group), 0);
  return (await servers.on(node, `SELECT 1 FROM pg_locks WHERE NOT granted AND relation = '${name}'::regclass`)).length > 0;
};

describe.each([['on two nodes', 0, 1], ['on one node', 0, 3]] as const)('groups %s', (_, first, second) => {
  test.each(['catch_up:done', 'verify:done'])('transactions that use them crosswise behind %s come through, and so do the moves', async (step) => {
    const [a, b] = [first, second].map((place): Group => {
      const { shardId, shardGroupId: group, name } = at(shards, place);
      return { name, group: present(group), tenant: present(tenants.get(shardId)) };
    }) as [Group, Group];
    const before = (await servers.cluster.query('SELECT sum(total)::int AS sum FROM orders')).rows[0] as { sum: number };
    const moves = await Promise.all([moveUpTo(step, a), moveUpTo(step, b)]);
    await Promise.all(moves.map(({ there }) => there));
    const clients = await Promise.all([servers.cluster.connect(), servers.cluster.connect()]);
    const [one, two] = clients;
    try {
      for (const client of clients) await client.query('BEGIN');
      await Promise.all([add(one, 1, a), add(two, 2, b)]);
      for (const { go } of moves) go();
      await until(() => isWaitedFor(a));
      await Promise.all([add(one, 1, b), add(two, 2, a)]);
      for (const client of clients) await client.query('COMMIT');
    } finally {
      for (const client of clients) client.release();
    }
    await Promise.all(moves.map(({ end }) => end));
    expect((await servers.cluster.query('SELECT sum(total)::int AS sum FROM orders')).rows).toEqual([{ sum: before.sum + 4 }]);
    expect(await servers.remains()).toEqual([]);
  }, 60_000);
});
