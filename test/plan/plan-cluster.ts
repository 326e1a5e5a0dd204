import { Client } from 'pg';
import { Cluster, ClusterError } from '../../src/index.ts';
import { createTestDatabases, type TestDatabases } from '../support/test-databases.ts';

/** Run on every server: what the tables need. */
const prerequisites = `
  CREATE SCHEMA other;
  CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
  CREATE FUNCTION add_ints(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT coalesce($1, 0) + coalesce($2, 0)';
  CREATE AGGREGATE total(int) (SFUNC = add_ints, STYPE = int);
`;

const tables = `
  CREATE SEQUENCE numbers;
  CREATE SEQUENCE other.numbers;
  CREATE TABLE counted (key int NOT NULL, id serial, label text);
  CREATE TABLE orders (
    tenant_id bigint NOT NULL, id int NOT NULL, amount numeric(12,2), qty int, note text, at timestamptz, day date, PRIMARY KEY (tenant_id, id));
  CREATE TABLE lines (tenant_id bigint NOT NULL, order_id int NOT NULL, line int NOT NULL, price numeric, PRIMARY KEY (tenant_id, order_id, line));
  CREATE TABLE visits (page text NOT NULL, hits int, label text COLLATE ci, seen date DEFAULT current_date);
  CREATE TABLE marks (code char(4) NOT NULL, n int);
  CREATE TABLE prices (price numeric NOT NULL, n int);
  CREATE TABLE regions (id int PRIMARY KEY, name text);
  CREATE TABLE other.orders (tenant_id bigint NOT NULL, id int, flag boolean);
  CREATE TABLE local_things (id bigint, name text);
  CREATE TABLE solo (id int PRIMARY KEY, tenant_id bigint, n int);
  CREATE TABLE solo_parts (solo int REFERENCES solo, part int);
  CREATE TABLE apart (id int PRIMARY KEY, name text);
  CREATE TABLE people (tenant_id bigint NOT NULL, id int NOT NULL, email text, site int, login varchar(8), PRIMARY KEY (tenant_id, id));
`;

const views = `
  CREATE VIEW large AS SELECT * FROM orders WHERE amount > 100;
  CREATE VIEW totals (tenant, total) AS SELECT tenant_id, sum(amount) FROM large GROUP BY tenant_id;
  CREATE VIEW guarded WITH (security_barrier) AS SELECT * FROM orders WHERE qty > 3;
`;

export interface PlanCluster extends AsyncDisposable {
  readonly cluster: Cluster;
  /** The EXPLAIN text, or the refusal's fields, without what differs from run to run. */
  outcome(sql: string, values: readonly unknown[], session?: string): Promise<string>;
}

/** A cluster of two nodes with empty tables over four shard groups: plans do not depend on rows. */
export async function openPlanCluster(): Promise<PlanCluster> {
  const databases = await createTestDatabases({ nodes: 2 });
  const servers = [databases.coordinator, ...databases.nodes];
  for (const { connectionString } of servers) await runOn(connectionString, prerequisites);
  const cluster = new Cluster({ connectionString: databases.coordinator.connectionString });
  for (const { host, port, database } of databases.nodes) await cluster.addNode({ host, port, database });
  await cluster.query(tables);
  await cluster.createDistributedTable('orders', 'tenant_id', { shardCount: 4 });
  for (const table of ['lines', 'other.orders']) await cluster.createDistributedTable(table, 'tenant_id', { colocateWith: 'orders' });
  for (const [table, column] of [['visits', 'page'], ['marks', 'code'], ['prices', 'price']] as const) {
    await cluster.createDistributedTable(table, column, { shardCount: 4 });
  }
  await cluster.createReferenceTable('regions');
  for (const table of ['solo', 'solo_parts']) await cluster.createDistributedTable(table, null);
  await cluster.createDistributedTable('apart', null, { colocateWith: 'none' });
  await cluster.createDistributedTable('people', 'tenant_id', { colocateWith: 'orders' });
  await cluster.createUniqueLookup('people', 'email');
  await cluster.createUniqueLookup('people', ['site', 'login'], { name: 'one_login' });
  await cluster.createDistributedTable('counted', 'key', { shardCount: 4 });
  await cluster.query(views);
  return {
    cluster,
    outcome: async (sql, values, session) => normalized(await textOrError(session === undefined ? explained(cluster, sql, values) : explainedIn(cluster, session, sql)), databases),
    async [Symbol.asyncDispose]() {
      await cluster.end();
      await databases.drop();
    },
  };
}

async function explained(cluster: Cluster, sql: string, values: readonly unknown[]): Promise<string> {
  return (await cluster.explain(sql, [...values])).text;
}

async function textOrError(explaining: Promise<string>): Promise<string> {
  try {
    return await explaining;
  } catch (error) {
    if (error instanceof ClusterError) return fieldsOf(`${error.number} ${error.code}`, error);
    if (error instanceof Error && 'code' in error) return fieldsOf(String(error.code), error);
    throw error;
  }
}

/** In a session that has run something before. */
async function explainedIn(cluster: Cluster, session: string, sql: string): Promise<string> {
  const client = await cluster.connect();
  try {
    await client.query(session);
    const { rows } = await client.query({ text: `EXPLAIN ${sql}`, rowMode: 'array' });
    return (rows as readonly (readonly string[])[]).map(([line]) => line ?? '').join('\n');
  } finally {
    client.release(true);
  }
}

function fieldsOf(state: string, error: Error & { detail?: string | undefined; hint?: string | undefined }): string {
  const { detail, hint } = error;
  return [`ERROR ${state}: ${error.message}`, ...(detail === undefined ? [] : [`DETAIL ${detail}`]), ...(hint === undefined ? [] : [`HINT ${hint}`])].join('\n');
}

function normalized(text: string, { nodes }: TestDatabases): string {
  return nodes.reduce((result, { host, port, database }, i) => result.replaceAll(`${host}:${port}/${database}`, `node ${i + 1}`), text).replaceAll(/\n\s*\n/g, '\n').trimEnd();
}

async function runOn(connectionString: string, sql: string): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  await client.query(sql);
  await client.end();
}
