import { afterAll, beforeAll, expect, test } from 'vitest';
import { type EmbeddedCluster, startEmbeddedCluster, volatileSettings } from '../../src/embedded.ts';
import { withServer } from '../../src/embedded/with-server.ts';
import type { ChangeStream } from '../../src/index.ts';
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

/** The standby has the feed's slot, and would keep it. Its worker rests for long when there is nothing to do, but for a signal. */
async function slotTakenOver(node: number): Promise<void> {
  const standby = embedded.servers(node).find((server) => server !== embedded.primaryOf(node)) ?? embedded.primaryOf(node);
  const text = `SELECT pg_reload_conf(), (SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'shardwright%' AND synced AND NOT temporary)`;
  await until(async () => withServer(standby, async (connection) => (await connection.query({ text })).rows[0]?.[1] === '1'));
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

test('a feed goes on over the failover of a node, without a gap and without an id that comes twice', async () => {
  await write(50);
  const reader = read();
  await expectEqual(reader);
  await slotTakenOver(0);
  await write(50);
  await embedded.failover(0);
  await write(50);
  await expectEqual(reader);
  expect(reader.mirror.repeated).toBe(0);
  expect(reader.mirror.cursor).toContain('@2');
  await reader.end();
  // Another reader, who stored the cursor of before.
  await expect(embedded.cluster.changes('events', { name: 'mirror', from: reader.mirror.cursor?.replaceAll('@2', '@7') ?? '' }).next()).rejects.toMatchObject({ id: 'feedLost' });
  await embedded.cluster.dropFeed('mirror');
}, 120_000);

test('a failover that has lost what the feed gave is told; the feed begins again with a snapshot', async () => {
  const reader = read();
  await write(50);
  await expectEqual(reader);
  await slotTakenOver(1);
  await cutReplication(embedded.primaryOf(1));
  await write(50);
  await expectEqual(reader);
  await embedded.failover(1);
  await until(() => reader.failures.length > 0);
  expect(reader.failures).toMatchObject([{ id: 'feedLost', message: expect.stringContaining('has lost changes that its change feed had given already') }]);
  expect(await embedded.cluster.feeds()).toMatchObject([{ name: 'mirror', state: 'lost' }]);
  await embedded.cluster.dropFeed('mirror');
  const again = read();
  await write(50);
  await expectEqual(again);
  await again.end();
}, 120_000);
