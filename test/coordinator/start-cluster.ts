import { Client, Pool } from 'pg';
import { Cluster, type ClusterOptions } from '../../src/index.ts';
import type { TestMajor } from '../support/start-test-servers.ts';
import { createTestDatabases, type TestDatabases } from '../support/test-databases.ts';

/** A cluster and one plain PostgreSQL that hold the same tables and rows. */
export interface ClusterAndPlain extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly plain: Pool;
  readonly databases: TestDatabases;
  /** Another cluster object over the same servers; ended with the rest. */
  another(options?: ClusterOptions): Cluster;
}

/** Types with other OIDs on every server. */
const types = `CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE DOMAIN code AS text CHECK (value ~ '^[a-z]+$')`;

const tables = `
CREATE TABLE orders (
  tenant_id bigint, id int, total numeric(10, 2) DEFAULT 0, note text, mood mood, at timestamptz, tags text[],
  PRIMARY KEY (tenant_id, id), CONSTRAINT total_is_positive CHECK (total >= 0));
CREATE TABLE items (tenant_id bigint, order_id int, line int, name text NOT NULL, PRIMARY KEY (tenant_id, order_id, line),
  FOREIGN KEY (tenant_id, order_id) REFERENCES orders);
CREATE TABLE countries (code code PRIMARY KEY, name text UNIQUE);
CREATE TABLE notes (id int PRIMARY KEY, body text)`;

const rows = `
INSERT INTO orders SELECT t, i, t * 10 + i, 'note ' || i, (ARRAY['sad', 'ok', 'happy'])[1 + i % 3]::mood,
  timestamptz '2024-01-01 00:00+00' + t * interval '1 day' + i * interval '1 hour', ARRAY['a', t::text] FROM generate_series(1, 12) t, generate_series(1, 5) i;
INSERT INTO countries VALUES ('de', 'Germany'), ('fr', 'France');
INSERT INTO notes VALUES (1, 'first'), (2, 'second')`;

/** Once the tables are distributed: rows that refer to others have to follow them. */
const items = `INSERT INTO items VALUES ${Array.from({ length: 120 }, (_, i) => `(${1 + Math.floor(i / 10)}, ${1 + (Math.floor(i / 2) % 5)}, ${1 + (i % 2)}, 'item ${1 + (i % 2)}')`).join(', ')}`;

export async function startCluster(options: ClusterOptions & { readonly major?: TestMajor; readonly nodes?: number } = {}): Promise<ClusterAndPlain> {
  const { major = 18, nodes = 3, ...clusterOptions } = options;
  const databases = await createTestDatabases({ major, nodes });
  const reference = await createTestDatabases({ major, nodes: 0 });
  for (const [i, node] of databases.nodes.entries()) await run(node.connectionString, `${'CREATE TYPE spare AS (x int); DROP TYPE spare;'.repeat(i + 1)} ${types}`);
  for (const { connectionString } of [databases.coordinator, reference.coordinator]) await run(connectionString, `${types}; ${tables}; ${rows}`);
  const { connectionString } = databases.coordinator;
  const clusters: Cluster[] = [];
  const another = (own: ClusterOptions = {}): Cluster => {
    const cluster = new Cluster({ connectionString, ...own });
    clusters.push(cluster);
    return cluster;
  };
  const cluster = another(clusterOptions);
  const plain = new Pool({ connectionString: reference.coordinator.connectionString });
  for (const { host, port, database } of databases.nodes) await cluster.addNode({ host, port, database });
  await cluster.createDistributedTable('orders', 'tenant_id', { shardCount: 8 });
  await cluster.createDistributedTable('items', 'tenant_id', { colocateWith: 'orders' });
  await cluster.createReferenceTable('countries');
  await Promise.all([cluster.query(items), plain.query(items)]);
  const close = async (): Promise<void> => {
    await plain.end();
    await Promise.all(clusters.filter((one) => !one.ending).map((one) => one.end()));
    await Promise.all([databases.drop(), reference.drop()]);
  };
  return { cluster, plain, databases, another, [Symbol.asyncDispose]: close };
}

/** Runs a text in a connection of its own. */
export async function run(connectionString: string, text: string): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}
