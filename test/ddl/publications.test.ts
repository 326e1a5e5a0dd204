import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { Cluster } from '../../src/index.ts';
import { createTestDatabases, type TestDatabase } from '../support/test-databases.ts';
import { type EmptyPair, startEmptyPair } from './propagate/empty-pair.ts';

const tables = `
CREATE TABLE tenants (id bigint PRIMARY KEY, name text);
CREATE TABLE plans (code text PRIMARY KEY, price numeric);
CREATE TABLE "Odd orders" (tenant_id bigint, id int, total numeric DEFAULT 0, "Odd note" text, PRIMARY KEY (tenant_id, id));
CREATE TABLE events (tenant_id bigint, day int, body text, PRIMARY KEY (tenant_id, day)) PARTITION BY RANGE (day);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (10);
CREATE SCHEMA app; CREATE TABLE app.bills (tenant_id bigint PRIMARY KEY, total int);
CREATE TABLE local (id int PRIMARY KEY)`;

describe.each([18, 15] as const)('PostgreSQL %i', (major) => {
  let pair: EmptyPair;
  let cluster: Cluster;

  beforeAll(async () => {
    pair = await startEmptyPair(major);
    cluster = pair.cluster;
  });

  afterAll(() => pair[Symbol.asyncDispose]());

  beforeEach(async () => {
    await cluster.query(tables);
    await cluster.createReferenceTable('plans');
    await cluster.createDistributedTable('tenants', 'id', { shardCount: 4 });
    await cluster.createDistributedTable('"Odd orders"', 'tenant_id', { shardCount: 4 });
    await cluster.createDistributedTable('events', 'tenant_id', { shardCount: 4 });
    await cluster.createDistributedTable('app.bills', 'tenant_id', { shardCount: 4 });
  });

  afterEach(async () => {
    const { rows } = await cluster.query<{ pubname: string }>('SELECT pubname FROM pg_publication');
    for (const { pubname } of rows) await cluster.query(`DROP PUBLICATION "${pubname}"`);
    await expectPublished();
    await cluster.query('DROP SCHEMA public, app CASCADE; CREATE SCHEMA public');
  });

  /** Rows of the last statement. */
  const ask = async (database: TestDatabase, text: string): Promise<unknown[][]> => {
    const client = await new Client(database.connectionString).connect();
    try {
      return ([await client.query({ text, rowMode: 'array' })].flat().at(-1)?.rows ?? []) as unknown[][];
    } finally {
      await client.end();
    }
  };

  /** As the server tells them: a partitioned table by its partitions, or by itself where the publication asks for that. */
  const published = `
    SELECT t.pubname, t.schemaname, t.tablename, (SELECT array_agg(a ORDER BY a)::text FROM unnest(attnames) a), rowfilter, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot, to_jsonb(p)->>'pubgencols'
    FROM pg_publication_tables t JOIN pg_publication p USING (pubname) WHERE t.pubname NOT LIKE 'shardwright%' AND t.schemaname <> 'shardwright'`;

  /** Each shard is published once, on its node, as its table is in the coordinator database; a reference table on the first node alone. Returns how many shards are. */
  async function expectPublished(): Promise<number> {
    const shells = await ask(pair.databases.coordinator, published);
    const shards = (await cluster.shards()).filter(({ shardGroupId, nodeId }) => shardGroupId !== undefined || nodeId === 1);
    const expected = shells.flatMap(([publication, schema, table, ...how]) =>
      shards.filter((shard) => shard.schema === schema && shard.table === table).map((shard) => [shard.nodeId, publication, schema, shard.name, ...how]));
    const found = await Promise.all(pair.databases.nodes.map(async (node, i) => (await ask(node, published)).map((row) => [i + 1, ...row])));
    const sorted = (lines: unknown[][]): string[] => lines.map((line) => line.join(' ')).sort();
    expect(sorted(found.flat())).toEqual(sorted(expected));
    expect(await cluster.checkSchema()).toMatchObject({ differences: [] });
    return expected.length;
  }

  test('tables by name, with columns and conditions, come in, change and go', async () => {
    await cluster.query(`CREATE PUBLICATION p FOR TABLE tenants, "Odd orders" (tenant_id, id, "Odd note") WHERE (id > 3 AND "Odd note" <> 'it''s'), local`);
    expect(await expectPublished()).toBe(8);
    await cluster.query('ALTER PUBLICATION p ADD TABLE plans, app.bills');
    expect(await expectPublished()).toBe(13);
    await cluster.query('ALTER PUBLICATION p SET TABLE tenants, "Odd orders" WHERE (id > 4)');
    expect(await expectPublished()).toBe(8);
    await cluster.query('ALTER PUBLICATION p SET TABLE tenants, "Odd orders" WHERE (id > 5)');
    expect(await expectPublished()).toBe(8);
    await cluster.query(`ALTER PUBLICATION p SET (publish = 'insert, delete', publish_via_partition_root); COMMENT ON PUBLICATION p IS 'of tests'; ALTER PUBLICATION p RENAME TO "q ""q"`);
    expect(await expectPublished()).toBe(8);
    expect(await ask(at(pair.databases.nodes, 1), `SELECT obj_description(oid, 'pg_publication') FROM pg_publication`)).toEqual([['of tests']]);
    await cluster.query('BEGIN; ALTER PUBLICATION "q ""q" DROP TABLE tenants; DROP PUBLICATION "q ""q"; ROLLBACK');
    expect(await expectPublished()).toBe(8);
    await cluster.query('ALTER PUBLICATION "q ""q" DROP TABLE tenants');
    expect(await expectPublished()).toBe(4);
    await cluster.query('DROP PUBLICATION "q ""q", none').then(() => expect.unreachable(), (error: unknown) => expect(error).toMatchObject({ code: '42704' }));
    expect(await expectPublished()).toBe(4);
    await cluster.query('DROP PUBLICATION IF EXISTS "q ""q", none');
    expect(await expectPublished()).toBe(0);
    for (const node of pair.databases.nodes) expect(await ask(node, 'SELECT pubname FROM pg_publication')).toEqual([]);
  });

  test('tables of a schema, and all tables, also those that come later', async () => {
    await cluster.query('CREATE PUBLICATION of_app FOR TABLES IN SCHEMA app');
    expect(await expectPublished()).toBe(4);
    await cluster.query(`CREATE PUBLICATION every FOR ALL TABLES`);
    expect(await expectPublished()).toBe(4 + 4 * 4 + 1);
    await cluster.query('CREATE TABLE app.later (tenant_id bigint PRIMARY KEY); INSERT INTO app.later SELECT generate_series(1, 20)');
    await cluster.createDistributedTable('app.later', 'tenant_id', { shardCount: 4 });
    expect(await expectPublished()).toBe(8 + 5 * 4 + 1);
    await cluster.query('ALTER TABLE app.later SET SCHEMA public; ALTER TABLE tenants SET SCHEMA app');
    expect(await expectPublished()).toBe(8 + 5 * 4 + 1);
    await cluster.query('ALTER PUBLICATION of_app SET TABLES IN SCHEMA CURRENT_SCHEMA, TABLE app.bills');
    expect(await expectPublished()).toBe(4 * 4 + 1 + 5 * 4 + 1);
    await cluster.undistributeTable('app.bills');
    await cluster.query('DROP TABLE "Odd orders"');
    expect(await expectPublished()).toBe(2 * 4 + 1 + 3 * 4 + 1);
    await cluster.query('ALTER TABLE later SET UNLOGGED');
    expect(await expectPublished()).toBe(1 * 4 + 1 + 2 * 4 + 1);
  });

  test('partitions, by themselves or as their parent, that come, go and are let go', async () => {
    await cluster.query('CREATE PUBLICATION leaves FOR TABLE events; CREATE PUBLICATION root FOR TABLE events WHERE (day <> 3) WITH (publish_via_partition_root)');
    expect(await expectPublished()).toBe(8);
    await cluster.query('CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (10) TO (20); ALTER PUBLICATION root ADD TABLE events_2');
    expect(await expectPublished()).toBe(12);
    await cluster.query('ALTER TABLE events DETACH PARTITION events_2');
    expect(await expectPublished()).toBe(12);
    await cluster.query('ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES FROM (30) TO (40); DROP TABLE events_1');
    expect(await expectPublished()).toBe(8);
  });

  test('definitions change under a publication', async () => {
    await cluster.query('CREATE PUBLICATION p FOR TABLE "Odd orders" (tenant_id, id, total) WHERE (total > 1), tenants');
    await cluster.query('ALTER TABLE "Odd orders" RENAME total TO "the sum"; ALTER TABLE "Odd orders" ADD extra int; ALTER TABLE tenants RENAME TO renters');
    expect(await expectPublished()).toBe(8);
    await cluster.query('ALTER TABLE renters ALTER name TYPE varchar(20)');
    expect(await expectPublished()).toBe(8);
    await expect(cluster.query('ALTER TABLE "Odd orders" DROP "the sum"')).rejects.toMatchObject({ code: '2BP01' });
    await cluster.query('ALTER TABLE "Odd orders" DROP "the sum" CASCADE');
    expect(await expectPublished()).toBe(4);
    await cluster.alterDistributedTable('renters', { shardCount: 8 });
    expect(await expectPublished()).toBe(8);
    await cluster.query('DROP TABLE renters');
    expect(await expectPublished()).toBe(0);
  });

  test('what PostgreSQL refuses, it refuses in its own words, and nothing is left', async () => {
    await cluster.query('CREATE PUBLICATION p FOR TABLE tenants');
    await expect(cluster.query('CREATE PUBLICATION p FOR TABLE plans')).rejects.toMatchObject({ code: '42710', message: 'publication "p" already exists' });
    await expect(cluster.query('ALTER PUBLICATION p ADD TABLE tenants')).rejects.toMatchObject({ code: '42710', message: 'relation "tenants" is already member of publication "p"' });
    await expect(cluster.query('ALTER PUBLICATION p DROP TABLE plans')).rejects.toMatchObject({ code: '42704', message: 'relation "plans" is not part of the publication' });
    await expect(cluster.query('CREATE PUBLICATION q FOR TABLE tenants WHERE (name > 0)')).rejects.toMatchObject({ code: '42883' });
    expect(await expectPublished()).toBe(4);
    // One that a node has of its own.
    await ask(at(pair.databases.nodes, 0), 'CREATE PUBLICATION own');
    await cluster.query(`CREATE PUBLICATION own FOR TABLE local; COMMENT ON PUBLICATION own IS 'local'`);
    await cluster.query('CREATE TABLE bare (tenant_id bigint, body text)');
    await cluster.createDistributedTable('bare', 'tenant_id', { shardCount: 4 });
    await cluster.query('CREATE PUBLICATION keyless FOR TABLE bare; INSERT INTO bare VALUES (1), (2)');
    await expect(cluster.query(`UPDATE bare SET body = 'x' WHERE tenant_id = 1`)).rejects.toMatchObject({ code: '55000', message: expect.stringMatching(/^cannot update table "bare" because it does not have a replica identity/) as unknown });
    expect(await expectPublished()).toBe(8);
  });

  test('what a node has otherwise is told, and repaired', async () => {
    await cluster.query('CREATE PUBLICATION p FOR TABLE tenants (id), plans');
    const shard = at((await cluster.shards()).filter(({ table, nodeId }) => table === 'tenants' && nodeId === 1), 0);
    const plans = at((await cluster.shards()).filter(({ table, nodeId }) => table === 'plans' && nodeId === 2), 0);
    await ask(at(pair.databases.nodes, 0), `ALTER PUBLICATION p SET TABLE "${plans.name}"; ALTER PUBLICATION p ADD TABLE "${shard.name}"`);
    await ask(at(pair.databases.nodes, 1), `ALTER PUBLICATION p ADD TABLE "${plans.name}"`);
    const { differences } = await cluster.checkSchema();
    expect(differences.filter(({ shard: name }) => name === shard.name || name === plans.name).map(({ what, expected, found }) => [what, expected, found])).toEqual(expect.arrayContaining([
      ['publication "p"', '(id)', 'all columns'], ['publication "p"', null, 'all columns'],
    ]));
    for (const { node, repair } of differences) await ask(at(pair.databases.nodes.filter(({ host, port, database }) => node === `${host}:${port}/${database}`), 0), repair);
    expect(await expectPublished()).toBe(5);
  });
});

test('where the coordinator database is a node itself, distributed tables are not published', async () => {
  const databases = await createTestDatabases({ nodes: 1 });
  const cluster = new Cluster({ connectionString: databases.coordinator.connectionString, recoveryIntervalMs: 0 });
  try {
    const { host, port, database } = databases.coordinator;
    for (const node of databases.nodes) await cluster.addNode({ host: node.host, port: node.port, database: node.database });
    await cluster.query('CREATE TABLE orders (tenant_id bigint PRIMARY KEY, total int); CREATE TABLE plans (code text PRIMARY KEY); CREATE SCHEMA other; CREATE TABLE other.later (tenant_id bigint PRIMARY KEY)');
    await cluster.createReferenceTable('plans');
    await cluster.createDistributedTable('orders', 'tenant_id', { shardCount: 4 });
    const refused = (publication: string, table: string): object => ({ id: 'unsupportedTable', message: `publication "${publication}" cannot have distributed table "${table}"` });
    for (const what of ['ALL TABLES', 'TABLE orders', 'TABLES IN SCHEMA public']) {
      await cluster.query(`CREATE PUBLICATION p FOR ${what}`);
      await expect(cluster.addNode({ host, port, database })).rejects.toMatchObject(refused('p', 'orders'));
      await cluster.query('DROP PUBLICATION p');
    }
    await cluster.addNode({ host, port, database });
    for (const what of ['ALL TABLES', 'TABLE orders', 'TABLES IN SCHEMA public']) await expect(cluster.query(`CREATE PUBLICATION p FOR ${what}`)).rejects.toMatchObject(refused('p', 'orders'));
    await cluster.query('CREATE PUBLICATION p FOR TABLE other.later; CREATE PUBLICATION of_other FOR TABLES IN SCHEMA other');
    await expect(cluster.createDistributedTable('other.later', 'tenant_id')).rejects.toMatchObject(refused('of_other', 'later'));
    await expect(cluster.createReferenceTable('other.later')).rejects.toMatchObject(refused('of_other', 'later'));
    await expect(cluster.query('ALTER TABLE orders SET SCHEMA other')).rejects.toMatchObject(refused('of_other', 'orders'));
    await cluster.query(`ALTER PUBLICATION p SET (publish = 'insert'); DROP PUBLICATION p, of_other`);
    await cluster.createDistributedTable('other.later', 'tenant_id');
  } finally {
    await cluster.end();
    await databases.drop();
  }
});
