import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client, type Pool, type PoolClient } from 'pg';
import { at } from '../../src/base/assert.ts';
import { serve } from '../../src/wire.ts';
import { Random } from '../oracle/random.ts';
import type { ClusterAndPlain } from '../coordinator/start-cluster.ts';
import { lookupRows, outcomeOf, startLookups, tableRows } from './lookup-pair.ts';

let pair: ClusterAndPlain;
beforeAll(async () => {
  pair = await startLookups();
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

const keys = [['email'], ['login', 'site']] as const;

/** The lookups have the keys of exactly the rows that there are, and these are those of one PostgreSQL. */
async function checkKept(): Promise<void> {
  for (const columns of keys) {
    const expected = await tableRows(pair.cluster, columns);
    expect(await lookupRows(pair, columns)).toEqual(expected);
    expect(expected).toEqual(await tableRows(pair.plain, columns));
  }
}

async function same(step: string): Promise<void> {
  expect({ step, got: await outcomeOf(pair.cluster, step) }).toEqual({ step, got: await outcomeOf(pair.plain, step) });
}

/** Every way in which rows are written. Each stands for itself, the state goes on from one to the next. */
const writes = [
  `INSERT INTO users (tenant_id, id, email) VALUES (1, 1000, 'new@x') RETURNING email`, `INSERT INTO users (tenant_id, id, email) VALUES (2, 1000, 'new@x')`,
  `INSERT INTO users (tenant_id, id, email) VALUES (1, 1001, NULL), (2, 1001, NULL)`, `INSERT INTO users (tenant_id, id, email) VALUES (3, 1002, 'a@x'), (4, 1002, 'b@x'), (5, 1002, 'c@x') RETURNING id, email`,
  `INSERT INTO users (tenant_id, id, email) VALUES (3, 1003, 'd@x'), (4, 1003, 'a@x')`, `INSERT INTO users (tenant_id, id, email) VALUES (6, 1004, 'twice@x'), (7, 1004, 'twice@x')`, `INSERT INTO users (tenant_id, id, email) VALUES (6, 1004, 'two''s "quotes", {}\\')`,
  `INSERT INTO users (tenant_id, id, login, site) VALUES (1, 1005, 'l1', 77), (2, 1005, 'l1', NULL), (3, 1005, 'l1', NULL)`, `INSERT INTO users (tenant_id, id, login, site) VALUES (4, 1005, 'l1', 77)`,
  `INSERT INTO users (tenant_id, id, email) VALUES (1, 1000, 'other@x') ON CONFLICT (tenant_id, id) DO UPDATE SET email = excluded.email`, `INSERT INTO users (tenant_id, id, email) VALUES (1, 1000, 'a@x') ON CONFLICT (tenant_id, id) DO UPDATE SET email = excluded.email`,
  `INSERT INTO users (tenant_id, id, email) VALUES (1, 1000, 'none@x'), (9, 1000, 'nine@x') ON CONFLICT (tenant_id, id) DO NOTHING`, `INSERT INTO users (tenant_id, id, email) VALUES (9, 1009, 'nine@x') ON CONFLICT (tenant_id, id) DO NOTHING`,
  `INSERT INTO users (tenant_id, id, email) SELECT 1 + id % 12, 2000 + id, 's' || id FROM users WHERE id < 30`, `INSERT INTO users (tenant_id, id, email) SELECT tenant_id, 3000 + id, 's' || id FROM users WHERE id = 2003`,
  `UPDATE users SET email = 'up@x' WHERE tenant_id = 2 AND id = 1`, `UPDATE users SET email = 'up@x' WHERE tenant_id = 3 AND id = 2`, `UPDATE users SET email = email || '2' WHERE id BETWEEN 40 AND 60`, `UPDATE users SET name = 'only' WHERE tenant_id = 4`, `UPDATE users SET name = email`,
  `UPDATE users SET email = NULL WHERE id = 41`, `UPDATE users SET email = 'back@x' WHERE id = 41`, `UPDATE users SET email = 'all@x' WHERE tenant_id = 5`, `UPDATE users SET site = 1000 + id WHERE tenant_id = 5`, `UPDATE users u SET email = t.name || '/' || u.id FROM tenants t WHERE t.id = u.tenant_id AND u.tenant_id = 6`,
  `UPDATE users SET tenant_id = 8 WHERE tenant_id = 7 AND id = 66 RETURNING tenant_id, id, email`, `UPDATE users SET tenant_id = 1 + tenant_id % 12, email = 'k' || id WHERE id BETWEEN 70 AND 80`,
  `DELETE FROM users WHERE tenant_id = 8 AND id = 66`, `DELETE FROM users WHERE id BETWEEN 90 AND 95 RETURNING email`, `DELETE FROM users USING tenants t WHERE t.id = users.tenant_id AND t.name = 't9'`, `INSERT INTO users (tenant_id, id, email) VALUES (9, 1, 'u91@x'), (9, 2, 'nine@x')`,
  `DELETE FROM tenants WHERE id = 10`, `INSERT INTO users (tenant_id, id, email) VALUES (1, 4000, 'u10@x')`, `UPDATE users SET rank = 'gone' WHERE tenant_id IN (11, 12)`, `DELETE FROM ranks WHERE name = 'gone'`, `INSERT INTO users (tenant_id, id, email) VALUES (2, 4000, 'u11@x')`,
  `WITH d AS (DELETE FROM users WHERE id = 50 RETURNING tenant_id) UPDATE tenants SET name = name || '!' FROM d WHERE d.tenant_id = tenants.id`, `WITH d AS (DELETE FROM users WHERE tenant_id = 2 AND id = 1 RETURNING email) INSERT INTO users (tenant_id, id, email) SELECT 2, 5000, 'from' || email FROM d`,
  `MERGE INTO users u USING (VALUES (1::bigint, 1000, 'm1@x'), (3, 6000, 'm2@x')) v (t, i, e) ON u.tenant_id = v.t AND u.id = v.i WHEN MATCHED THEN UPDATE SET email = v.e WHEN NOT MATCHED THEN INSERT (tenant_id, id, email) VALUES (v.t, v.i, v.e)`,
  `MERGE INTO users u USING tenants t ON u.tenant_id = t.id AND u.id = 6000 WHEN MATCHED THEN DELETE`, `BEGIN; INSERT INTO users (tenant_id, id, email) VALUES (1, 7000, 'block@x'); DELETE FROM users WHERE tenant_id = 1 AND id = 7000; INSERT INTO users (tenant_id, id, email) VALUES (2, 7000, 'block@x'); COMMIT`,
  `BEGIN; INSERT INTO users (tenant_id, id, email) VALUES (3, 7001, 'undone@x'); ROLLBACK`, `INSERT INTO users (tenant_id, id, email) VALUES (4, 7001, 'undone@x')`,
  `BEGIN; SAVEPOINT s; INSERT INTO users (tenant_id, id, email) VALUES (3, 7002, 'saved@x'); ROLLBACK TO s; INSERT INTO users (tenant_id, id, email) VALUES (4, 7002, 'saved@x'); COMMIT`,
  `BEGIN; SET CONSTRAINTS ALL IMMEDIATE; INSERT INTO users (tenant_id, id, email) VALUES (3, 7003, 'soon@x'); UPDATE users SET email = 'sooner@x' WHERE id = 7003; COMMIT`, `BEGIN ISOLATION LEVEL SERIALIZABLE; UPDATE users SET email = 'serial@x' WHERE id = 7003; INSERT INTO users (tenant_id, id, email) VALUES (1, 7004, 'sooner@x'); COMMIT`,
  `INSERT INTO users (tenant_id, id, email) VALUES (1, 8000, 'block@x') ON CONFLICT DO NOTHING RETURNING id`, `INSERT INTO users (tenant_id, id, email) VALUES (1, 8000, 'q0@x') ON CONFLICT (email) DO NOTHING RETURNING id, email`, `INSERT INTO users (tenant_id, id, email) VALUES (1, 8000, 'q9@x') ON CONFLICT (email) DO NOTHING`,
  `INSERT INTO users (tenant_id, id, email) VALUES (1, 8001, 'q1@x'), (2, 8001, 'block@x'), (3, 8001, 'q1@x'), (4, 8001, 'q2@x'), (1, 8001, 'q3@x'), (5, 8001, NULL), (6, 8001, 'q0@x') ON CONFLICT DO NOTHING RETURNING tenant_id, email`,
  `INSERT INTO users (tenant_id, id, email) VALUES (1, 8002, 'q4@x'), (2, 8002, 'q4@x') ON CONFLICT (email) DO NOTHING`, `INSERT INTO users (tenant_id, id, login, site) VALUES (1, 8003, 'lq', 9), (2, 8003, 'lq', 9) ON CONFLICT (site, login) DO NOTHING`,
  `INSERT INTO users (tenant_id, id, login, site, email) VALUES (3, 8003, 'lq', 9, 'q4@x') ON CONFLICT ON CONSTRAINT one_login DO NOTHING`, `INSERT INTO users (tenant_id, id, login, site, email) VALUES (3, 8003, 'lr', 9, 'q4@x') ON CONFLICT ON CONSTRAINT one_login DO NOTHING`,
  `BEGIN; INSERT INTO users (tenant_id, id, email) VALUES (1, 8004, 'q5@x'); INSERT INTO users (tenant_id, id, email) VALUES (2, 8004, 'q5@x'), (3, 8004, 'q6@x') ON CONFLICT (email) DO NOTHING; COMMIT`,
  `INSERT INTO users (tenant_id, id, email) VALUES (1, 7005, 'x1'); INSERT INTO users (tenant_id, id, email) VALUES (2, 7005, 'x1')`, `SET extra_float_digits = 0; INSERT INTO users (tenant_id, id, email) VALUES (2, 7006, 'set@x'); RESET extra_float_digits`,
] as const;

test('every write is as with UNIQUE on one PostgreSQL, and kept', async () => {
  for (const [i, step] of writes.entries()) {
    await same(step);
    if (i % 6 === 5) await checkKept();
  }
  await checkKept();
}, 60_000);

/** ON CONFLICT DO UPDATE that means a lookup. */
const upserts = [
  `INSERT INTO users (tenant_id, id, email, name) VALUES (1, 9000, 'v1@x', 'first') ON CONFLICT (email) DO UPDATE SET name = excluded.name RETURNING tenant_id, id, name`,
  `INSERT INTO users (tenant_id, id, email, name) VALUES (5, 9001, 'v1@x', 'second') ON CONFLICT (email) DO UPDATE SET name = excluded.name RETURNING tenant_id, id, name`,
  `INSERT INTO users AS u (tenant_id, id, email, name, site) VALUES (6, 9001, 'v1@x', 'third', 4) ON CONFLICT ON CONSTRAINT users_email_key DO UPDATE SET name = u.name || '/' || excluded.name, (rank, site) = ('high', excluded.site + 1) WHERE u.tenant_id < excluded.tenant_id RETURNING *`,
  `INSERT INTO users (tenant_id, id, email, name) VALUES (6, 9001, 'v1@x', 'fourth') ON CONFLICT (email) DO UPDATE SET name = excluded.name WHERE users.name = 'other' RETURNING id`,
  `INSERT INTO users (tenant_id, id, email, name) VALUES (2, 9002, 'v2@x', 'a'), (3, 9002, 'v1@x', 'b'), (4, 9002, 'v3@x', 'c') ON CONFLICT (email) DO UPDATE SET name = excluded.name, rank = DEFAULT RETURNING tenant_id, id, name, rank`,
  `INSERT INTO users (tenant_id, id, email, name) VALUES (2, 9003, 'v4@x', 'a'), (3, 9003, 'v4@x', 'b') ON CONFLICT (email) DO UPDATE SET name = excluded.name`,
  `INSERT INTO users (tenant_id, id, email, name) VALUES (2, 9003, 'v1@x', 'a'), (3, 9003, 'v1@x', 'b') ON CONFLICT (email) DO UPDATE SET name = excluded.name`,
  `INSERT INTO users (tenant_id, id, email) VALUES (2, 9003, 'v1@x'), (3, 9003, 'v1@x'), (3, 9004, 'v5@x') ON CONFLICT (email) DO UPDATE SET email = 'v5@x'`,
  `INSERT INTO users (tenant_id, id, email) VALUES (2, 9003, 'v2@x'), (3, 9003, 'v2@x') ON CONFLICT (email) DO UPDATE SET email = 'v6@x' RETURNING tenant_id, id, email`,
  `INSERT INTO users (tenant_id, id, email) VALUES (2, 9005, 'v6@x') ON CONFLICT (email) DO UPDATE SET email = 'v3@x'`, `INSERT INTO users (tenant_id, id, email) VALUES (2, 9005, NULL), (3, 9005, NULL) ON CONFLICT (email) DO UPDATE SET name = 'never' RETURNING name`,
  `INSERT INTO users (tenant_id, id, login, site, name) VALUES (7, 9006, 'lv', 9, 'x'), (8, 9006, 'lv', 9, 'y') ON CONFLICT (site, login) DO UPDATE SET name = excluded.name`, `INSERT INTO users (tenant_id, id, login, site, name) VALUES (7, 9006, 'lv', 9, 'x') ON CONFLICT (site, login) DO UPDATE SET name = excluded.name`,
  `INSERT INTO users (tenant_id, id, login, site, email) VALUES (8, 9006, 'lv', 9, 'v3@x') ON CONFLICT (site, login) DO UPDATE SET email = excluded.email`, `INSERT INTO users (tenant_id, id, login, site, email) VALUES (8, 9006, 'lv', 9, 'v7@x') ON CONFLICT (site, login) DO UPDATE SET email = excluded.email, site = users.site + excluded.id RETURNING tenant_id, id, email, site`,
  `INSERT INTO users (tenant_id, id, email, name) VALUES (1, 9000, 'v4@x', 'same') ON CONFLICT (email) DO UPDATE SET name = excluded.name`, `INSERT INTO users (tenant_id, id, email, name) VALUES (1, 9000, 'v6@x', 'theirs'), (3, 9007, 'v1@x', 'x') ON CONFLICT (email) DO UPDATE SET name = excluded.name`,
  `INSERT INTO users (tenant_id, id, email, name) VALUES (3, 9008, 'v10@x', 'y'), (3, 9008, 'v11@x', 'x') ON CONFLICT (email) DO UPDATE SET name = excluded.name`, `INSERT INTO users (tenant_id, id, email, name) VALUES (3, 9008, 'v10@x', 'y'), (3, 9008, 'v10@x', 'x') ON CONFLICT (email) DO UPDATE SET name = excluded.name`,
  `INSERT INTO users (tenant_id, id, email) VALUES (1, 9000, 'v4@x') ON CONFLICT (email) DO NOTHING RETURNING id`, `INSERT INTO users (tenant_id, id, email) VALUES (1, 9000, 'v4@x'), (7, 9009, 'v14@x'), (1, 9000, 'v14@x') ON CONFLICT (email) DO NOTHING RETURNING id, email`,
  `INSERT INTO users (tenant_id, id, email) VALUES (1, 9000, 'v15@x') ON CONFLICT (email) DO NOTHING`, `INSERT INTO users (tenant_id, id, email) VALUES (9, 9012, 'v15@x'), (1, 9000, NULL) ON CONFLICT (email) DO NOTHING`,
  `BEGIN; INSERT INTO users (tenant_id, id, email, name) VALUES (1, 9010, 'v8@x', 'in'); INSERT INTO users (tenant_id, id, email, name) VALUES (2, 9010, 'v8@x', 'block') ON CONFLICT (email) DO UPDATE SET name = users.name || excluded.name; COMMIT`,
  `BEGIN; INSERT INTO users (tenant_id, id, email, name) VALUES (2, 9010, 'v8@x', 'gone') ON CONFLICT (email) DO UPDATE SET name = excluded.name; ROLLBACK`,
  `INSERT INTO users (tenant_id, id, email) VALUES (1, 9011, 'v8@x') ON CONFLICT (email) DO UPDATE SET name = name || 'x'`, `INSERT INTO users (tenant_id, id, email) VALUES (1, 9011, 'v8@x') ON CONFLICT (email) DO UPDATE SET name = max(users.name)`,
  `INSERT INTO users (tenant_id, id, email) VALUES (1, 9011, 'v8@x') ON CONFLICT (email) DO UPDATE SET name = excluded.id || (SELECT max(name) FROM tenants WHERE tenants.id = users.tenant_id) RETURNING name`, `INSERT INTO users (tenant_id, id, email) VALUES (1, 9011, 'v8@x') ON CONFLICT (email) DO UPDATE SET nothing = 1`, `INSERT INTO users (tenant_id, id, email, name) VALUES (1, 9011, 'v8@x', 5) ON CONFLICT (email) DO UPDATE SET name = excluded.name::int + '7' RETURNING name`,
] as const;

test('ON CONFLICT DO UPDATE that means a lookup is as with UNIQUE on one PostgreSQL', async () => {
  for (const [i, step] of upserts.entries()) {
    await same(step);
    if (i % 6 === 5) await checkKept();
  }
  await checkKept();
  for (const [text, values] of [
    ['INSERT INTO users (tenant_id, id, email, name) VALUES ($1, $2, $3, $4) ON CONFLICT (email) DO UPDATE SET name = $4, site = $5 + users.id, login = excluded.login WHERE users.tenant_id <> $6 RETURNING tenant_id, id, name, site', [3, 9020, 'v9@x', 'one', 4, 77]],
    ['INSERT INTO users (tenant_id, id, email, name) VALUES ($1, $2, $3, $4) ON CONFLICT (email) DO UPDATE SET name = $4, site = $5 + users.id, login = excluded.login WHERE users.tenant_id <> $6 RETURNING tenant_id, id, name, site', [4, 9021, 'v9@x', 'two', 5, 77]],
    ['INSERT INTO users (tenant_id, id, email, name) VALUES ($1, $2, $3, $4) ON CONFLICT (email) DO UPDATE SET name = $4, site = $5 + users.id, login = excluded.login WHERE users.tenant_id <> $6 RETURNING tenant_id, id, name, site', [4, 9021, 'v9@x', 'three', 5, 3]],
  ] as const) {
    const [got, expected] = await Promise.all([pair.cluster.query(text, [...values]), pair.plain.query(text, [...values])]);
    expect({ values, rows: got.rows, rowCount: got.rowCount, command: got.command }).toEqual({ values, rows: expected.rows, rowCount: expected.rowCount, command: expected.command });
  }
  await checkKept();
}, 60_000);

test('ON CONFLICT that means a lookup, in every way in which a statement is sent', async () => {
  const server = await serve(pair.cluster, { port: 0, authentication: 'trust' });
  const client = new Client({ host: server.host, port: server.port, user: 'postgres', database: pair.databases.coordinator.database });
  try {
    await client.connect();
    const update = 'INSERT INTO users (tenant_id, id, email, name) VALUES ($1, $2, $3, $4) ON CONFLICT (email) DO UPDATE SET name = $4 || users.id RETURNING name';
    const nothing = 'INSERT INTO users (tenant_id, id, email) VALUES ($1, $2, $3) ON CONFLICT (email) DO NOTHING RETURNING id';
    for (const one of [client, pair.plain]) {
      expect((await one.query(nothing, [1, 9000, 'v1@x'])).fields.map(({ name }) => name)).toEqual(['id']);
      expect((await one.query(update, [1, 9030, 'v12@x', 'a'])).rows).toEqual([{ name: 'a' }]);
      expect((await one.query({ name: 'again', text: update, values: [2, 9031, 'v12@x', 'b'] })).rows).toEqual([{ name: 'b9030' }]);
      expect((await one.query(nothing, [2, 9031, 'v12@x'])).rows).toEqual([]);
      expect((await one.query(nothing, [2, 9031, 'v13@x'])).rows).toEqual([{ id: 9031 }]);
    }
  } finally {
    await client.end();
    await server.close();
  }
  const session = await pair.cluster.connect();
  await session.query(`PREPARE put AS INSERT INTO users (tenant_id, id, email, name) VALUES ($1, $2, 'v12@x', $3) ON CONFLICT (email) DO UPDATE SET name = excluded.name RETURNING id, name`);
  expect((await session.query(`EXECUTE put (4, 9032, 'c')`)).rows).toEqual([{ id: 9030, name: 'c' }]);
  await pair.plain.query(`UPDATE users SET name = 'c' WHERE email = 'v12@x'`);
  session.release();
  await checkKept();
});

test.each([
  [`INSERT INTO users (tenant_id, id, email) SELECT 1.5, 1, 'v1@x' ON CONFLICT (email) DO NOTHING`, /a value of type numeric/], [`WITH t AS (DELETE FROM tenants WHERE id = 99 RETURNING id) INSERT INTO users (tenant_id, id, email) SELECT id, 1, 'v1@x' FROM t ON CONFLICT (email) DO NOTHING`, /the query of the INSERT writes/],
  [`INSERT INTO users (tenant_id, id, email) VALUES (1, 1, 'v1@x') ON CONFLICT (email) DO UPDATE SET name = excluded::text`, /reads "excluded" as a whole/],
  [`SET extra_float_digits = 0; INSERT INTO users (tenant_id, id, email) VALUES (1, 1, 'v1@x') ON CONFLICT (email) DO UPDATE SET name = 'x'`, /extra_float_digits/],
])('refused: %s', async (text, detail) => {
  const session = await pair.cluster.connect();
  try {
    await expect(session.query(text)).rejects.toMatchObject({ code: '0A000', detail: expect.stringMatching(detail) });
  } finally {
    session.release(true);
  }
});

test('of many that insert or update a key at the same time, each does, once', async () => {
  const upsert = (tenant: number) => pair.cluster.query(`INSERT INTO users (tenant_id, id, email, site) VALUES ($1, 9100, 'count@x', 1) ON CONFLICT (email) DO UPDATE SET site = users.site + 1 RETURNING site`, [tenant]);
  const rows = (await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].flatMap((tenant) => [upsert(tenant), upsert(tenant)]))).map((result) => (result.rows as { site: number }[])[0]?.site);
  expect(rows.sort((a = 0, b = 0) => a - b)).toEqual(Array.from({ length: 16 }, (_, i) => i + 1));
  expect((await pair.cluster.query(`SELECT site FROM users WHERE email = 'count@x'`)).rows).toEqual([{ site: 16 }]);
  await pair.cluster.query(`DELETE FROM users WHERE email = 'count@x'`);
  await checkKept();
}, 60_000);

test('COPY keeps them, all or nothing', async () => {
  const lines = Array.from({ length: 3000 }, (_, i) => `${1 + (i % 8)},${20_000 + i},copy${i}@x\n`).join('');
  const sql = 'COPY users (tenant_id, id, email) FROM STDIN (FORMAT csv)';
  expect(await pair.cluster.copyFrom(sql, lines)).toEqual({ rowCount: 3000 });
  await expect(pair.cluster.copyFrom(sql, '1,30000,fresh@x\n2,30000,copy77@x\n')).rejects.toMatchObject({ code: '23505', constraint: 'users_email_key', table: 'users', detail: 'Key (email)=(copy77@x) already exists.' });
  await pair.plain.query(`INSERT INTO users (tenant_id, id, email) SELECT 1 + i % 8, 20000 + i, 'copy' || i || '@x' FROM generate_series(0, 2999) i`);
  await checkKept();
});

test('values may be swapped within a statement', async () => {
  await pair.cluster.query(`UPDATE users SET email = CASE id WHEN 20001 THEN 'copy2@x' ELSE 'copy1@x' END WHERE id IN (20001, 20002)`);
  await pair.plain.query(`UPDATE users SET email = NULL WHERE id IN (20001, 20002); UPDATE users SET email = 'copy2@x' WHERE id = 20001; UPDATE users SET email = 'copy1@x' WHERE id = 20002`);
  await checkKept();
});

/** Which of several rows is found first that cannot be inserted is as arbitrary as their order. */
function withoutChoice(outcome: unknown): unknown {
  return typeof outcome === 'object' && outcome !== null && 'code' in outcome ? outcome.code : outcome;
}

/** Nothing is shifted from row to row within a statement, which one PostgreSQL refuses by the order of rows. */
test.each([1, 2, 3])('random statements of a session, in blocks and out (%i)', async (seed) => {
  const random = new Random(seed);
  const upTo = (n: number): number => random.int(0, n - 1);
  const email = (): string => (upTo(8) === 0 ? 'NULL' : `'r${upTo(25)}'`);
  const row = (): string => `(${1 + upTo(6)}, ${40_000 + upTo(20)}, ${email()})`;
  const one = (): string => `tenant_id = ${1 + upTo(6)} AND id = ${40_000 + upTo(20)}`;
  const statements: (() => string)[] = [
    () => `INSERT INTO users (tenant_id, id, email) VALUES ${row()}`, () => `INSERT INTO users (tenant_id, id, email) VALUES ${row()}, ${row()}`,
    () => `INSERT INTO users (tenant_id, id, email) VALUES ${row()} ON CONFLICT (tenant_id, id) DO UPDATE SET email = excluded.email`, () => `INSERT INTO users (tenant_id, id, email) VALUES ${row()}, ${row()} ON CONFLICT (email) DO NOTHING`, () => `INSERT INTO users (tenant_id, id, email) VALUES ${row()} ON CONFLICT (email) DO UPDATE SET name = excluded.id || 'n', site = excluded.tenant_id + coalesce(users.site, 0)`,
    () => `INSERT INTO users (tenant_id, id, email) SELECT v.* FROM (VALUES ${row()}, ${row()}, ${row()}) v (t, i, e) ORDER BY t, i, e ON CONFLICT (email) DO UPDATE SET name = excluded.id || 'q'`, () => `INSERT INTO users (tenant_id, id, email) SELECT v.* FROM (VALUES ${row()}, ${row()}) v (t, i, e) ORDER BY t, i, e ON CONFLICT DO NOTHING`,
    () => `UPDATE users SET email = ${email()} WHERE ${one()}`, () => `UPDATE users SET tenant_id = ${1 + upTo(6)} WHERE ${one()}`,
    () => `DELETE FROM users WHERE ${one()}`, () => `DELETE FROM users WHERE id = ${40_000 + upTo(20)}`, () => 'BEGIN', () => 'COMMIT', () => 'ROLLBACK', () => 'SAVEPOINT s', () => 'ROLLBACK TO s', () => 'COMMIT; BEGIN ISOLATION LEVEL REPEATABLE READ', () => 'COMMIT; BEGIN ISOLATION LEVEL SERIALIZABLE',
  ];
  const client = await pair.cluster.connect();
  const plain = await pair.plain.connect();
  try {
    for (let i = 0; i < 150; i += 1) {
      const step = at(statements, upTo(statements.length))();
      const [got, expected] = await Promise.all([outcomeOf(client as unknown as Pool, step), outcomeOf(plain as unknown as Pool, step)]);
      expect({ seed, i, step, got: withoutChoice(got) }).toEqual({ seed, i, step, got: withoutChoice(expected) });
    }
    for (const one of [client, plain]) await one.query('ROLLBACK');
  } finally {
    client.release();
    plain.release();
  }
  await checkKept();
}, 60_000);

test('of two that insert a key at the same time, one does', async () => {
  for (let i = 0; i < 50; i += 1) {
    const insert = (tenant: number) => pair.cluster.query('INSERT INTO users (tenant_id, id, email) VALUES ($1, $2, $3)', [tenant, 50_000 + i, `race${i}@x`]);
    const settled = await Promise.allSettled([insert(1), insert(2), insert(3)]);
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const one of settled) if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: '23505', constraint: 'users_email_key' });
  }
  await pair.plain.query(`INSERT INTO users (tenant_id, id, email) SELECT 1, 50000 + i, 'race' || i || '@x' FROM generate_series(0, 49) i`);
  expect(await lookupRows(pair, ['email'])).toHaveLength((await tableRows(pair.plain, ['email'])).length);
  await pair.cluster.query('UPDATE users SET tenant_id = 1 WHERE id >= 50000');
  await checkKept();
}, 60_000);

test('of two that wait for each other\'s keys one is told of a deadlock, and waiting for a key ends as PostgreSQL ends it', async () => {
  const insert = (tenant: number, id: number, email: string): string => `INSERT INTO users (tenant_id, id, email) VALUES (${tenant}, ${id}, '${email}')`;
  for (const [first, second] of [[await pair.cluster.connect(), await pair.cluster.connect()], [await pair.plain.connect(), await pair.plain.connect()]] as readonly (readonly [PoolClient, PoolClient])[]) {
    try {
      const codeOf = (client: PoolClient, text: string): Promise<unknown> => client.query(text).then(() => 'done', async (error: unknown) => client.query('ROLLBACK').then(() => (error as { code: string }).code));
      for (const [client, text] of [[first, insert(1, 61_000, 'ka')], [second, insert(2, 61_001, 'kb')]] as const) await client.query(`BEGIN; ${text}`);
      expect((await Promise.all([codeOf(first, insert(3, 61_002, 'kb')), codeOf(second, insert(4, 61_003, 'ka'))])).sort()).toEqual(['40P01', 'done']);
      for (const client of [first, second]) await client.query('ROLLBACK');
      await first.query(`BEGIN; ${insert(1, 61_000, 'ka')}`);
      expect(await codeOf(second, `SET lock_timeout = 200; ${insert(2, 61_000, 'ka')}`)).toBe('55P03');
      expect(await codeOf(second, `SET lock_timeout = 0; SET statement_timeout = 200; ${insert(2, 61_000, 'ka')}`)).toBe('57014');
      await second.query('RESET ALL');
      await first.query('ROLLBACK');
    } finally {
      first.release();
      second.release();
    }
  }
  await checkKept();
}, 60_000);

test('sessions that write the same few keys at once leave the lookup as the table', async () => {
  const work = async (seed: number): Promise<void> => {
    const random = new Random(seed);
    const upTo = (n: number): number => random.int(0, n - 1);
    for (let i = 0; i < 40; i += 1) {
      const [tenant, id, email] = [1 + upTo(6), 60_000 + upTo(6), `c${upTo(4)}@x`];
      const text = at([
        `INSERT INTO users (tenant_id, id, email) VALUES (${tenant}, ${id}, '${email}')`, `DELETE FROM users WHERE email = '${email}'`, `DELETE FROM users WHERE tenant_id = ${tenant} AND id = ${id}`,
        `UPDATE users SET email = '${email}' WHERE tenant_id = ${tenant} AND id = ${id}`, `UPDATE users SET tenant_id = ${tenant} WHERE id = ${id} AND email = '${email}'`,
      ], upTo(5));
      await pair.cluster.query(text).catch((error: unknown) => expect(['23505', '40P01', '40001']).toContain((error as { code: string }).code));
    }
  };
  await Promise.all([1, 2, 3, 4, 5].map(work));
  expect(await lookupRows(pair, ['email'])).toEqual(await tableRows(pair.cluster, ['email']));
  await pair.cluster.query('DELETE FROM users WHERE id BETWEEN 60000 AND 60010');
  await checkKept();
}, 60_000);

test('TRUNCATE empties them', async () => {
  await same('TRUNCATE users');
  await checkKept();
  await same(`INSERT INTO users (tenant_id, id, email) VALUES (1, 1, 'u1@x')`);
  await same('TRUNCATE tenants CASCADE');
  await checkKept();
});
