import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { nodeId } from '../../src/catalog/ids.ts';
import type { NodeConnections } from '../../src/cluster/node-connection.ts';
import { Cluster, type PreflightCheck } from '../../src/index.ts';
import { checkSource } from '../../src/move/preflight/check-source.ts';
import { sizeText } from '../../src/base/size-text.ts';
import { preflightReport } from '../../src/move/preflight/preflight-check.ts';
import { createTestDatabases, type TestDatabases } from '../support/test-databases.ts';

let databases: TestDatabases;
let cluster: Cluster;
let place: { readonly shardId: number; readonly from: number; readonly to: number; readonly shard: string };
beforeAll(async () => {
  databases = await createTestDatabases({ nodes: 2 });
  cluster = new Cluster({ connectionString: databases.coordinator.connectionString });
  for (const { host, port, database } of databases.nodes) await cluster.addNode({ host, port, database });
  await cluster.query(`
    CREATE TYPE mood AS ENUM ('sad'); CREATE DOMAIN moods AS mood[]; CREATE COLLATION bytes (provider = libc, locale = 'C');
    CREATE TABLE notes (k int PRIMARY KEY, m moods, t text COLLATE bytes)`);
  await cluster.createDistributedTable('notes', 'k', { shardCount: 1, colocateWith: 'none' });
  await cluster.query(`INSERT INTO notes SELECT g, '{sad}', repeat('x', 100) FROM generate_series(1, 1000) g`);
  const [shard] = await cluster.shards();
  place = { shardId: shard?.shardId ?? 0, from: shard?.nodeId ?? 0, to: 3 - (shard?.nodeId ?? 0), shard: shard?.name ?? '' };
}, 60_000);
afterAll(async () => {
  await cluster.end();
  await databases.drop();
}, 30_000);

async function on(node: number, text: string): Promise<void> {
  const client = await new Client(at(databases.nodes, node - 1).connectionString).connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

const objections = async (): Promise<Pick<PreflightCheck, 'check' | 'level' | 'message'>[]> => {
  const { checks } = await cluster.movePreflight(place.shardId, { to: place.to });
  return checks.filter(({ ok }) => !ok).map(({ check, level, message }) => ({ check, level, message }));
};

test('nothing is in the way: all checks say so, with what they found', async () => {
  const report = await cluster.movePreflight(place.shardId, { to: place.to });
  expect(report.ok).toBe(true);
  expect(report.checks.filter(({ ok }) => !ok)).toEqual([]);
  expect(new Set(report.checks.map(({ check }) => check))).toEqual(new Set([
    'placement', 'table_kind', 'foreign_code', 'wal_level', 'replication_slots', 'wal_senders', 'replication_role', 'standby', 'prepared_transactions', 'long_transactions', 'retained_wal', 'replica_identity',
    'name_free', 'create_right', 'server_version', 'extensions', 'types', 'collations', 'disk',
  ]));
  expect(report.bytes).toBeGreaterThan(100_000);
  expect(report.text).toMatch(/^the shard group can be moved: [\d.]+ kB, about 1 s\n {2}ok {6}placement: Rows go from/);
  expect((await cluster.movePreflight(place.shardId, { to: place.from })).checks.filter(({ ok }) => !ok)).toMatchObject([{ check: 'placement', level: 'error' }]);
  await expect(cluster.movePreflight(1, { to: place.to })).rejects.toMatchObject({ id: 'invalidParameter' });
});

test('splits, merges, isolations and drains say the same before they begin, and change nothing', async () => {
  await cluster.query('CREATE TABLE halves (k int PRIMARY KEY, v text)');
  await cluster.createDistributedTable('halves', 'k', { shardCount: 2, colocateWith: 'none' });
  const before = await cluster.shards();
  const [first, second] = before.filter(({ table }) => table === 'halves');
  const ids = [first?.shardId ?? 0, second?.shardId ?? 0] as const;
  const split = await cluster.splitPreflight(ids[0], { into: 2, nodes: [1, 2] });
  expect(split).toMatchObject({ ok: true, text: expect.stringMatching(/^the shard group can be split: .*\n {2}ok {6}placement: Rows go from .* to .* and /) as string });
  expect(new Set(split.checks.map(({ check }) => check))).toContain('collations');
  expect(await cluster.mergePreflight(ids[1], ids[0])).toMatchObject({ ok: true, text: expect.stringContaining('can be merged') as string });
  expect(await cluster.isolatePreflight('halves', 7, { to: 1 })).toMatchObject({ ok: true, text: expect.stringContaining('can be split') as string });
  // A shard group of its own: moved, or nothing to do.
  await cluster.isolateTenant('halves', 7, { to: 1 });
  expect(await cluster.isolatePreflight('halves', 7, { to: 1 })).toBeUndefined();
  expect(await cluster.isolatePreflight('halves', 7, { to: 2 })).toMatchObject({ text: expect.stringContaining('can be moved') as string });
  const groups = new Set((await cluster.shards()).filter(({ nodeId: node }) => node === 1).map(({ shardGroupId }) => shardGroupId));
  const drain = await cluster.drainPreflight(1);
  expect(new Set(drain.moves.map(({ shardGroupId }) => shardGroupId))).toEqual(groups);
  expect(drain).toMatchObject({ ok: true, text: expect.stringMatching(/^\d+ shard groups to move, 0 of them cannot be: .*\nshard group \d+, from node 1 to node 2: the shard group can be moved/) as string });
  expect(drain.bytes).toBe(drain.moves.reduce((sum, { report }) => sum + report.bytes, 0));
  await expect(cluster.splitPreflight(ids[0], {})).rejects.toMatchObject({ id: 'invalidParameter' });
  expect(await cluster.jobs()).toEqual([]);
  // What is in the way of one is in the way of the whole.
  await cluster.query('ALTER TABLE halves SET UNLOGGED');
  const unlogged = await cluster.drainPreflight(1);
  expect(unlogged).toMatchObject({ ok: false, text: expect.stringContaining('cannot be moved') as string });
  expect(unlogged.moves.filter(({ report }) => !report.ok).flatMap(({ report }) => report.checks.filter(({ ok }) => !ok).map(({ check }) => check))).toContain('table_kind');
  await cluster.query('DROP TABLE halves');
});

test.each([
  ['a type', 'to', 'ALTER TYPE mood RENAME TO mood2', 'ALTER TYPE mood2 RENAME TO mood', 'types', 'error', 'lacks type public.mood'],
  ['a collation', 'to', 'ALTER COLLATION bytes RENAME TO bits', 'ALTER COLLATION bits RENAME TO bytes', 'collations', 'error', 'lacks collation public.bytes'],
  ['the same version of an extension', 'to', `UPDATE pg_extension SET extversion = '0.9'`, `UPDATE pg_extension SET extversion = '1.0'`, 'extensions', 'warning', 'has version 1.0 on the source and 0.9 on node'],
  ['an extension', 'to', `UPDATE pg_extension SET extname = 'other'`, `UPDATE pg_extension SET extname = 'plpgsql'`, 'extensions', 'error', 'lacks extension plpgsql'],
  ['a free name', 'to', 'CREATE TABLE $s (x int)', 'DROP TABLE $s', 'name_free', 'error', 'exists on node'],
  ['a key', 'from', 'ALTER TABLE $s REPLICA IDENTITY FULL', 'ALTER TABLE $s REPLICA IDENTITY DEFAULT', 'replica_identity', 'warning', 'told apart by all their columns'],
] as const)('the lack of %s is told', async (_, where, plant, undo, check, level, message) => {
  // The extension that there always is shall be needed.
  if (check === 'extensions') await on(place.from, 'ALTER EXTENSION plpgsql ADD TYPE mood');
  await on(place[where], plant.replace('$s', place.shard));
  const found = await objections();
  await on(place[where], undo.replace('$s', place.shard));
  if (check === 'extensions') await on(place.from, 'ALTER EXTENSION plpgsql DROP TYPE mood');
  expect(found).toEqual([{ check, level, message: expect.stringContaining(message) as string }]);
  expect(await objections()).toEqual([]);
});

describe('what the source says of itself', () => {
  /** As the query of the source gives it, a good one. */
  const good = ['logical', '5', '5', 't', 'me', 'f', null, null, '-1'];
  const source = (row: (string | null)[]): NodeConnections => ({
    name: 'n', node: nodeId(1),
    query: ({ text }: { text: string }) => Promise.resolve({ rows: text.includes('wal_level') ? [row] : text.includes('pg_table_size') ? [['1000', '500']] : [] }),
  }) as unknown as NodeConnections;

  test.each([
    [0, 'replica', 'wal_level', 'error'], [1, '0', 'replication_slots', 'error'], [2, '0', 'wal_senders', 'error'], [3, 'f', 'replication_role', 'error'], [5, 't', 'standby', 'error'],
    [6, `'x'`, 'prepared_transactions', 'error'], [7, '12', 'long_transactions', 'warning'], [8, '1200', 'retained_wal', 'warning'],
  ] as const)('value %i as %s: %s, %s', async (position, value, check, level) => {
    const { checks, bytes } = await checkSource(source(good.with(position, value)), [], {});
    expect(checks.filter(({ ok }) => !ok)).toMatchObject([{ check, level }]);
    expect(bytes).toBe(1500);
    const report = preflightReport(checks, bytes);
    expect(report.ok).toBe(level === 'warning');
    expect(report.text).toContain(`${level.padEnd(8)}${check} (n)`);
  });
});

test('sizes for people', () => {
  expect([0, 1023, 1024, 1536 * 1024, 5.25 * 1024 ** 4].map(sizeText)).toEqual(['0 bytes', '1023 bytes', '1.00 kB', '1.50 MB', '5.25 TB']);
});
