import { Pool } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster } from '../../src/index.ts';
import { type EmptyPair, startEmptyPair } from '../ddl/propagate/empty-pair.ts';

/** Settings that a session has from the beginning: policies on nodes see them as on one PostgreSQL. */
let pair: EmptyPair;
let login: string;

beforeAll(async () => {
  pair = await startEmptyPair(18);
  login = `settled_${pair.databases.coordinator.database}`;
  const both = `CREATE TABLE docs (tenant_id int, id int, PRIMARY KEY (tenant_id, id)); INSERT INTO docs SELECT i % 7, i FROM generate_series(1, 50) i;
    ALTER TABLE docs ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON docs USING (tenant_id = current_setting('app.tenant_id')::int); GRANT ALL ON docs TO "${login}"`;
  for (const side of [pair.cluster, pair.plain]) await side.query(`CREATE ROLE "${login}" LOGIN; ${both}`).catch(async (error: { code?: string }) => (error.code === '42710' ? side.query(both) : Promise.reject(error as Error)));
  // The role reads the catalog, as any that uses the cluster.
  await pair.cluster.query(`GRANT USAGE ON SCHEMA shardwright TO "${login}"; GRANT SELECT ON ALL TABLES IN SCHEMA shardwright TO "${login}"`);
  await pair.cluster.createDistributedTable('docs', 'tenant_id', { shardCount: 4 });
});

afterAll(() => pair[Symbol.asyncDispose]());

const asLogin = (connectionString: string, options = ''): string => {
  const url = new URL(connectionString);
  url.username = login;
  if (options !== '') url.searchParams.set('options', options);
  return url.href;
};

const queries = ['SELECT count(*)::int, min(tenant_id), max(tenant_id) FROM docs', 'SELECT id FROM docs WHERE tenant_id = 5 ORDER BY 1', `SELECT current_setting('app.tenant_id') AS s, count(*)::int FROM docs GROUP BY 1`];

async function expectSame(options = ''): Promise<void> {
  const cluster = new Cluster({ connectionString: asLogin(pair.databases.coordinator.connectionString, options), recoveryIntervalMs: 0 });
  const plain = new Pool({ connectionString: asLogin(pair.reference.coordinator.connectionString, options) });
  try {
    for (const text of queries) expect({ text, rows: (await cluster.query(text)).rows }).toEqual({ text, rows: (await plain.query(text)).rows });
    await cluster.transaction(async (client) => {
      for (const text of queries) expect({ text, rows: (await client.query(text)).rows }).toEqual({ text, rows: (await plain.query(text)).rows });
    });
  } finally {
    await Promise.all([cluster.end(), plain.end()]);
  }
}

test('of the connection, in its string', async () => {
  await expectSame('-c app.tenant_id=5');
});

test('of the database, of the role, of the role in the database', async () => {
  const databaseOf = (side: 'databases' | 'reference') => pair[side].coordinator.database;
  for (const [set, value] of [[(database: string) => `ALTER DATABASE "${database}"`, 2], [() => `ALTER ROLE "${login}"`, 3], [(database: string) => `ALTER ROLE "${login}" IN DATABASE "${database}"`, 4]] as const) {
    await pair.cluster.query(`${set(databaseOf('databases'))} SET app.tenant_id = '${value}'`);
    await pair.plain.query(`${set(databaseOf('reference'))} SET app.tenant_id = '${value}'`);
    await expectSame();
  }
});
