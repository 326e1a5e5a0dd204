import { afterAll, beforeAll, expect, test } from 'vitest';
import { present } from '../../src/base/assert.ts';
import { type EmbeddedCluster, type PostgresServer, startEmbeddedCluster, volatileSettings } from '../../src/embedded.ts';
import { withServer } from '../../src/embedded/with-server.ts';
import { type ChangeStream, Cluster, type LostLog } from '../../src/index.ts';
import { until } from '../cluster/connections.ts';
import { lineOf, StrictMirror } from '../feed/strict-mirror.ts';
import { cutReplication } from './cut-replication.ts';

let embedded: EmbeddedCluster;
let written = 0;

beforeAll(async () => {
  embedded = await startEmbeddedCluster({ nodes: 2, replicas: 1, settings: volatileSettings, cluster: { recoveryIntervalMs: 500, failoverTimeoutMs: 30_000 } });
  await embedded.cluster.query('CREATE TABLE events (tenant bigint, id bigint, PRIMARY KEY (tenant, id))');
  await embedded.cluster.createDistributedTable('events', 'tenant', { shardCount: 4 });
}, 120_000);

afterAll(() => embedded.stop());

async function write(rows: number): Promise<void> {
  for (let i = 0; i < rows; i += 1) {
    written += 1;
    await embedded.cluster.query('INSERT INTO events VALUES ($1, $2)', [written % 16, written]);
  }
}

function standbyOf(which: number | 'coordinator'): PostgresServer {
  return present(embedded.servers(which).find((server) => server !== embedded.primaryOf(which)));
}

/** The standby has the feed's slot, and would keep it. Its worker rests for long when there is nothing to do, but for a signal. */
async function slotTakenOver(node: number): Promise<void> {
  const standby = standbyOf(node);
  const text = `SELECT pg_reload_conf(), (SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'shardwright%' AND synced AND NOT temporary)`;
  await until(async () => withServer(standby, async (connection) => (await connection.query({ text })).rows[0]?.[1] === '1'));
}

/** Of rows on both nodes; one or the other decides. */
async function writeOnBoth(transactions: number, cluster = embedded.cluster): Promise<void> {
  const placed = await Promise.all(Array.from({ length: 16 }, async (_, tenant) => ({ tenant, node: (await cluster.shardOf('events', tenant)).nodeId })));
  const [one, other] = (await cluster.nodes()).map(({ id }) => present(placed.find(({ node }) => node === id)).tenant);
  for (let i = 0; i < transactions; i += 1) {
    await cluster.transaction(async (client) => {
      for (const tenant of i % 2 === 0 ? [one, other] : [other, one]) {
        written += 1;
        await client.query('INSERT INTO events VALUES ($1, $2)', [tenant, written]);
      }
    });
  }
}

function read(): { readonly mirror: StrictMirror; readonly failures: unknown[]; readonly end: () => Promise<void> } {
  const mirror = new StrictMirror();
  const failures: unknown[] = [];
  const changes: ChangeStream = embedded.cluster.changes('events', { name: 'mirror', snapshot: true });
  const reading = (async () => {
    for await (const change of changes) {
      mirror.apply(change);
      if (change.cursor !== undefined) changes.confirm(change.cursor);
    }
  })().catch((error: unknown) => failures.push(error));
  return { mirror, failures, end: async () => void (await changes.return(), await reading) };
}

async function expectEqual({ mirror, failures }: Pick<ReturnType<typeof read>, 'mirror' | 'failures'>): Promise<void> {
  const there = (await embedded.cluster.query<Record<string, unknown>>('SELECT * FROM events')).rows.map(lineOf).toSorted();
  await until(() => failures.length > 0 || mirror.lines('events').length >= there.length);
  expect(failures).toEqual([]);
  expect(mirror.lines('events')).toEqual(there);
}

async function lostOn(node: number, cluster = embedded.cluster): Promise<readonly LostLog[]> {
  return (await cluster.recover()).lost.filter((loss) => loss.node === node);
}

/** In the coordinator database, behind the library's back. */
async function onCoordinator(text: string, server = embedded.primaryOf('coordinator')): Promise<readonly unknown[]> {
  return withServer(server, async (connection) => (await connection.query({ text })).rows);
}

test('a feed goes on over the failover of a node, without a gap and without an id that comes twice', async () => {
  await write(50);
  const reader = read();
  await expectEqual(reader);
  await slotTakenOver(0);
  await write(50);
  await writeOnBoth(4);
  // What it gives, the standby has.
  await expectEqual(reader);
  await embedded.failover(0);
  await write(50);
  await expectEqual(reader);
  expect((await embedded.cluster.recover()).lost.flatMap(({ commits }) => commits)).toEqual([]);
  expect(reader.mirror.repeated).toBe(0);
  expect(reader.mirror.cursor).toContain('@2');
  await reader.end();
  // Another reader, who stored the cursor of before.
  await expect(embedded.cluster.changes('events', { name: 'mirror', from: reader.mirror.cursor?.replaceAll('@2', '@7') ?? '' }).next()).rejects.toMatchObject({ id: 'feedLost' });
  await embedded.cluster.dropFeed('mirror');
}, 120_000);

test('a failover that has lost what was committed is told, to every process: which transactions are there on one node alone; and to the feed that gave them, which begins again with a snapshot', async () => {
  const reader = read();
  await write(50);
  await expectEqual(reader);
  await slotTakenOver(1);
  await writeOnBoth(4);
  const other = new Cluster({ connectionString: embedded.connectionString, recoveryIntervalMs: 0, failoverTimeoutMs: 30_000 });
  await writeOnBoth(2, other);
  await cutReplication(embedded.primaryOf(1));
  await write(50);
  await writeOnBoth(4);
  await writeOnBoth(2, other);
  await expectEqual(reader);
  const [kept = 0, lossy = 0] = (await embedded.cluster.nodes()).map(({ id }) => id);
  await embedded.failover(1);
  await until(() => reader.failures.length > 0);
  expect(reader.failures).toMatchObject([{ id: 'feedLost', message: expect.stringContaining('has lost changes that its change feed had given already') }]);
  // It has seen the failover and is gone: what it has lost is written down, and by nobody else.
  await other.query('SELECT count(*) FROM events');
  await other.end();
  const [loss, ...others] = await lostOn(lossy);
  expect(loss).toMatchObject({ timeline: 2, commits: Array.from({ length: 6 }, () => ({ keptOn: [kept] })), foundAt: expect.any(Date) });
  expect(loss?.bytes).toBeGreaterThan(0);
  expect(others).toEqual([]);
  // Told once, however often it is asked for, and to one that was not there.
  const fresh = new Cluster({ connectionString: embedded.connectionString, recoveryIntervalMs: 0 });
  try {
    expect(await lostOn(lossy, fresh)).toEqual([loss]);
    expect(await lostOn(lossy, fresh)).toEqual([loss]);
    expect(await lostOn(lossy)).toEqual([loss]);
  } finally {
    await fresh.end();
  }
  expect((await embedded.cluster.query('SELECT count(*)::int FROM events WHERE id > $1', [written - 12])).rows).toEqual([{ count: 6 }]);
  expect(await embedded.cluster.feeds()).toMatchObject([{ name: 'mirror', state: 'lost' }]);
  await embedded.cluster.dropFeed('mirror');
  const again = read();
  await write(50);
  await expectEqual(again);
  await again.end();
}, 120_000);

test('what the coordinator database does not tell, or has lost, each process tells of itself', async () => {
  const [, lossy = 0] = (await embedded.cluster.nodes()).map(({ id }) => id);
  const [stored] = await lostOn(lossy);
  await onCoordinator('ALTER TABLE shardwright.lost_log RENAME COLUMN found_at TO hidden');
  const report = await embedded.cluster.recover();
  expect(report.left).toMatchObject([{ node: 0, reason: { code: '42703' } }]);
  expect(report.lost).toMatchObject([{ node: lossy, timeline: 2, keptUpTo: stored?.keptUpTo }]);
  expect(report.lost[0]?.commits).toHaveLength(4);
  expect(stored?.commits).toEqual(expect.arrayContaining([...report.lost[0]?.commits ?? []]));
  await onCoordinator('ALTER TABLE shardwright.lost_log RENAME COLUMN hidden TO found_at');
  expect(await lostOn(lossy)).toEqual([stored]);
  await onCoordinator('DELETE FROM shardwright.lost_log');
  expect(await lostOn(lossy)).toEqual([]);
  await until(async () => (await onCoordinator('SELECT FROM shardwright.lost_commit', standbyOf('coordinator'))).length === 0);
  await embedded.failover('coordinator');
  // Without being asked.
  await until(async () => (await onCoordinator('SELECT FROM shardwright.lost_commit')).length === 4);
  expect(await lostOn(lossy)).toEqual([{ ...report.lost[0], foundAt: expect.any(Date), commits: expect.arrayContaining([...report.lost[0]?.commits ?? []]) }]);
}, 120_000);
