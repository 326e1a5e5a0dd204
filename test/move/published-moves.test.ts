import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { type PostgresServer, startPostgres, volatileSettings } from '../../src/embedded.ts';
import { until } from '../cluster/connections.ts';
import { type MoveCluster, startMoveCluster } from './move-cluster.ts';
import { type PublishedChange, publishedChanges } from './published-changes.ts';
import { startLoad } from './writing-load.ts';

let servers: MoveCluster;
let spare: PostgresServer;

beforeAll(async () => {
  servers = await startMoveCluster();
  spare = await startPostgres({ settings: volatileSettings });
  await servers.cluster.query('ALTER TABLE items REPLICA IDENTITY FULL; CREATE INDEX ON orders (id); CREATE INDEX ON items (tenant, id)');
  await servers.cluster.query(`INSERT INTO orders SELECT t, t * 1000 + i, i, 'early', 'pro' FROM generate_series(1, 16) t, generate_series(1, 20) i`);
  await servers.cluster.query('CREATE PUBLICATION p FOR TABLE orders, items, plans');
}, 120_000);

afterAll(async () => {
  await servers[Symbol.asyncDispose]();
  await spare.stop('immediate');
});

const makeSlot = `SELECT pg_create_logical_replication_slot('reader', 'pgoutput')`;

async function onFourth(text: string): Promise<unknown[][]> {
  const client = await new Client(spare.connectionString).connect();
  try {
    return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows;
  } finally {
    await client.end();
  }
}

/** Looks again and again for shards that are published where nobody looks for them: not yet, or no longer, in their place. */
function watchHidden(nodes: readonly number[]): { readonly stop: () => Promise<string[]> } {
  const query = `SELECT DISTINCT relnamespace::regnamespace || '.' || relname FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid AND pubname = 'p' JOIN pg_class c ON c.oid = prrelid WHERE relnamespace::regnamespace::text ~ '^shardwright'`;
  const found = new Set<string>();
  const over = new AbortController();
  const running = Promise.all(nodes.map(async (node) => {
    const client = await new Client(at(servers.embedded.nodes, node - 1).connectionString).connect();
    while (!over.signal.aborted) for (const [name] of (await client.query<unknown[]>({ text: query, rowMode: 'array' })).rows) found.add(String(name));
    await client.end();
  }));
  return { stop: async () => {
    over.abort();
    await running;
    return [...found];
  } };
}

/** How often each line was published. */
function counted(changes: readonly PublishedChange[], { table, kind }: Pick<PublishedChange, 'table' | 'kind'>, keys: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const change of changes) {
    if (change.table !== table || change.kind !== kind) continue;
    const line = keys.map((key) => change.row[key]).join('/');
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  return counts;
}

test('through moves, splits, isolations, merges and nodes that come and go, each change is published once and no copy is', async () => {
  const { cluster } = servers;
  const other = servers.another({ recoveryIntervalMs: 0 });
  for (const node of [1, 2, 3]) await servers.on(node, makeSlot);
  const load = startLoad([cluster, other], { tenants: 16, writers: 6, from: 1e9 });
  const watched = watchHidden([1, 2, 3]);
  await cluster.query(`INSERT INTO plans VALUES ('one')`);
  const first = at((await cluster.shards()).filter(({ table }) => table === 'orders'), 0);
  const elsewhere = [1, 2, 3].find((id) => id !== first.nodeId) ?? 0;
  await cluster.moveShardGroup(first.shardId, { to: elsewhere });
  const { id: fourth } = await cluster.addNode(spare.connectionString);
  await onFourth(makeSlot);
  await cluster.query(`INSERT INTO plans VALUES ('two')`);
  await cluster.moveShardGroup(first.shardId, { to: fourth });
  const split = await cluster.splitShardGroup(first.shardId, { into: 3, nodes: [fourth, 1, 2] });
  await cluster.isolateTenant('orders', 3, { to: fourth });
  const parts = (await cluster.shards()).filter((one) => one.table === 'orders' && split.shardGroups.some(({ shardGroupId }) => shardGroupId === one.shardGroupId));
  await cluster.mergeShardGroups(at(parts, 0).shardId, at(parts, 1).shardId, { to: 3 });
  await cluster.moveShardGroup(at(parts, 2).shardId, { to: 1 });
  // Reference tables are published by the first node, and then by the next one.
  await cluster.drainNode(1);
  await cluster.removeNode(1);
  await cluster.query(`INSERT INTO plans VALUES ('three'); UPDATE plans SET code = 'four' WHERE code = 'three'`);
  const expected = await load.stop();
  expect(await watched.stop()).toEqual([]);
  expect(load.failures).toEqual([]);
  expect((await cluster.checkSchema()).differences).toEqual([]);

  const read = `SELECT encode(data, 'hex') FROM pg_logical_slot_get_binary_changes('reader', NULL, NULL, 'proto_version', '1', 'publication_names', 'p')`;
  const streams = [...(await Promise.all([1, 2, 3].map((node) => servers.on(node, read)))), await onFourth(read)];
  const changes = streams.flatMap((rows) => publishedChanges(rows.map(([page]) => String(page))));
  for (const stream of streams) expect(stream.length).toBeGreaterThan(0);

  const inserted = counted(changes, { table: 'orders', kind: 'insert' }, ['tenant', 'id']);
  const deleted = counted(changes, { table: 'orders', kind: 'delete' }, ['tenant', 'id']);
  expect([...inserted.values(), ...deleted.values()].filter((count) => count !== 1)).toEqual([]);
  const totals = new Map([...inserted.keys()].filter((key) => !deleted.has(key)).map((key) => [key, 0]));
  for (const { table, kind, row } of changes) {
    const key = `${row['tenant']}/${row['id']}`;
    if (table === 'orders' && kind === 'update' && totals.has(key)) totals.set(key, Math.max(totals.get(key) ?? 0, Number(row['total'])));
  }
  expect([...totals].map(([key, total]) => `${key}: ${total}`).sort()).toEqual(expected);
  // Two rows for each order, which went with it.
  const items = counted(changes, { table: 'items', kind: 'insert' }, ['tenant', 'id']);
  expect([...items.values()].filter((count) => count !== 2)).toEqual([]);
  expect([...counted(changes, { table: 'items', kind: 'delete' }, ['tenant', 'id'])].filter(([key, count]) => count !== 2 || !deleted.has(key))).toEqual([]);
  expect(items.size - deleted.size).toBe(expected.length);
  expect(changes.filter(({ table }) => table === 'plans').map(({ kind, row }) => `${kind} ${row['code']}`).sort()).toEqual(['insert one', 'insert three', 'insert two', 'update four']);
}, 240_000);

test('a published table that is distributed while it is in use is published by its shards', async () => {
  const { cluster } = servers;
  await cluster.query('CREATE TABLE notes (tenant bigint PRIMARY KEY, body text); INSERT INTO notes SELECT g, g FROM generate_series(1, 50) g; CREATE PUBLICATION of_notes FOR TABLE notes WHERE (tenant > 3)');
  await cluster.createDistributedTable('notes', 'tenant', { online: true, shardCount: 4 });
  const shards = (await cluster.shards()).filter(({ table }) => table === 'notes');
  const published = `SELECT tablename || rowfilter FROM pg_publication_tables WHERE pubname = 'of_notes'`;
  const found = [...(await Promise.all([2, 3].map((node) => servers.on(node, published)))), await onFourth(published)].flat(2).map(String);
  expect(found.sort()).toEqual(shards.map(({ name }) => `${name}(tenant > 3)`).sort());
  expect((await cluster.checkSchema()).differences).toEqual([]);
});

test('a PostgreSQL that subscribes to all nodes has the rows of the shards, and follows a move', async () => {
  await using subscriber = await startPostgres({ settings: { ...volatileSettings, max_logical_replication_workers: '16', max_worker_processes: '24', wal_retrieve_retry_interval: '100ms' } });
  await using own = await startMoveCluster({ nodes: 2 });
  const { cluster, embedded } = own;
  const there = await new Client(subscriber.connectionString).connect();
  try {
    await cluster.query(`INSERT INTO orders SELECT t, t, 0, 'early', 'pro' FROM generate_series(1, 16) t; CREATE PUBLICATION p FOR TABLE orders (tenant, id, total), plans`);
    await there.query('CREATE TABLE orders (tenant bigint, id bigint, total int, PRIMARY KEY (tenant, id)); CREATE TABLE plans (code text PRIMARY KEY)');
    const shards = (await cluster.shards()).filter(({ table, nodeId }) => table === 'orders' || (table === 'plans' && nodeId === 1));
    for (const { name, table } of shards) await there.query(`CREATE TABLE ${name} (LIKE ${table} INCLUDING ALL)`);
    for (const [i, node] of embedded.nodes.entries()) await there.query(`CREATE SUBSCRIPTION s${i + 1} CONNECTION '${node.connectionString}' PUBLICATION p`);
    const all = shards.filter(({ table }) => table === 'orders').map(({ name }) => `SELECT * FROM ${name}`).join(' UNION ALL ');
    const lines = (rows: readonly { readonly line: string }[]): string[] => rows.map(({ line }) => line).sort();
    const line = `tenant || '/' || id || ': ' || total AS line`;
    const expectSame = async (): Promise<void> => {
      const wanted = lines((await cluster.query<{ line: string }>(`SELECT ${line} FROM orders`)).rows);
      await until(async () => JSON.stringify(lines((await there.query<{ line: string }>(`SELECT ${line} FROM (${all}) t`)).rows)) === JSON.stringify(wanted));
      await until(async () => (await there.query(`SELECT FROM ${shards.find(({ table }) => table === 'plans')?.name ?? ''}`)).rowCount === (await cluster.query('SELECT code FROM plans')).rowCount);
    };
    await expectSame();
    await cluster.query(`INSERT INTO orders SELECT t, 100 + t, 1 FROM generate_series(1, 16) t; UPDATE orders SET total = total + 1; DELETE FROM orders WHERE tenant = 5; INSERT INTO plans VALUES ('more')`);
    await expectSame();

    const { shardId, name, from, to } = await own.place('orders');
    await cluster.moveShardGroup(shardId, { to });
    await cluster.query('UPDATE orders SET total = total + 10');
    // As the docs say: the old source is let go first, so that nothing of it comes later.
    await there.query(`ALTER SUBSCRIPTION s${from} REFRESH PUBLICATION`);
    await there.query(`TRUNCATE ${name}`);
    await there.query(`ALTER SUBSCRIPTION s${to} REFRESH PUBLICATION`);
    await cluster.query('UPDATE orders SET total = total + 100; INSERT INTO orders SELECT t, 200 + t, 1 FROM generate_series(1, 16) t');
    await expectSame();
  } finally {
    for (const { subname } of (await there.query<{ subname: string }>('SELECT subname FROM pg_subscription')).rows) await there.query(`DROP SUBSCRIPTION ${subname}`);
    await there.end();
  }
}, 120_000);
