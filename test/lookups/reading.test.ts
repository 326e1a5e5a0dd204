import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { at, present } from '../../src/base/assert.ts';
import type { Cluster } from '../../src/index.ts';
import type { ClusterAndPlain } from '../coordinator/start-cluster.ts';
import { lookupRows, outcomeOf, startLookups, tableRows } from './lookup-pair.ts';

let pair: ClusterAndPlain;
let cluster: Cluster;
beforeAll(async () => {
  pair = await startLookups();
  cluster = pair.cluster;
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

async function same(step: string, values: unknown[] = []): Promise<void> {
  const run = (pool: Pick<Cluster, 'query'>) => outcomeOf({ query: (config) => pool.query({ ...config, values }) }, step);
  expect({ step, got: await run(cluster) }).toEqual({ step, got: await run(pair.plain as unknown as Cluster) });
}

async function checkKept(): Promise<void> {
  for (const columns of [['email'], ['login', 'site']]) expect(await lookupRows(pair, columns)).toEqual(await tableRows(cluster, columns));
}

const looksUp = async (sql: string, values: unknown[] = []): Promise<boolean> => (await cluster.explain(sql, values)).text.startsWith('Lookup');

/** With whether they are for one shard. */
const queries: readonly (readonly [sql: string, values: unknown[], looksUp: boolean])[] = [
  [`SELECT * FROM users WHERE email = 'u7@x'`, [], true], [`SELECT id, email FROM users WHERE email = $1`, ['u9@x'], true], [`SELECT id FROM users WHERE email = $1`, [null], true], [`SELECT id, name FROM users WHERE email = 'nobody'`, [], true],
  [`SELECT count(*), max(id) FROM users WHERE email = $1`, ['nobody'], true], [`SELECT id FROM users WHERE email = $2 AND id > $1`, [3, 'u9@x'], true], [`SELECT id FROM users WHERE login = $1 AND site = $2`, ['l4', 2], true], [`SELECT id FROM users WHERE site = '2' AND login = 'l4'`, [], true],
  [`SELECT id FROM users WHERE login = $1 AND site = $2`, ['l4 and more than eight', 2], true], [`SELECT id FROM users WHERE site = $1 AND login = 'l4'`, ['no number'], true], [`SELECT u.id, t.name FROM users u JOIN tenants t ON t.id = u.tenant_id WHERE u.email = 'u9@x'`, [], true],
  [`SELECT t.id FROM tenants t LEFT JOIN users u ON t.id = u.tenant_id WHERE u.email = 'u9@x'`, [], true], [`SELECT r.name FROM users u, ranks r WHERE r.name = u.rank AND email = 'u9@x'`, [], false], [`SELECT r.name FROM users u, ranks r WHERE r.name = u.rank AND u.email = 'u9@x'`, [], true],
  [`SELECT id FROM users WHERE email = 'u9@x' UNION SELECT id FROM users WHERE email = 'u8@x'`, [], false], [`SELECT id FROM users WHERE (email = 'u9@x') AND (id = 9)`, [], true], [`SELECT id FROM users WHERE email IN ('u8@x', 'u9@x', NULL, 'none') AND id < 100`, [], true], [`SELECT id FROM users WHERE NOT email = 'u9@x' AND id < 12`, [], false],
  [`WITH one AS (SELECT id FROM users WHERE email = 'u9@x') SELECT * FROM one`, [], false], [`SELECT email FROM users WHERE email = 'u9@x' ORDER BY 1 LIMIT 1 FOR UPDATE`, [], true], [`SELECT count(*) OVER (), id FROM users -- email = 'u8@x'\n WHERE email = 'u9@x' -- the end`, [], true],
  [`SELECT id, email FROM users WHERE email = ANY ($1)`, [['u1@x', 'u2@x', null, 'u21@x']], true], [`SELECT id FROM users WHERE email = ANY ($1)`, [[]], true], [`SELECT count(*), sum(id) FROM users WHERE email = ANY ($1)`, ['{u1@x,u2@x}'], false], [`SELECT id FROM users WHERE email = ANY ($1)`, [null], true],
  [`SELECT count(*), sum(id), max(tenant_id) FROM users u WHERE u.email = ANY (ARRAY['u1@x', $1, 'u3@x']) AND id > 0`, ['u2@x'], true], [`SELECT id FROM users WHERE email = 'u8@x' OR email = 'u9@x' ORDER BY id LIMIT 1 OFFSET 1`, [], true], [`SELECT id FROM users WHERE email = 'u8@x' OR id = 3`, [], false],
  [`SELECT id FROM users WHERE (login, site) IN (('l4', 2), ('l5', $1), ('l6', 3))`, [1], true], [`SELECT id FROM users WHERE login IN ('l4', 'l5') AND site = ANY ($1) AND email IS NOT NULL`, [[1, 2]], true], [`SELECT id FROM users WHERE login = 'l4' AND site = 30000000000`, [], false],
  [`SELECT t.name, u.id FROM users u JOIN tenants t ON t.id = u.tenant_id WHERE u.email IN ('u1@x', 'u2@x', 'u14@x')`, [], true], [`SELECT a.id, b.id FROM users a JOIN users b ON a.id < b.id WHERE a.email IN ('u1@x', 'u2@x') AND b.email IN ('u3@x', 'u4@x')`, [], false],
  [`SELECT id FROM users WHERE email = ANY ($1)`, [Array.from({ length: 1100 }, (_, i) => `u${i}@x`)], false],
];

test('queries give what one PostgreSQL gives, most of them from one shard', async () => {
  for (const [sql, values, expected] of queries) {
    await same(sql, values);
    if (values[0] !== 'no number') expect({ sql, looksUp: await looksUp(sql, values) }).toEqual({ sql, looksUp: expected });
  }
});

test('a value of another sort is an error in its own words', async () => {
  await expect(cluster.query('SELECT id FROM users WHERE site = $1 AND login = $2', ['no number', 'l4'])).rejects.toMatchObject({ code: '22P02', message: 'invalid input syntax for type integer: "no number"' });
  await same('SELECT id FROM users WHERE email = $1', []);
  await same('SELECT id FROM users WHERE email = $1', ['u9@x', 2]);
});

test('in every way in which a query is asked', async () => {
  const sql = 'SELECT id, email FROM users WHERE email = $1';
  const expected = [{ id: 11, email: 'u11@x' }];
  for (let i = 0; i < 8; i += 1) expect((await cluster.query({ name: 'by_mail', text: sql, values: [`u${11 + (i % 2)}@x`] })).rows).toEqual([{ id: 11 + (i % 2), email: `u${11 + (i % 2)}@x` }]);
  const streamed: unknown[] = [];
  for await (const row of cluster.stream(sql, ['u11@x'])) streamed.push(row);
  expect(streamed).toEqual(expected);
  expect(await text(cluster.copyTo(`COPY (SELECT id, email FROM users WHERE email = 'u11@x') TO STDOUT`))).toBe('11\tu11@x\n');
  await cluster.query(`CREATE TABLE copied AS SELECT id, email FROM users WHERE email = 'u11@x'`);
  expect((await cluster.query('SELECT * FROM copied')).rows).toEqual(expected);
  const client = await cluster.connect();
  try {
    await client.query(`PREPARE p AS SELECT id, email FROM users WHERE email = 'u11@x'`);
    expect((await client.query('EXECUTE p')).rows).toEqual(expected);
    await client.query(`BEGIN; DECLARE c CURSOR FOR SELECT id, email FROM users WHERE email = 'u11@x'`);
    expect((await client.query('FETCH ALL FROM c')).rows).toEqual(expected);
    await client.query('ROLLBACK');
  } finally {
    client.release();
  }
});

test('a transaction sees its own keys, and nobody else does before it commits', async () => {
  const client = await cluster.connect();
  const idOf = async (pool: Pick<Cluster, 'query'>, email: string): Promise<unknown[]> => (await pool.query('SELECT id FROM users WHERE email = $1', [email])).rows;
  try {
    await client.query('BEGIN');
    await client.query(`UPDATE users SET email = 'mine@x' WHERE email = 'u11@x'`);
    expect(await idOf(client as unknown as Cluster, 'mine@x')).toEqual([{ id: 11 }]);
    expect(await idOf(client as unknown as Cluster, 'u11@x')).toEqual([]);
    expect([await idOf(cluster, 'mine@x'), await idOf(cluster, 'u11@x')]).toEqual([[], [{ id: 11 }]]);
    await client.query('SAVEPOINT s');
    await client.query(`DELETE FROM users WHERE email = 'mine@x'`);
    expect(await idOf(client as unknown as Cluster, 'mine@x')).toEqual([]);
    await client.query('ROLLBACK TO s');
    await client.query('COMMIT');
  } finally {
    client.release();
  }
  expect([await idOf(cluster, 'mine@x'), await idOf(cluster, 'u11@x')]).toEqual([[{ id: 11 }], []]);
  await pair.plain.query(`UPDATE users SET email = 'mine@x' WHERE email = 'u11@x'`);
});

test('writes that are about one key', async () => {
  for (const step of [
    `UPDATE users SET name = 'one' WHERE email = 'u12@x' RETURNING id, name`, `UPDATE users SET email = 'u12@y' WHERE email = 'u12@x'`, `UPDATE users u SET name = t.name FROM tenants t WHERE t.id = u.tenant_id AND u.email = 'u12@y' RETURNING u.name`, `UPDATE users SET name = 'none' WHERE email = 'u12@x'`,
    `DELETE FROM users WHERE email = 'u13@x' AND name IS NULL RETURNING id`, `DELETE FROM users USING tenants t WHERE t.id = tenant_id AND users.email = 'u14@x'`, `UPDATE users SET tenant_id = 5 WHERE email = 'u15@x' RETURNING tenant_id, email`, `SELECT tenant_id FROM users WHERE email = 'u15@x'`,
    `UPDATE users SET name = 'some' WHERE email IN ('u16@x', 'u17@x', 'u18@x', 'none') RETURNING id`, `DELETE FROM users WHERE email = 'u16@x' OR email = 'u17@x' RETURNING email`, `SELECT count(*) FROM users WHERE email IN ('u16@x', 'u17@x', 'u18@x')`,
    `SELECT id FROM users WHERE email IN ('u18@x', 'u19@x') FOR UPDATE`,
  ]) await same(step);
  await checkKept();
});

test('a role that may write the table keeps its lookups, and may not write them itself', async () => {
  const role = 'shardwright_lookup_user';
  for (const server of [cluster, pair.plain as unknown as Cluster]) await server.query(`DROP ROLE IF EXISTS ${role}`).catch(() => undefined);
  await cluster.query(`CREATE ROLE ${role}; GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON users TO ${role}; GRANT SELECT ON tenants, ranks TO ${role}`);
  try {
    await cluster.transaction(async (client) => {
      await client.query(`SET LOCAL ROLE ${role}`);
      await client.query(`INSERT INTO users (tenant_id, id, email) VALUES (1, 800, 'role@x'), (2, 800, 'other@x')`);
      await client.query(`UPDATE users SET email = 'role@y' WHERE email = 'role@x'`);
      expect((await client.query(`SELECT tenant_id FROM users WHERE email = 'role@y'`)).rows).toEqual([{ tenant_id: '1' }]);
      await client.query(`DELETE FROM users WHERE id = 800`);
    });
  } finally {
    await cluster.query(`REVOKE ALL ON users, tenants, ranks FROM ${role}`);
    await cluster.query(`DROP ROLE ${role}`);
  }
  await checkKept();
});

test('shard groups of the table and of the lookup may be moved and split', async () => {
  const shardsOf = async (name: string) => (await cluster.shards()).filter(({ table }) => table === name);
  const lookup = present((await cluster.lookups())[0]).lookupTable;
  for (const name of ['users', lookup]) {
    const { shardId, nodeId } = at(await shardsOf(name), 1);
    await cluster.moveShardGroup(shardId, { to: present((await cluster.nodes()).find(({ id }) => id !== nodeId)).id });
    await cluster.splitShardGroup(at(await shardsOf(name), 2).shardId, { into: 2 });
    await same(`INSERT INTO users (tenant_id, id, email) SELECT i, 900 + i, '${name === lookup ? 'split' : 'moved'}' || i FROM generate_series(1, 12) i`);
    await same(`UPDATE users SET email = email || '!' WHERE id BETWEEN 900 AND 905`);
    await same(`SELECT id FROM users WHERE email = '${name === lookup ? 'split' : 'moved'}3!'`);
    await same(`DELETE FROM users WHERE id > 900`);
  }
  await checkKept();
  expect((await cluster.checkSchema()).text).toMatch(/no differences/);
  expect((await cluster.verify()).text).toMatch(/no differences/);
}, 60_000);

test.each([
  ['DROP TABLE users'], ['ALTER TABLE users RENAME email TO mail'], ['ALTER TABLE users RENAME tenant_id TO tenant'], ['ALTER TABLE users DROP COLUMN email CASCADE'], ['DROP TRIGGER shardwright_lookup_1_insert ON users'],
  ['ALTER TABLE users DISABLE TRIGGER shardwright_lookup_1_update'], ['ALTER TRIGGER shardwright_lookup_1_delete ON users RENAME TO other'], ['DROP TABLE shardwright.unique_lookup_1'],
  [`SELECT alter_distributed_table('users', shard_count => 3)`], ['DROP SCHEMA public CASCADE'],
])('%s is refused', async (statement) => {
  await expect(cluster.query(statement)).rejects.toMatchObject({ id: 'tableHasLookup', code: '2BP01', number: 'SW111' });
});

test('what PostgreSQL itself refuses of a column that triggers name, and what changes nothing of that', async () => {
  await expect(cluster.query('ALTER TABLE users ALTER email TYPE varchar(100)')).rejects.toMatchObject({ code: '0A000' });
  await expect(cluster.query('ALTER TABLE users DROP COLUMN email')).rejects.toMatchObject({ code: '2BP01' });
  await cluster.query('ALTER TABLE users RENAME TO members');
  await expect(cluster.query(`INSERT INTO members (tenant_id, id, email) VALUES (1, 5000, 'u1@x')`)).rejects.toMatchObject({ code: '23505', table: 'members', constraint: 'users_email_key' });
  await cluster.query('ALTER TABLE members RENAME TO users; ALTER TABLE users ADD COLUMN more int DEFAULT 3; ALTER TABLE users DROP COLUMN more');
  await checkKept();
});

test.each([
  ['orders', 'tenant_id', { id: 'invalidParameter', message: expect.stringContaining('without the distribution column') as string }], ['countries', 'name', { id: 'unsupportedTable', message: expect.stringContaining('reference table') as string }], ['orders', 'mood', { id: 'unsupportedTable', message: expect.stringContaining('mood') as string }],
  ['orders', 'none', { id: 'undefinedColumn' }], ['notes', 'body', { id: 'notDistributed' }], ['nowhere', 'body', { id: 'undefinedTable' }], ['users', 'email', { code: '42710', message: 'table "users" has the unique lookup "users_email_key" already' }],
])('a lookup of %s (%s) is refused', async (table, column, error) => {
  await expect(cluster.createUniqueLookup(table, column)).rejects.toMatchObject(error);
  expect(await cluster.lookups()).toHaveLength(2);
});

test('they are not among the tables, and nobody can name them', async () => {
  expect((await cluster.tables()).map(({ name }) => name)).not.toContain('unique_lookup_1');
  expect((await cluster.query(`SELECT table_name FROM citus_tables WHERE table_name::text LIKE '%lookup%'`)).rows).toEqual([]);
  for (const statement of ['DELETE FROM shardwright.unique_lookup_1', 'ALTER TABLE shardwright.unique_lookup_1 ADD COLUMN c int', 'LOCK TABLE shardwright.unique_lookup_1']) await expect(cluster.query(statement)).rejects.toMatchObject({ id: 'unsupportedQuery' });
  await expect(cluster.dropUniqueLookup('users', 'name')).rejects.toMatchObject({ id: 'unknownLookup' });
  await cluster.query(`SELECT drop_unique_lookup('users', 'email')`);
  expect((await cluster.lookups()).map(({ name }) => name)).toEqual(['one_login']);
  await cluster.query(`INSERT INTO users (tenant_id, id, email) VALUES (1, 6000, 'u1@x')`);
});
