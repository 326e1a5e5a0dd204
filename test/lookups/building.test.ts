import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { at, present } from '../../src/base/assert.ts';
import type { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, run } from '../coordinator/start-cluster.ts';
import { lookupRows, startUsers, tableRows } from './lookup-pair.ts';
import { scriptArguments } from '../support/child-script.ts';

let pair: ClusterAndPlain;
let cluster: Cluster;
beforeAll(async () => {
  pair = await startUsers();
  cluster = pair.cluster;
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);
beforeEach(async () => {
  for (const { columns } of await cluster.lookups()) await cluster.dropUniqueLookup('users', columns);
});

const rows = 12_000;
const fill = `INSERT INTO users (tenant_id, id, email, name) SELECT 1 + i % 12, i, 'm' || i, '' FROM generate_series(1, ${rows}) i`;

async function checkKept(): Promise<void> {
  expect(await lookupRows(pair, ['email'])).toEqual(await tableRows(cluster, ['email']));
}

test('writers of another process go on while it is built, and none is lost', async () => {
  await cluster.query('TRUNCATE users');
  await cluster.query(fill);
  const other = pair.another();
  const built = new AbortController();
  let writes = 0;
  const write = async (own: number): Promise<void> => {
    for (let i = 0; !built.signal.aborted || i < 20; i += 1) {
      const id = 1 + ((i * 7919 + own * 104_729) % rows);
      // Some change keys, some go, some move on their page or to another shard.
      if (i % 4 === 0) await other.query(`UPDATE users SET email = $1 WHERE id = $2`, [`w${own}-${i}`, id]);
      else if (i % 4 === 1) await other.query(`DELETE FROM users WHERE tenant_id = $1 AND id = $2`, [1 + (id % 12), id]);
      else if (i % 4 === 2) await other.query(`UPDATE users SET name = repeat('x', 500) WHERE id BETWEEN $1 AND $1 + 20`, [id]);
      else await other.query(`INSERT INTO users (tenant_id, id, email) VALUES ($1, $2, $3)`, [1 + (i % 12), 100_000 * (own + 1) + i, `n${own}-${i}`]);
      writes += 1;
    }
  };
  const writers = [0, 1, 2].map(write);
  await cluster.createUniqueLookup('users', 'email').finally(() => built.abort());
  await Promise.all(writers);
  expect(writes).toBeGreaterThanOrEqual(60);
  expect(await cluster.lookups()).toMatchObject([{ name: 'users_email_key', table: 'users', columns: ['email'], valid: true }]);
  await checkKept();
  expect((await cluster.checkSchema()).text).toMatch(/no differences/);
}, 60_000);

test.each([
  ['in one shard', `(1, 500001, 'twin'), (1, 500002, 'twin')`], ['in two', `(1, 500001, 'twin'), (2, 500002, 'twin')`], ['of one tenant, far apart', `(1, 500001, 'm12'), (1, 500002, 'far')`],
])('equal keys %s are found, and nothing is left of the lookup', async (_where, values) => {
  await cluster.query('TRUNCATE users');
  await cluster.query(fill);
  await cluster.query(`INSERT INTO users (tenant_id, id, email) VALUES ${values}`);
  const key = values.includes('m12') ? 'm12' : 'twin';
  await expect(cluster.createUniqueLookup('users', 'email')).rejects.toMatchObject({ id: 'duplicateKeys', code: '23505', detail: `Key (email)=(${key}) is duplicated.` });
  expect(await cluster.lookups()).toEqual([]);
  expect((await cluster.shards()).filter(({ schema }) => schema === 'shardwright')).toEqual([]);
  await cluster.query(`INSERT INTO users (tenant_id, id, email) VALUES (3, 500003, '${key}')`);
});

const lockTable = 'LOCK TABLE users IN ACCESS EXCLUSIVE MODE';
const lockCatalog = 'SELECT id FROM shardwright.cluster FOR NO KEY UPDATE';

test.each([['the catalog and then the table', lockCatalog, lockTable], ['the table and then the catalog', lockTable, lockCatalog]])('a change of definitions beside it that locks %s is never told of a deadlock', async (_order, first, second) => {
  await cluster.query('TRUNCATE users');
  await cluster.query(`INSERT INTO users (tenant_id, id, email) VALUES (1, 1, 'only@x')`);
  const client = new Client({ connectionString: pair.databases.coordinator.connectionString });
  await client.connect();
  // It looks for a deadlock before the other would, and later than that gives way.
  await client.query(`SET deadlock_timeout = '500ms'`);
  try {
    for (const change of [() => cluster.createUniqueLookup('users', 'email'), () => cluster.dropUniqueLookup('users', ['email'])]) {
      await client.query(`BEGIN; ${first}`);
      const changed = change();
      for (let waiting = 0; waiting === 0;) {
        ({ rows: [{ waiting }] } = await pair.cluster.query(`SELECT count(*)::int AS waiting FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) as unknown as { rows: [{ waiting: number }] });
      }
      await client.query(second);
      await client.query('COMMIT');
      await changed;
    }
  } finally {
    await client.end();
  }
  expect(await cluster.lookups()).toEqual([]);
}, 60_000);

test.each([0, 3, 5])('a build whose process is killed goes on when it is called again, and is written meanwhile: before the rows of shard %i', async (ordinal) => {
  await cluster.query('TRUNCATE users');
  await cluster.query(fill);
  const held = await holdRows(ordinal);
  const child = spawn(process.execPath, [...scriptArguments(new URL('builder-process.ts', import.meta.url)), pair.databases.coordinator.connectionString], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  try {
    await held.isWaitedFor();
    child.kill('SIGKILL');
    await ended;
  } finally {
    await held.release();
  }
  expect(await cluster.lookups()).toMatchObject([{ name: 'users_email_key', valid: false }]);
  // Not every row is in it.
  expect((await cluster.explain(`SELECT id FROM users WHERE email = 'm1'`)).text).not.toContain('Lookup');
  await cluster.query(`UPDATE users SET email = 'after' || id WHERE id % 100 = 7`);
  await cluster.recover();
  await cluster.createUniqueLookup('users', 'email');
  expect(at(await cluster.lookups(), 0).valid).toBe(true);
  await checkKept();
}, 60_000);

/** Locks the rows of a shard: what brings them into a lookup waits. */
async function holdRows(ordinal: number): Promise<{ isWaitedFor: () => Promise<void>; release: () => Promise<void> }> {
  const shard = at((await cluster.shards()).filter(({ table }) => table === 'users'), ordinal);
  const client = new Client({ connectionString: present(pair.databases.nodes[shard.nodeId - 1]).connectionString });
  await client.connect();
  await client.query(`BEGIN; SELECT FROM ${shard.name} FOR UPDATE`);
  const waiting = 'SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))';
  return {
    isWaitedFor: () => expect.poll(async () => (await client.query(waiting)).rowCount, { timeout: 30_000, interval: 10 }).toBeGreaterThan(0),
    release: () => client.end(),
  };
}

test('who does not know the lookup cannot write past it', async () => {
  await cluster.query('TRUNCATE users');
  await cluster.createUniqueLookup('users', 'email');
  const shard = await cluster.shardOf('users', 3);
  const client = new Client({ connectionString: present(pair.databases.nodes[shard.nodeId - 1]).connectionString });
  await client.connect();
  try {
    const refused = { code: '42P01', message: `relation "${shard.name}" has a unique lookup that was not written` };
    await expect(client.query(`INSERT INTO ${shard.name} (tenant_id, id, email) VALUES (3, 1, 'x')`)).rejects.toMatchObject(refused);
    await client.query(`BEGIN; INSERT INTO ${shard.name} (tenant_id, id, email) VALUES (3, 1, 'x')`);
    await expect(client.query('COMMIT')).rejects.toMatchObject(refused);
    await client.query(`INSERT INTO ${shard.name} (tenant_id, id) VALUES (3, 1)`);
  } finally {
    await client.end();
  }
  await checkKept();
});

test('verify tells which keys of a lookup are not those of the table', async () => {
  await cluster.query('TRUNCATE users');
  await cluster.query(`INSERT INTO users (tenant_id, id, email) SELECT i, i, 'v' || i FROM generate_series(1, 9) i; INSERT INTO users (tenant_id, id) VALUES (1, 100)`);
  await cluster.createUniqueLookup('users', 'email');
  expect((await cluster.verify('users')).text).toBe('19 rows in 12 shards of 2 tables verified, no differences');
  const { lookupTable } = at(await cluster.lookups(), 0);
  const shards = (await cluster.shards()).filter(({ schema, table }) => schema === 'shardwright' && table === lookupTable);
  const onShards = async (text: (shard: string) => string): Promise<void> => {
    for (const { nodeId, name } of shards) await run(present(pair.databases.nodes[nodeId - 1]).connectionString, text(`shardwright."${name}"`));
  };
  await onShards((shard) => `DELETE FROM ${shard} WHERE email = 'v1'; UPDATE ${shard} SET tenant_id = 77 WHERE email = 'v2'; UPDATE ${shard} SET email = email WHERE email = 'v3'`);
  await onShards((shard) => `DO $$ BEGIN INSERT INTO ${shard} VALUES ('none', 5); EXCEPTION WHEN check_violation THEN NULL; END $$`);
  const { differences, text } = await cluster.verify('users');
  const one = (key: string, inTable: string[], inLookup: string[]) => {
    const rows = (texts: string[]) => texts.map((row) => ({ text: row, count: 1 }));
    return { kind: 'lookup_differs', schema: 'public', table: 'users', lookup: 'users_email_key', key, inTable: rows(inTable), inLookup: rows(inLookup) };
  };
  expect(differences.toSorted((a, b) => a.key.localeCompare(b.key))).toEqual([one('(none)', [], ['(none,5)']), one('(v1)', ['(v1,1)'], []), one('(v2)', ['(v2,2)'], ['(v2,77)'])]);
  expect(text).toContain('key (v1): unique lookup users_email_key differs\n  in the table:  (v1,1)\n  in the lookup: nothing');
});

test('lookups of any types that have a hash, by any names', async () => {
  await cluster.query(`CREATE TABLE "Odd ""Users" ("Ten ant" uuid, n numeric(10, 2), at timestamptz, "e mail" text COLLATE "C", b bytea, f float8, PRIMARY KEY ("Ten ant", n))`);
  await cluster.createDistributedTable('"Odd ""Users"', 'Ten ant', { shardCount: 3 });
  for (const columns of ['n', 'at', '"e mail"', 'b', ['f', 'at', 'n']]) await cluster.createUniqueLookup('"Odd ""Users"', columns);
  const insert = (n: string, at: string, mail: string, b: string, f: string) =>
    cluster.query(`INSERT INTO "Odd ""Users" VALUES (gen_random_uuid(), ${n}, '${at}', '${mail}', '${b}', ${f})`);
  await insert('1.5', '2024-01-01 12:00+02', 'a"b,{c}', '\\x00ff', '0.1');
  const client = await cluster.connect();
  try {
    await client.query(`SET datestyle = 'SQL, DMY'; SET timezone = 'Asia/Tokyo'; SET extra_float_digits = 0; SET bytea_output = 'escape'`);
    await client.query(`INSERT INTO "Odd ""Users" VALUES (gen_random_uuid(), 2, '03/02/2024 10:00', 'z', 'q\\001', 1.0 / 3)`);
    await client.query(`UPDATE "Odd ""Users" SET at = at + interval '1 day', f = f * 3`);
  } finally {
    client.release();
  }
  const rejected = async (run: Promise<unknown>, constraint: string) => expect(run).rejects.toMatchObject({ code: '23505', constraint, table: 'Odd "Users', message: `duplicate key value violates unique constraint "${constraint}"` });
  await rejected(insert('1.50', '2020-01-01', 'b', '\\x01', '9'), 'Odd "Users_n_key');
  await rejected(insert('3', '2024-01-02 10:00+00', 'b', '\\x01', '9'), 'Odd "Users_at_key');
  await rejected(insert('3', '2020-01-01', 'a"b,{c}', '\\x01', '9'), 'Odd "Users_e mail_key');
  await rejected(insert('3', '2020-01-01', 'b', '\\x00ff', '9'), 'Odd "Users_b_key');
  await cluster.query(`DELETE FROM "Odd ""Users"`);
  await insert('1.5', '2024-01-02 12:00+02', 'a"b,{c}', '\\x00ff', '0.1');
  await expect(cluster.undistributeTable('"Odd ""Users"')).rejects.toMatchObject({ id: 'tableHasLookup' });
  for (const columns of ['n', 'at', '"e mail"', 'b', ['f', 'at', 'n']]) await cluster.dropUniqueLookup('"Odd ""Users"', columns);
  await cluster.query(`DROP TABLE "Odd ""Users"`);
});

test('no lookup of values that are not what JSON makes of them', async () => {
  await cluster.query(`CREATE TYPE pair AS (a int, b text); CREATE DOMAIN document AS jsonb; CREATE DOMAIN "documents 2" AS document; CREATE TYPE state AS ENUM ('on', 'off'); CREATE DOMAIN short AS varchar(4)`);
  await cluster.query('CREATE TABLE odd (tenant_id bigint, n int, a jsonb, b int[], c pair, d "documents 2", state state, short short)');
  await cluster.createDistributedTable('odd', 'tenant_id', { shardCount: 3 });
  for (const [column, type] of [['a', 'jsonb'], ['b', 'integer[]'], ['c', 'public.pair'], ['d', 'public."documents 2"']] as const) {
    await expect(cluster.createUniqueLookup('odd', ['n', column])).rejects.toMatchObject({ id: 'unsupportedTable', message: `cannot make a unique lookup of table "odd": column "${column}" is of type ${type}, whose values are compared as something else than their texts` });
  }
  await cluster.createUniqueLookup('odd', ['n', 'state', 'short'], { name: 'odd_key' });
  const insert = (tenant: number): Promise<unknown> => cluster.query(`INSERT INTO odd (tenant_id, n, a, b, state, short) VALUES (${tenant}, 1, 'null', '{1}', 'on', 'x')`);
  await insert(1);
  await expect(insert(2)).rejects.toMatchObject({ code: '23505', constraint: 'odd_key' });
  await cluster.query('DELETE FROM odd');
  await insert(2);
  await cluster.dropUniqueLookup('odd', ['n', 'state', 'short']);
  await cluster.query('DROP TABLE odd');
});

test('nothing is written past a lookup where the session runs no triggers', async () => {
  await cluster.query(`TRUNCATE users; INSERT INTO users (tenant_id, id, email) VALUES (1, 1, 'one')`);
  await cluster.createUniqueLookup('users', 'email');
  const refused = { id: 'unsupportedWrite', detail: expect.stringContaining('session_replication_role is "replica"') as unknown };
  const client = await cluster.connect();
  try {
    await client.query(`SET session_replication_role = replica`);
    for (const text of [`INSERT INTO users (tenant_id, id, email) VALUES (2, 2, 'one')`, `UPDATE users SET email = 'two'`, 'DELETE FROM users', `INSERT INTO users (tenant_id, id, email) VALUES (2, 2, 'one') ON CONFLICT DO NOTHING`]) await expect(client.query(text)).rejects.toMatchObject(refused);
    await client.query('RESET session_replication_role');
    expect((await client.query('DELETE FROM users')).rowCount).toBe(1);
  } finally {
    client.release();
  }
});
