import { Client } from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { takeChangesSql } from '../../src/execute/lookups/lookup-change.ts';
import { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, run } from '../coordinator/start-cluster.ts';
import { lookupRows, outcomeOf, startUsers, tableRows } from './lookup-pair.ts';

/** Lookups of a table with row security, which are UNIQUE constraints in one PostgreSQL: a role meets keys of rows that it does not see. */
let pair: ClusterAndPlain;
let cluster: Cluster;

const role = 'shardwright_lookup_tenant';
const secured = `ALTER TABLE users ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON users TO ${role} USING (tenant_id = current_setting('app.tenant_id')::bigint);
  GRANT ALL ON users TO ${role}; GRANT SELECT ON tenants, ranks TO ${role}`;

beforeAll(async () => {
  pair = await startUsers();
  cluster = pair.cluster;
  for (const { connectionString } of [pair.databases.coordinator, ...pair.databases.nodes]) await run(connectionString, `DO $$ BEGIN CREATE ROLE ${role}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`);
  await pair.plain.query(`${secured}; ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE (email), ADD CONSTRAINT one_login UNIQUE (login, site)`);
  // One lookup comes after row security, one before.
  await cluster.createUniqueLookup('users', ['login', 'site'], { name: 'one_login' });
  await cluster.query(secured);
  await cluster.createUniqueLookup('users', 'email');
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

async function same(step: string): Promise<unknown> {
  const got = await outcomeOf(cluster, step);
  expect({ step, got }).toEqual({ step, got: await outcomeOf(pair.plain, step) });
  return got;
}

async function checkKept(): Promise<void> {
  for (const columns of [['email'], ['login', 'site']]) {
    const expected = await tableRows(cluster, columns);
    expect(expected.length).toBeGreaterThan(0);
    expect(await lookupRows(pair, columns)).toEqual(expected);
    expect(expected).toEqual(await tableRows(pair.plain, columns));
  }
}

const asTenant = (tenant: number, statement: string): string => `BEGIN; SET LOCAL app.tenant_id = '${tenant}'; SET LOCAL ROLE ${role}; ${statement}; COMMIT`;

test('a key of a row that is hidden is taken, and the error does not tell it', async () => {
  expect(await same(asTenant(3, `INSERT INTO users (tenant_id, id, email) VALUES (3, 500, 'u9@x')`))).toMatchObject({ code: '23505', constraint: 'users_email_key', detail: undefined });
  await pair.plain.query('ROLLBACK').catch(() => undefined);
  expect(await same(`INSERT INTO users (tenant_id, id, email) VALUES (3, 500, 'u9@x')`)).toMatchObject({ code: '23505', detail: 'Key (email)=(u9@x) already exists.' });
});

test('a shard that is not on the node any more counts as secured', async () => {
  const shard = await cluster.shardOf('users', 3);
  const client = new Client({ connectionString: at(pair.databases.nodes, shard.nodeId - 1).connectionString });
  await client.connect();
  try {
    await client.query(`BEGIN; UPDATE ${shard.name} SET email = email || '+' WHERE tenant_id = 3`);
    const gone = new Map(Array.from({ length: 50 }, (_, id) => [id, { shard: 'public.users_1', columns: ['email'] }] as const));
    const { rows } = await client.query<unknown[]>({ text: takeChangesSql(gone), rowMode: 'array' });
    expect(new Set(rows.map((row) => row[3]))).toEqual(new Set([true]));
  } finally {
    await client.end();
  }
});

const steps = [
  asTenant(10, `SELECT id, email FROM users WHERE email = 'u9@x'`), asTenant(3, `SELECT id, email FROM users WHERE email = 'u9@x'`), asTenant(3, `SELECT count(*) FROM users WHERE email IN ('u9@x', 'u2@x', 'u14@x')`), asTenant(3, `SELECT id FROM users WHERE login = 'l2' AND site = 0`),
  asTenant(3, `UPDATE users SET name = 'mine' WHERE email = 'u9@x'`), asTenant(3, `UPDATE users SET email = 'mine@x' WHERE email = 'u2@x' RETURNING id`), asTenant(3, `DELETE FROM users WHERE email = 'u9@x'`), asTenant(3, `DELETE FROM users WHERE email = 'u14@x'`),
  asTenant(4, `INSERT INTO users (tenant_id, id, email) VALUES (4, 501, 'u14@x')`), asTenant(4, `INSERT INTO users (tenant_id, id, email) VALUES (5, 502, 'theirs@x')`), asTenant(4, `UPDATE users SET email = 'u9@x' WHERE id = 501`),
  asTenant(4, `INSERT INTO users (tenant_id, id, email) VALUES (4, 503, 'u9@x'), (4, 503, 'u2@x') ON CONFLICT DO NOTHING RETURNING id, email`), asTenant(4, `INSERT INTO users (tenant_id, id, email) VALUES (4, 504, 'mine@x'), (6, 504, 'none@x') ON CONFLICT DO NOTHING`),
  asTenant(4, `INSERT INTO users (tenant_id, id, email) SELECT 4, 600 + id, 'copy' || id FROM users WHERE id < 40`), `SELECT id, email FROM users WHERE email = 'u9@x'`, `DELETE FROM tenants WHERE id = 7`, asTenant(4, `INSERT INTO users (tenant_id, id, email) VALUES (4, 505, 'u6@x')`),
] as const;

test('queries and writes of a role that sees one tenant are as on one PostgreSQL, and kept', async () => {
  for (const step of steps) {
    await same(step);
    await pair.plain.query('ROLLBACK').catch(() => undefined);
  }
  await checkKept();
});

test('a query of a role is for the shard that the lookup tells of', async () => {
  expect((await cluster.explain(`SELECT id FROM users WHERE email = 'u9@x'`)).text).toMatch(/^Lookup/);
});

test.each(['DO NOTHING', `DO UPDATE SET name = 'x'`])('ON CONFLICT (email) %s is refused', async (action) => {
  await expect(cluster.query(`INSERT INTO users (tenant_id, id, email) VALUES (1, 1, 'u9@x') ON CONFLICT (email) ${action}`)).rejects.toMatchObject({ code: '0A000', detail: expect.stringContaining('row security') as string });
});

test('a build by an owner upon whom row security is forced is refused, since it would miss rows', async () => {
  const owner = 'shardwright_lookup_owner';
  for (const { connectionString } of [pair.databases.coordinator, ...pair.databases.nodes]) {
    await run(connectionString, `DO $$ BEGIN CREATE ROLE ${owner}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$; GRANT ALL ON SCHEMA public, shardwright TO ${owner}; GRANT ALL ON ALL TABLES IN SCHEMA shardwright TO ${owner};
      GRANT ALL ON ALL SEQUENCES IN SCHEMA shardwright TO ${owner}`);
  }
  await cluster.query('CREATE TABLE memos (tenant_id int, id int, code int, PRIMARY KEY (tenant_id, id)); ALTER TABLE memos ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON memos USING (id < 3)');
  await cluster.createDistributedTable('memos', 'tenant_id', { shardCount: 2 });
  await cluster.query(`INSERT INTO memos SELECT i, i, i FROM generate_series(1, 10) i; ALTER TABLE memos OWNER TO ${owner}; ALTER TABLE memos FORCE ROW LEVEL SECURITY`);
  await beginBuild('memos', 'code');
  const url = new URL(pair.databases.coordinator.connectionString);
  url.searchParams.set('options', `-c role=${owner}`);
  const theirs = new Cluster({ connectionString: url.href, recoveryIntervalMs: 0 });
  try {
    await expect(theirs.createUniqueLookup('memos', 'code')).rejects.toMatchObject({ code: '42501', message: expect.stringContaining('query would be affected by row-level security policy') as string });
    await cluster.query('ALTER TABLE memos NO FORCE ROW LEVEL SECURITY');
    await theirs.createUniqueLookup('memos', 'code');
    await expect(cluster.query('INSERT INTO memos VALUES (1, 11, 10)')).rejects.toMatchObject({ code: '23505' });
  } finally {
    await theirs.end();
  }
});

/** A build that is cancelled while it waits for rows which another transaction has locked. */
async function beginBuild(table: string, column: string): Promise<void> {
  const holder = await cluster.connect();
  try {
    await holder.query(`BEGIN; SELECT FROM ${table} FOR UPDATE`);
    const stop = new AbortController();
    const build = expect(cluster.createUniqueLookup(table, column, { signal: stop.signal })).rejects.toThrow();
    await vi.waitFor(async () => expect(await cluster.lookups()).toMatchObject([{}, {}, { valid: false }]), { timeout: 30_000 });
    stop.abort();
    await build;
  } finally {
    await holder.query('ROLLBACK');
    holder.release();
  }
}

test('checkSchema and verify find nothing', async () => {
  expect((await cluster.checkSchema()).text).toMatch(/no differences/);
  expect((await cluster.verify()).text).toMatch(/no differences/);
}, 30_000);
