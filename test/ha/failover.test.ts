import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { at, present } from '../../src/base/assert.ts';
import { type EmbeddedCluster, startEmbeddedCluster, volatileSettings } from '../../src/embedded.ts';
import { Cluster, type MoveEvent } from '../../src/index.ts';
import { until } from '../cluster/connections.ts';
import { startFakePatroni } from './fake-patroni.ts';
import { Ledger } from './ledger.ts';

let embedded: EmbeddedCluster;
let ledger: Ledger;

beforeAll(async () => {
  embedded = await startEmbeddedCluster({ nodes: 2, replicas: 1, synchronous: true, settings: volatileSettings, cluster: { recoveryIntervalMs: 500, failoverTimeoutMs: 30_000 } });
  ledger = await Ledger.create(embedded.cluster);
});

afterAll(() => embedded.stop());

/** Resolves when the count has not grown for a while. */
async function untilStill(count: () => number): Promise<void> {
  for (let before = -1; before !== count(); await delay(100)) before = count();
}

async function acknowledgedMore(rows: number): Promise<void> {
  const target = ledger.acknowledged + rows;
  await until(() => ledger.acknowledged >= target);
}

test.each([0, 'coordinator', 1] as const)('the primary of %s is killed under load: nothing acknowledged is lost, nothing is done twice, writes go on', async (which) => {
  ledger = new Ledger(embedded.cluster);
  await embedded.cluster.query('TRUNCATE ledger');
  ledger.start(8);
  await acknowledgedMore(200);
  await embedded.failover(which);
  await acknowledgedMore(200);
  await embedded.rejoin(which);
  await acknowledgedMore(100);
  await ledger.stop();
  // Only what was being written in that moment may fail.
  for (const tally of [ledger.singles, ledger.transactions]) expect([...tally.failed.keys()].filter((code) => !['08007', '40001'].includes(code))).toEqual([]);
  await until(async () => (await embedded.cluster.recover()).left.length === 0 && (await embedded.cluster.transactions()).length === 0);
  expect(await ledger.objections()).toEqual([]);
  expect(await embedded.cluster.query('SELECT count(*) FROM ledger')).toMatchObject({ rows: [{}] });
  expect(at(embedded.servers(which), 1)).toBe(embedded.primaryOf(which));
});

test.each([0, 'coordinator'] as const)('switchovers of %s and back, the second one by Patroni: no statement outside of a transaction fails, in no process', async (which) => {
  const { cluster } = embedded;
  await cluster.query('TRUNCATE ledger');
  await cluster.query('CREATE TABLE IF NOT EXISTS notes (a int)');
  ledger = new Ledger(cluster);
  ledger.start(6);
  const over = new AbortController();
  let reads = 0;
  const statements = ['SELECT count(*) FROM ledger', 'SELECT tenant % 7, count(*), avg(entry) FROM ledger GROUP BY 1', 'UPDATE ledger SET tenant = tenant WHERE entry < 0', 'INSERT INTO notes VALUES (1)', 'SELECT count(*) FROM notes'];
  const reading = Promise.all(statements.map(async (text) => {
    for (; !over.signal.aborted; reads += 1) await cluster.query(text);
  }));
  const node = which === 'coordinator' ? which : at(await cluster.nodes(), which).id;
  // Another process, which is only told.
  const other = new Cluster({ connectionString: embedded.connectionString, failoverTimeoutMs: 30_000 });
  const table = `remarks_${which}`;
  await cluster.query(`CREATE TABLE ${table} (a bigint)`);
  if (which !== 'coordinator') await cluster.createDistributedTable(table, 'a', { shardCount: 4 });
  const onNode = async (a: number): Promise<number> => (which === 'coordinator' || (await cluster.shardOf(table, a)).nodeId === node ? a : onNode(a + 1));
  const value = await onNode(1);
  let remarks = 0;
  const remarking = (async () => {
    for (; !over.signal.aborted; remarks += 1) await other.query(`INSERT INTO ${table} VALUES ($1)`, [value]);
  })();
  await until(() => remarks > 10);
  const promote = async (): Promise<void> => {
    await untilStill(() => remarks);
    await embedded.switchover(which);
  };
  await using patroni = await startFakePatroni({ servers: embedded.servers(which), isLeader: (server) => server === embedded.primaryOf(which), promote });
  const [first, second] = embedded.primaryOf(which) === embedded.servers(which)[0] ? ['member-0', 'member-1'] : ['member-1', 'member-0'];
  for (const how of [{ promote }, { patroni: patroni.url, to: first }]) {
    await acknowledgedMore(100);
    const { port } = await cluster.switchover(node, how);
    expect(port).toBe(embedded.primaryOf(which).port);
    const before = remarks;
    await until(() => remarks > before + 10);
  }
  expect(patroni.asked).toEqual([{ leader: second, candidate: first }]);
  await acknowledgedMore(100);
  over.abort();
  await Promise.all([reading, remarking]);
  await other.end();
  await ledger.stop();
  expect(reads).toBeGreaterThan(20);
  expect(ledger.singles.failed).toEqual(new Map());
  expect([...ledger.transactions.failed.keys()].filter((code) => code !== '40001')).toEqual([]);
  expect(await ledger.objections()).toEqual([]);
});

test('a switchover that does not come about leaves the node as it was', async () => {
  const { cluster } = embedded;
  const [node] = await cluster.nodes();
  const failing = cluster.switchover(at([node], 0)?.id ?? 0, { promote: () => Promise.reject(new Error('no replica is fit')) });
  await expect(failing).rejects.toMatchObject({ id: 'switchoverFailed', detail: 'no replica is fit.' });
  const which = at([node], 0)?.id ?? 0;
  await using patroni = await startFakePatroni({ servers: embedded.servers(0), isLeader: (server) => server === embedded.primaryOf(0), promote: () => Promise.reject(new Error('candidate is not synchronous')) });
  await expect(cluster.switchover(which, { patroni: patroni.url })).rejects.toMatchObject({ id: 'switchoverFailed', detail: 'Patroni did not switch over: It answered 412: candidate is not synchronous.' });
  await expect(cluster.switchover(which, { patroni: patroni.url, to: 'nobody' })).rejects.toMatchObject({ id: 'switchoverFailed', detail: expect.stringContaining('has no member nobody: It has member-') });
  await expect(cluster.switchover(which)).rejects.toMatchObject({ id: 'invalidParameter' });
  await cluster.query('SELECT count(*) FROM ledger');
});

test('health tells of each server what it is and how far behind', async () => {
  const health = await embedded.cluster.health();
  expect(health.map(({ node, port, role, state }) => ({ node, port, role, state }))).toEqual(
    (['coordinator', 0, 1] as const).flatMap((which, node) =>
      embedded.servers(which).map((server) => {
        const role = server === embedded.primaryOf(which) ? 'primary' : 'replica';
        return { node, port: server.port, role, state: role };
      })),
  );
  for (const { timeline, lagBytes, latencyMs, role } of health) {
    expect(timeline).toBeGreaterThan(1);
    expect(latencyMs).toBeGreaterThan(0);
    expect(lagBytes === undefined).toBe(role === 'primary');
  }
});

interface Case {
  readonly what: string;
  readonly which: 0 | 1 | 'coordinator';
  readonly work: (limits: { readonly maxBytesPerSecond: number; readonly onProgress: (event: MoveEvent) => void }) => Promise<unknown>;
}

const cases: readonly Case[] = [
  { what: 'move', which: 0, work: async (limits) => embedded.cluster.moveShardGroup((await groupOn(0)).shardId, { to: at(await embedded.cluster.nodes(), 1).id, ...limits }) },
  { what: 'split', which: 1, work: async (limits) => embedded.cluster.splitShardGroup((await groupOn(0)).shardId, { into: 2, nodes: (await embedded.cluster.nodes()).map(({ id }) => id), ...limits }) },
  { what: 'distribution', which: 'coordinator', work: (limits) => embedded.cluster.createDistributedTable('later', 'tenant', { online: true, shardCount: 2, colocateWith: 'none', ...limits }) },
];

async function groupOn(place: number): Promise<{ readonly shardId: number }> {
  const node = at(await embedded.cluster.nodes(), place).id;
  return present((await embedded.cluster.shards()).find((shard) => shard.table === 'ledger' && shard.nodeId === node), 'shard');
}

test.each(cases)('$what: goes on by itself when the primary of $which is killed while it copies', async ({ which, work }) => {
  const { cluster } = embedded;
  await cluster.query('CREATE TABLE IF NOT EXISTS later AS SELECT t % 50 AS tenant, t AS entry FROM generate_series(1, 20000) t');
  await cluster.query('TRUNCATE ledger');
  await cluster.query('INSERT INTO ledger SELECT t % 50, 1000000000 + t FROM generate_series(1, 20000) t');
  ledger = new Ledger(cluster);
  ledger.start(2);
  let last: MoveEvent | undefined;
  let failing: Promise<void> | undefined;
  await work({
    // Of changes as well: with less, writers keep the copy behind.
    maxBytesPerSecond: 150_000,
    onProgress: (event) => {
      last = event;
      // A server that goes before anything was read of it is none that the copy is of.
      if (event.state === 'copy' && (event.bytesCopied ?? 0) > 0) failing ??= embedded.failover(which);
    },
  });
  await failing;
  await ledger.stop();
  expect(last?.state).toBe('done');
  await until(async () => (await cluster.recover()).left.length === 0 && (await cluster.transactions()).length === 0);
  expect(await ledger.objections()).toEqual([]);
  expect((await cluster.query('SELECT count(*)::int, sum(entry)::int8 FROM later')).rows).toEqual([{ count: 20000, sum: '200010000' }]);
  expect((await cluster.query('SELECT count(*)::int FROM ledger WHERE entry > 1000000000')).rows).toEqual([{ count: 20000 }]);
  expect((await cluster.verify()).differences).toEqual([]);
}, 120_000);
