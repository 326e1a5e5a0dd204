import { Client, type Pool } from 'pg';
import { present } from '../../src/base/assert.ts';
import type { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';

const tables = `
CREATE TABLE tenants (id bigint PRIMARY KEY, name text);
CREATE TABLE ranks (name text PRIMARY KEY);
CREATE TABLE users (tenant_id bigint REFERENCES tenants ON DELETE CASCADE, id int, email text, login varchar(8), site int, rank text REFERENCES ranks ON DELETE CASCADE, name text, PRIMARY KEY (tenant_id, id))`;

const rows = `
INSERT INTO tenants SELECT i, 't' || i FROM generate_series(1, 12) i;
INSERT INTO ranks VALUES ('low'), ('high'), ('gone');
INSERT INTO users SELECT 1 + i % 12, i, CASE WHEN i % 10 > 0 THEN 'u' || i || '@x' END, 'l' || i % 30, i / 30, 'low' FROM generate_series(1, 120) i`;

/** A cluster with users, and one PostgreSQL with the same. */
export async function startUsers(options: Parameters<typeof startCluster>[0] = {}): Promise<ClusterAndPlain> {
  const pair = await startCluster(options);
  const { cluster, plain } = pair;
  await Promise.all([cluster.query(tables), plain.query(tables)]);
  await cluster.createReferenceTable('ranks');
  await cluster.createDistributedTable('tenants', 'id', { shardCount: 6 });
  await cluster.createDistributedTable('users', 'tenant_id', { colocateWith: 'tenants' });
  await Promise.all([cluster.query(rows), plain.query(rows)]);
  return pair;
}

/** The same where users have unique lookups, of one column and of two, which are UNIQUE in one PostgreSQL. */
export async function startLookups(options: Parameters<typeof startCluster>[0] = {}): Promise<ClusterAndPlain> {
  const pair = await startUsers(options);
  await pair.plain.query('ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE (email), ADD CONSTRAINT one_login UNIQUE (login, site)');
  await pair.cluster.createUniqueLookup('users', 'email');
  await pair.cluster.query(`SELECT create_unique_lookup('users', ARRAY['login', 'site'], name => 'one_login')`);
  return pair;
}

/** The rows of all shards of a lookup, in order. */
export async function lookupRows({ cluster, databases }: ClusterAndPlain, columns: readonly string[]): Promise<string[]> {
  const { lookupTable } = present((await cluster.lookups()).find((lookup) => lookup.columns.join() === columns.join()), 'lookup');
  const found: string[] = [];
  const shards = (await cluster.shards()).filter((shard) => shard.schema === 'shardwright' && shard.table === lookupTable);
  for (const id of new Set(shards.map(({ nodeId }) => nodeId))) {
    const client = new Client({ connectionString: present(databases.nodes[id - 1]).connectionString });
    await client.connect();
    try {
      const text = shards.filter(({ nodeId }) => nodeId === id).map(({ name }) => `SELECT * FROM shardwright."${name}"`).join(' UNION ALL ');
      const { rows } = await client.query<unknown[]>({ text, rowMode: 'array' });
      found.push(...rows.map((row) => row.map(String).join()));
      const left = await client.query('SELECT FROM shardwright.lookup_change');
      if (left.rows.length > 0) throw new Error('changes were left behind');
    } finally {
      await client.end();
    }
  }
  return found.sort();
}

/** What they should be. */
export async function tableRows(cluster: Pick<Cluster, 'query'> | Pool, columns: readonly string[]): Promise<string[]> {
  const list = columns.join(', ');
  const text = `SELECT ${list}, tenant_id FROM users WHERE (${list}) IS NOT NULL`;
  const { rows } = await (cluster as Pool).query<unknown[]>({ text, rowMode: 'array' });
  return rows.map((row) => row.map(String).join()).sort();
}

/** What comes of a statement, rows in any order, with what an error says. */
export async function outcomeOf(pool: { query(config: { text: string; rowMode: 'array' }): Promise<unknown> }, text: string): Promise<unknown> {
  try {
    const result = await pool.query({ text, rowMode: 'array' });
    return [result].flat().map((one) => {
      const { command, rowCount, rows } = one as { command: string; rowCount: number; rows: unknown[] };
      return { command, rowCount, rows: rows.map((row) => JSON.stringify(row)).sort() };
    });
  } catch (error) {
    const { code, message, detail, schema, table, constraint } = error as Record<string, string>;
    return { code, message, detail, schema, table, constraint };
  }
}

/** Until so many statements wait for locks on the nodes. */
export async function untilWaiting({ databases }: ClusterAndPlain, count: number): Promise<void> {
  const clients = await Promise.all(databases.nodes.map(async ({ connectionString }) => {
    const client = new Client({ connectionString });
    await client.connect();
    return client;
  }));
  const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  try {
    for (let found = 0; found < count;) found = (await Promise.all(clients.map((client) => client.query(waiting)))).reduce((sum, { rowCount }) => sum + (rowCount ?? 0), 0);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}
