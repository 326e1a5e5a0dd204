import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';

interface ToolQuery {
  readonly name: string;
  readonly text: string;
  /** Else the answer is that of one PostgreSQL. */
  readonly differs: boolean;
}

const queries = readFileSync(new URL('tool-queries.sql', import.meta.url), 'utf8').split(/^(?=-- (?:psql|pg_dump|DBeaver|pgAdmin|JDBC|ORMs): )/m).slice(1).map((part): ToolQuery => {
  const end = part.indexOf('\n');
  const name = part.slice(3, end);
  return { name, text: part.slice(end).trim(), differs: name.includes('(differs)') };
});

type Asked = Pick<Client, 'query'>;

let pair: ClusterAndPlain;
beforeAll(async () => {
  pair = await startCluster({ major: 15 });
  const view = `CREATE VIEW big AS SELECT * FROM orders WHERE total > 50; COMMENT ON TABLE orders IS 'all orders'`;
  await pair.cluster.query(view);
  await pair.plain.query(view);
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

/** Answers of one side, with its own OIDs in the text; those in the rows are made alike. */
async function answerOf(side: Asked, text: string): Promise<{ readonly fields: string[]; readonly rows: string[] }> {
  const { rows: found } = await side.query<{ oid: string; relname: string }>(`SELECT oid::text, relname FROM pg_class WHERE relname IN ('orders', 'items', 'countries', 'notes', 'orders_pkey', 'big')`);
  const oidOf = (name: string): string => found.filter(({ relname }) => (name === 'tables' ? relname !== 'orders_pkey' && relname !== 'big' : relname === name)).map(({ oid }) => oid).join(',');
  const { rows, fields } = await side.query<unknown[]>({ text: text.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => oidOf(name)), rowMode: 'array' });
  return { fields: fields.map(({ name, dataTypeID }) => `${name} ${dataTypeID > 16_383 ? 'own' : dataTypeID}`), rows: rows.map((row) => JSON.stringify(row).replaceAll(/\b\d{5}\b/g, 'oid')).sort() };
}

describe.each(queries)('$name', ({ text, differs }) => {
  test('shows logical tables', async () => {
    const [cluster, plain] = [await answerOf(pair.cluster, text), await answerOf(pair.plain, text)];
    expect(cluster.rows.filter((row) => /shardwright|(orders|items|countries|key)_10\d{4}/.test(row))).toEqual([]);
    expect(cluster.fields).toEqual(plain.fields);
    if (!differs) expect(cluster.rows).toEqual(plain.rows);
    expect(plain.rows.length === 0).toBe(cluster.rows.length === 0);
  });
});

test('a dump begins: without a search path, in one snapshot for reading, with all tables locked', async () => {
  const client = await pair.cluster.connect();
  try {
    await client.query(`SELECT pg_catalog.set_config('search_path', '', false)`);
    await client.query('SET DATESTYLE = ISO');
    await client.query('BEGIN');
    await client.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    for (const table of ['public.orders', 'public.items', 'public.countries', 'public.notes']) await client.query(`LOCK TABLE ${table} IN ACCESS SHARE MODE`);
    expect((await client.query('SELECT current_schemas(false)::text AS path, count(*)::int AS n FROM public.orders')).rows).toEqual([{ path: '{}', n: 60 }]);
    await pair.cluster.query(`INSERT INTO orders (tenant_id, id) VALUES (1, 900), (2, 900), (3, 900)`);
    expect((await client.query('SELECT count(*)::int AS n FROM public.orders')).rows).toEqual([{ n: 60 }]);
    await client.query('PREPARE viewOf(oid) AS SELECT pg_catalog.pg_get_viewdef($1) AS viewdef');
    expect((await client.query(`EXECUTE viewOf('public.big'::pg_catalog.regclass)`)).rows).toEqual([{ viewdef: expect.stringContaining('FROM public.orders') }]);
    await expect(client.query('DELETE FROM public.orders WHERE tenant_id = 1')).rejects.toMatchObject({ code: '25006' });
    await client.query('ROLLBACK');
    await client.query('BEGIN');
    await expect(client.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE')).rejects.toMatchObject({ code: '25001' });
    await client.query('ROLLBACK');
  } finally {
    await client.query('DISCARD ALL');
    await pair.cluster.query('DELETE FROM orders WHERE id = 900');
    client.release();
  }
});

test('a role without privileges looks at catalogs, and reads the local tables that it may', async () => {
  const role = `looker_${randomBytes(6).toString('hex')}`;
  await pair.cluster.query(`CREATE ROLE ${role}; GRANT SELECT ON notes TO ${role}`);
  const client = await pair.cluster.connect();
  try {
    await client.query(`SET ROLE ${role}`);
    expect((await client.query(`SELECT relname, pg_table_size(oid) > 0 AS sized FROM pg_class WHERE relname IN ('orders', 'cluster')`)).rows).toEqual([{ relname: 'orders', sized: true }]);
    expect((await client.query('SELECT count(*)::int AS n FROM notes')).rows).toEqual([{ n: 2 }]);
    expect((await client.query(`SELECT count(*)::int AS n FROM citus_shards WHERE table_name = 'orders'::regclass`)).rows).toEqual([{ n: 8 }]);
    expect((await client.query(`SELECT DISTINCT result FROM run_command_on_workers('SELECT current_user')`)).rows).toEqual([{ result: role }]);
    await expect(client.query('SELECT * FROM orders')).rejects.toMatchObject({ code: '42501' });
    await client.query('RESET ROLE');
  } finally {
    client.release();
    await pair.cluster.query(`REVOKE ALL ON notes FROM ${role}; DROP ROLE ${role}`);
  }
});
