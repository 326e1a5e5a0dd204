import { afterAll, beforeAll, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { type ChangeStream, Cluster } from '../../src/index.ts';
import { until } from '../cluster/connections.ts';
import { createTestDatabases, type TestDatabases } from '../support/test-databases.ts';
import { lineOf, StrictMirror } from './strict-mirror.ts';

const early = 'early';
const late = 'late';
let databases: TestDatabases;
let cluster: Cluster;
let mirror: StrictMirror;
let changes: ChangeStream;
let reading: Promise<unknown>;

beforeAll(async () => {
  databases = await createTestDatabases({ major: 18, nodes: 2 });
  cluster = new Cluster({ connectionString: databases.coordinator.connectionString, recoveryIntervalMs: 0 });
  for (const { host, port, database } of databases.nodes) await cluster.addNode({ host, port, database });
  await cluster.query(`
    CREATE TABLE visits (tenant bigint, day int, id int, body text, PRIMARY KEY (tenant, day, id)) PARTITION BY RANGE (day);
    CREATE TABLE early PARTITION OF visits FOR VALUES FROM (0) TO (10);
    CREATE TABLE late PARTITION OF visits FOR VALUES FROM (10) TO (20)`);
  await cluster.createDistributedTable('visits', 'tenant', { shardCount: 4 });
  await cluster.query(`INSERT INTO visits SELECT g % 8, g % 20, g, 'there before' FROM generate_series(1, 40) g`);
  mirror = new StrictMirror();
  changes = cluster.changes([early, late], { name: 'partitions', snapshot: true, autoConfirm: true });
  reading = (async () => {
    for await (const change of changes) mirror.apply(change);
  })().catch((error: unknown) => error);
}, 120_000);

afterAll(async () => {
  await changes.return();
  for (const { name } of await cluster.feeds()) await cluster.dropFeed(name);
  await cluster.end();
  await databases.drop();
});

async function equal(): Promise<void> {
  const there = await Promise.all([early, late].map(async (table) => (await cluster.query<Record<string, unknown>>(`SELECT * FROM ${table}`)).rows.map(lineOf).toSorted()));
  const copied = (): string[][] => [early, late].map((table) => mirror.lines(table));
  const failed = await Promise.race([reading, until(() => JSON.stringify(copied()) === JSON.stringify(there)).catch(() => undefined)]);
  expect(failed).toBeUndefined();
  expect(copied()).toEqual(there);
}

test('rows that are written by the name of the parent come under that of their partition, also those that change it', async () => {
  await equal();
  await cluster.query(`INSERT INTO visits SELECT g % 8, g % 20, 100 + g, 'later' FROM generate_series(1, 40) g`);
  await cluster.query('UPDATE visits SET day = day + 10 WHERE day < 10 AND id % 3 = 0');
  await cluster.query('DELETE FROM visits WHERE id % 5 = 0');
  await equal();
  await cluster.query('TRUNCATE visits');
  await equal();
});

test('partitions go, come back and get columns while they are read', async () => {
  await cluster.query('ALTER TABLE visits DETACH PARTITION late');
  await cluster.query(`INSERT INTO late VALUES (1, 12, 1, 'alone'), (2, 13, 2, 'alone')`);
  await equal();
  await cluster.query('ALTER TABLE visits ATTACH PARTITION late FOR VALUES FROM (10) TO (30)');
  await cluster.query(`CREATE TABLE last PARTITION OF visits FOR VALUES FROM (30) TO (40)`);
  await cluster.query(`INSERT INTO visits SELECT g % 8, g, 200 + g, 'again' FROM generate_series(0, 39) g`);
  await cluster.query(`ALTER TABLE visits ADD COLUMN more int DEFAULT 7`);
  // What DDL does to rows is no event.
  await cluster.query(`UPDATE visits SET more = id`);
  await equal();
});

test('through a move, and not dropped', async () => {
  const { shardId, nodeId } = at(await cluster.shards(), 0);
  await cluster.moveShardGroup(shardId, { to: 3 - nodeId });
  await cluster.query(`INSERT INTO visits SELECT g % 8, g % 30, 300 + g, 'moved' FROM generate_series(0, 59) g`);
  await equal();
  for (const text of ['DROP TABLE early', 'DROP TABLE visits', 'DROP TABLE late, early CASCADE']) await expect(cluster.query(text)).rejects.toMatchObject({ id: 'tableInFeed' });
  await cluster.query('DROP TABLE last');
  await equal();
});
