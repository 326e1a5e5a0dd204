import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster } from '../../src/index.ts';
import { createTestDatabases, type TestDatabases } from '../support/test-databases.ts';

let databases: TestDatabases;
let cluster: Cluster;

beforeAll(async () => {
  databases = await createTestDatabases({ nodes: 2 });
  cluster = new Cluster({ connectionString: databases.coordinator.connectionString });
  for (const { host, port, database } of databases.nodes) await cluster.addNode({ host, port, database });
  await cluster.query(`
    CREATE SEQUENCE numbers;
    CREATE TABLE local (id bigint);
    CREATE TABLE plans (code text PRIMARY KEY, price float8);
    CREATE TABLE tenants (id bigint PRIMARY KEY, name text);
    CREATE TABLE orders (tenant_id bigint, id bigint, plan text, total numeric, placed_at timestamptz DEFAULT now(), PRIMARY KEY (tenant_id, id));
    CREATE TABLE events (tenant_id bigint, id bigint)`);
  await cluster.createReferenceTable('plans');
  await cluster.createDistributedTable('tenants', 'id');
  await cluster.createDistributedTable('orders', 'tenant_id', { colocateWith: 'tenants' });
  await cluster.createDistributedTable('events', 'tenant_id', { colocateWith: 'none' });
  await cluster.createDistributedSchema('tenant_42');
});

afterAll(async () => {
  await cluster.end();
  await databases.drop();
});

test.each(examples())('docs/limits.md: %s is refused with %s', async (sql, number) => {
  const refused = await cluster.query(sql).then(
    () => 'it ran',
    (error: unknown) => (error instanceof Error && 'number' in error ? error.number : error),
  );
  expect(refused).toBe(number);
});

/** Rows of the tables of docs/limits.md: a statement and the number of its error. */
function examples(): [string, string][] {
  const text = readFileSync(new URL('../../docs/limits.md', import.meta.url), 'utf8');
  return [...text.matchAll(/^\| `([^`]+)` \| (SW\d+) \|/gm)].map(([, sql = '', number = '']) => [sql, number]);
}
