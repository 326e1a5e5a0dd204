import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeTable } from '../ddl/describe-table.ts';
import type { Cluster } from '../../src/index.ts';
import { openMoves } from './fault-moves.ts';
import { type MoveCluster, startMoveCluster } from './move-cluster.ts';

/** Two levels, a partition older than its parent with columns in another order, things of their own in some, foreign keys from and to the tree, triggers, policies. */
const tables = `
CREATE TABLE events (tenant bigint, id bigint, made date NOT NULL, kind text NOT NULL, note text, plan text DEFAULT 'free' REFERENCES plans, amount int CONSTRAINT positive CHECK (amount > 0),
  PRIMARY KEY (tenant, made, kind, id), FOREIGN KEY (tenant, id) REFERENCES orders) PARTITION BY RANGE (made);
CREATE TABLE events_2023 PARTITION OF events (amount DEFAULT 23, CONSTRAINT old CHECK (amount < 1000)) FOR VALUES FROM ('2023-01-01') TO ('2024-01-01') WITH (fillfactor = 80);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (kind);
CREATE TABLE events_2024_clicks PARTITION OF events_2024 FOR VALUES IN ('click');
CREATE TABLE events_2024_rest PARTITION OF events_2024 DEFAULT;
CREATE INDEX ON events (kind, made);
CREATE UNIQUE INDEX only_here ON events_2023 (tenant, amount) WHERE amount > 50;
CREATE TRIGGER mark BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION mark();
COMMENT ON TABLE events_2023 IS 'the first year';
CREATE TABLE visits (tenant bigint, made date, kind text, id bigint, n int, PRIMARY KEY (tenant, n), FOREIGN KEY (tenant, made, kind, id) REFERENCES events ON DELETE CASCADE)`;

let servers: MoveCluster;
let cluster: Cluster;
beforeAll(async () => {
  servers = await startMoveCluster({ nodes: 2 });
  cluster = servers.cluster;
  for (const node of [0, 1, 2]) await servers.on(node, `CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.note := coalesce(new.note, '') || '!'; RETURN new; END $$`);
  await cluster.query(tables);
  await cluster.createDistributedTable('events', 'tenant', { colocateWith: 'orders' });
  await cluster.createDistributedTable('visits', 'tenant', { colocateWith: 'events' });
  await cluster.query('INSERT INTO orders (tenant, id) SELECT t, i FROM generate_series(1, 20) t, generate_series(1, 30) i');
  await cluster.query(`INSERT INTO events (tenant, id, made, kind, amount) SELECT t, i, '2023-02-01'::date + i * 20, (ARRAY['click', 'view'])[1 + i % 2], i FROM generate_series(1, 20) t, generate_series(1, 30) i`);
  await cluster.query(`INSERT INTO visits SELECT tenant, made, kind, id, id FROM events WHERE id % 3 = 0`);
}, 120_000);
afterAll(() => servers[Symbol.asyncDispose](), 60_000);

const names = ['events', 'events_2023', 'events_2024', 'events_2024_clicks', 'events_2024_rest', 'visits'];

/** All shards of the group as their node has them. */
async function described(shardGroup: number): Promise<string[]> {
  const shards = (await cluster.shards()).filter(({ shardGroupId }) => shardGroupId === shardGroup);
  const lines = await Promise.all(shards.map(({ nodeId, schema, name }) => describeTable((text) => servers.on(nodeId, text), schema, name)));
  return lines.flat();
}

const sums = async (): Promise<unknown[]> => (await cluster.query(`
  SELECT 'events' AS t, count(*), sum(amount), count(*) FILTER (WHERE note LIKE '%!') AS marked FROM events UNION ALL SELECT 'clicks', count(*), sum(amount), 0 FROM events_2024_clicks
  UNION ALL SELECT 'visits', count(*), sum(n), 0 FROM visits ORDER BY 1`)).rows;

test('a shard group with a partitioned table moves while rows come, go, and change their partition', async () => {
  const { shardGroup: group, from, to } = await servers.place('events');
  const before = await described(group);
  expect(before.length).toBeGreaterThan(50);
  const { moves, pools } = await openMoves(servers.embedded.connectionString, 'mover');
  const seen: string[] = [];
  let expected: unknown[] = [];
  try {
    await moves.move({ group, from, to, limits: {} }, {
      onStep: async (step) => {
        seen.push(step);
        if (step === 'index:done') {
          await cluster.query(`UPDATE events SET kind = 'view', made = made + 1 WHERE kind = 'click' AND id % 5 = 0`);
          await cluster.query(`INSERT INTO events (tenant, id, made, kind, amount) SELECT t, 1, '2024-12-01', 'click', 7 FROM generate_series(1, 20) t`);
          await cluster.query(`DELETE FROM events WHERE id = 3`);
        }
        if (step === 'copy:done') await cluster.query('TRUNCATE events_2024_rest CASCADE').catch(() => undefined);
        if (step === 'catch_up:done') expected = await sums();
      },
    });
  } finally {
    await pools.end();
  }
  expect(seen).toContain('verify:done');
  expect(await sums()).toEqual(expected);
  expect((await cluster.shards()).filter(({ shardGroupId }) => shardGroupId === group).map(({ nodeId }) => nodeId)).toEqual(Array.from({ length: 2 + names.length }, () => to));
  expect(await described(group)).toEqual(before);
  expect((await cluster.checkSchema()).differences).toEqual([]);
  expect((await cluster.verify()).differences).toEqual([]);
  expect(await servers.remains()).toEqual([]);
  // It lives: keys, partitions, foreign keys of both kinds and triggers are in force.
  const tenant = Number((await servers.on(to, `SELECT tenant FROM events_2023_${(await servers.place('events_2023')).shardId} LIMIT 1`))[0]?.[0]);
  await expect(cluster.query(`INSERT INTO events (tenant, id, made, kind) VALUES (${tenant}, 999, '2023-05-05', 'click')`)).rejects.toMatchObject({ code: '23503' });
  await expect(cluster.query(`INSERT INTO events (tenant, id, made, kind, plan) VALUES (${tenant}, 1, '2023-05-06', 'click', 'none')`)).rejects.toMatchObject({ code: '23503' });
  await expect(cluster.query(`INSERT INTO events (tenant, id, made, kind) VALUES (${tenant}, 1, '2029-05-06', 'click')`)).rejects.toMatchObject({ code: '23514' });
  expect((await cluster.query(`INSERT INTO events (tenant, id, made, kind) VALUES (${tenant}, 1, '2023-05-06', 'click') RETURNING note, amount`)).rows).toEqual([{ note: '!', amount: null }]);
  await cluster.query(`DELETE FROM events WHERE tenant = ${tenant}`);
  expect((await cluster.query(`SELECT count(*)::int FROM visits WHERE tenant = ${tenant}`)).rows).toEqual([{ count: 0 }]);
  await cluster.drainNode(to);
  expect((await cluster.shards()).filter(({ table, nodeId }) => table === 'events' && nodeId === to)).toEqual([]);
  expect((await cluster.checkSchema()).differences).toEqual([]);
}, 120_000);

test('a shard group with a partitioned table is split and merged again while rows change their partition and their part', async () => {
  await cluster.query(`INSERT INTO orders (tenant, id) SELECT t, i FROM generate_series(21, 60) t, generate_series(1, 30) i`);
  await cluster.query(`INSERT INTO events (tenant, id, made, kind, amount) SELECT t, i, '2023-02-01'::date + i * 20, (ARRAY['click', 'view'])[1 + i % 2], i FROM generate_series(21, 60) t, generate_series(1, 30) i`);
  await cluster.query(`INSERT INTO visits SELECT tenant, made, kind, id, id FROM events WHERE id % 3 = 0 AND tenant > 20`);
  const { shardId, from, to } = await servers.place('events');
  let changed: Promise<unknown> | undefined;
  const change = async (): Promise<void> => {
    await cluster.query(`UPDATE events SET kind = 'view', made = made + 1 WHERE kind = 'click' AND id % 5 = 0 AND id % 3 <> 0`);
    await cluster.query(`DELETE FROM events WHERE id = 4 AND tenant > 30`);
    await cluster.query(`INSERT INTO visits SELECT tenant, made, kind, id, 100 + id FROM events WHERE id = 7`);
  };
  const { shardGroups } = await cluster.splitShardGroup(shardId, { into: 3, nodes: [from, to, to], onProgress: ({ state }) => void (state === 'index' && (changed ??= change())) });
  await changed;
  expect(changed).toBeDefined();
  const expected = await sums();
  const eventsOn = async (): Promise<number[]> => (await cluster.shards()).filter(({ table, shardGroupId }) => table === 'events_2024_clicks' && shardGroups.some((group) => group.shardGroupId === shardGroupId)).map(({ nodeId }) => nodeId);
  expect(await eventsOn()).toEqual([from, to, to]);
  expect((await cluster.checkSchema()).differences).toEqual([]);
  expect((await cluster.verify()).differences).toEqual([]);
  expect(await servers.remains()).toEqual([]);
  const parts = (await cluster.shards()).filter(({ table, shardGroupId }) => table === 'events' && shardGroups.slice(0, 2).some((group) => group.shardGroupId === shardGroupId));
  await cluster.mergeShardGroups(parts[0]?.shardId ?? 0, parts[1]?.shardId ?? 0);
  expect(await sums()).toEqual(expected);
  expect((await cluster.checkSchema()).differences).toEqual([]);
  expect((await cluster.verify()).differences).toEqual([]);
  expect(await servers.remains()).toEqual([]);
}, 120_000);
