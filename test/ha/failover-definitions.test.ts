import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { at, present } from '../../src/base/assert.ts';
import { sqlStateOf } from '../../src/base/errors.ts';
import { type EmbeddedCluster, startEmbeddedCluster, volatileSettings } from '../../src/embedded.ts';
import { until } from '../cluster/connections.ts';
import { ask, isGone, receivingStopped, waits } from './stopped-receiver.ts';

let embedded: EmbeddedCluster;

beforeAll(async () => {
  embedded = await startEmbeddedCluster({ nodes: 2, replicas: 1, synchronous: true, settings: volatileSettings, cluster: { recoveryIntervalMs: 500, failoverTimeoutMs: 30_000, ddlLockTimeoutMs: 60_000 } });
  await embedded.cluster.query('CREATE TABLE t (k bigint, a int)');
  await embedded.cluster.createDistributedTable('t', 'k', { shardCount: 4 });
  await embedded.cluster.query('INSERT INTO t SELECT g, g FROM generate_series(1, 100) g');
}, 120_000);

afterAll(() => embedded.stop());

afterEach(async () => {
  for (const which of ['coordinator', 0] as const) await embedded.rejoin(which);
});

const changes = [
  { sql: 'CREATE INDEX t_a ON t (a)', undo: 'DROP INDEX t_a', there: `SELECT to_regclass('t_a') IS NOT NULL AS is` },
  { sql: 'ALTER TABLE t ADD COLUMN b int DEFAULT 7, ALTER a TYPE bigint', undo: 'ALTER TABLE t DROP b, ALTER a TYPE int', there: `SELECT count(*) = 1 AS is FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'b' AND NOT attisdropped` },
] as const;

type Change = (typeof changes)[number];

const cases = changes.flatMap((change) => (['coordinator', 0] as const).map((which) => ({ ...change, which, place: which === 0 ? 'a node' : 'the coordinator database' })));

test.each(cases)('$sql: the primary of $place is killed while it runs: it is begun again by itself', async ({ which, ...change }) => {
  const reader = await readerOfShard(1);
  const changing = outcomeOf(change);
  await until(() => waits(embedded.primaryOf(1), 'Lock'));
  await embedded.failover(which);
  await reader.end();
  expect(await changing).toBeUndefined();
  await settled();
  expect(await isThere(change)).toBe(true);
  await embedded.cluster.query(change.undo);
});

test('in a transaction block it fails with the block, and has not happened anywhere', async () => {
  const [, change] = changes;
  const reader = await readerOfShard(1);
  const changing = embedded.cluster.transaction(async (client) => {
    await client.query('UPDATE t SET a = a + 1000');
    await client.query(change.sql);
  }, { retries: 0 }).catch((error: unknown) => error);
  await until(() => waits(embedded.primaryOf(1), 'Lock'));
  await embedded.failover(0);
  await reader.end();
  expect(await changing).toMatchObject({ id: 'transactionLost', code: '40001' });
  expect((await embedded.cluster.query('SELECT count(*)::int FROM t WHERE a > 1000')).rows).toEqual([{ count: 0 }]);
  await settled();
  expect(await isThere(change)).toBe(false);
});

const commits = cases.filter(({ sql }) => sql.startsWith('ALTER')).flatMap((one) => [true, false].map((has) => ({ ...one, has, what: has ? 'all' : 'nothing' })));

test.each(commits)('the primary of $place is killed in the commit, of which its replica has $what: the change is everywhere or nowhere, as the caller was told', async ({ which, has, ...change }) => {
  const primary = embedded.primaryOf(which);
  const replica = present(embedded.servers(which).find((server) => server !== primary));
  const receiver = await receivingStopped(replica);
  const changing = outcomeOf(change);
  await until(() => waits(primary, 'SyncRep'));
  primary.kill();
  await until(() => isGone(primary));
  receiver.goOn(has ? 'to the end' : 'ended');
  await until(() => receiver.isGone());
  await embedded.failover(which);
  const outcome = await changing;
  await settled();
  const happened = await isThere(change);
  // Known or not, but never told otherwise than it is; what was undone is begun again.
  if (sqlStateOf(outcome) !== '08007') expect([outcome, happened]).toEqual([undefined, true]);
  if (!happened) await embedded.cluster.query(change.sql);
  await embedded.cluster.query(change.undo);
});

/** What the change failed with; undefined when it was acknowledged. */
function outcomeOf({ sql }: Change): Promise<unknown> {
  return embedded.cluster.query(sql).then(() => undefined, (error: unknown) => error);
}

async function isThere({ there }: Change): Promise<boolean> {
  return at((await embedded.cluster.query<{ is: boolean }>(there)).rows, 0).is;
}

/** Nothing is left of a transaction, shards are as their shell, and can be read and written. */
async function settled(): Promise<void> {
  const { cluster } = embedded;
  await until(async () => (await cluster.recover()).left.length === 0 && (await cluster.transactions()).length === 0);
  for (const which of ['coordinator', 0, 1] as const) expect(await ask(embedded.primaryOf(which), 'SELECT count(*) FROM pg_prepared_xacts')).toBe('0');
  expect((await cluster.checkSchema()).differences).toEqual([]);
  await cluster.query('UPDATE t SET a = a + 1');
  expect((await cluster.query('SELECT count(*)::int FROM t')).rows).toEqual([{ count: 100 }]);
}

/** Somebody reads a shard of the node's, so that its definition cannot be changed. */
async function readerOfShard(place: number): Promise<Client> {
  const node = at(await embedded.cluster.nodes(), place).id;
  const shard = present((await embedded.cluster.shards()).find(({ table, nodeId }) => table === 't' && nodeId === node));
  const client = new Client({ connectionString: embedded.primaryOf(place).connectionString });
  client.on('error', () => undefined);
  await client.connect();
  await client.query(`BEGIN; LOCK TABLE "${shard.name}" IN ROW EXCLUSIVE MODE`);
  return client;
}
