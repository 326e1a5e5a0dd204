import { Client, type Pool } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { present } from '../../src/base/assert.ts';
import type { ClusterAndPlain } from '../coordinator/start-cluster.ts';
import { lookupRows, outcomeOf, startLookups, tableRows } from './lookup-pair.ts';

let pair: ClusterAndPlain;
beforeAll(async () => {
  pair = await startLookups();
  const staging = `
CREATE TABLE staging (n int PRIMARY KEY, t bigint, i int, e text, l text, s smallint, nm varchar(20));
INSERT INTO staging VALUES (1, 1, 1001, 'u1@x', 'l1', 0, 'a'), (2, 2, 1002, 's2@x', 'la', 1, 'b'), (3, 3, 1003, 's3@x', 'lb', 1, 'c'), (4, 4, 1004, 's2@x', 'la', 1, 'd'), (5, 5, 1005, NULL, NULL, NULL, 'e'), (6, 6, 1006, 'u12@x', 'l12', 0, 'f')`;
  await Promise.all([pair.cluster.query(staging), pair.plain.query(staging)]);
  for (const one of [pair.cluster, pair.plain]) await one.query(`CREATE TABLE sent (tenant_id bigint, id int, email text, name text); INSERT INTO sent SELECT 1 + i % 12, 2000 + i, 'u' || i || '@x', 'sent' FROM generate_series(1, 40) i`);
  await pair.cluster.createDistributedTable('sent', 'tenant_id', { colocateWith: 'users' });
}, 120_000);
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

async function checkKept(): Promise<void> {
  for (const columns of [['email'], ['login', 'site']]) {
    const expected = await tableRows(pair.cluster, columns);
    expect(await lookupRows(pair, columns)).toEqual(expected);
    expect(expected).toEqual(await tableRows(pair.plain, columns));
  }
}

const columns = '(tenant_id, id, email, name)';
const staged = `INSERT INTO users ${columns} SELECT t, i, e, nm FROM staging`;

/** Each stands for itself, the state goes on from one to the next. */
const steps = [
  `${staged} ORDER BY n ON CONFLICT (email) DO UPDATE SET name = excluded.name`, `${staged} ORDER BY n ON CONFLICT (email) DO NOTHING RETURNING tenant_id, id, name`, `${staged} WHERE n < 4 ORDER BY n ON CONFLICT (email) DO UPDATE SET name = users.name || excluded.name RETURNING tenant_id, id, name`,
  `${staged} WHERE n IN (3, 6) ORDER BY n DESC ON CONFLICT (email) DO UPDATE SET name = excluded.name || excluded.tenant_id, site = excluded.id + users.tenant_id WHERE users.tenant_id < 4 RETURNING *`, `INSERT INTO users ${columns} SELECT 1 + t % 4, i + 10, e, nm FROM staging ORDER BY n ON CONFLICT DO NOTHING RETURNING id`,
  `INSERT INTO users (tenant_id, id, login, site) SELECT t, i + 20, l, s FROM staging ORDER BY n ON CONFLICT (site, login) DO NOTHING`, `INSERT INTO users AS u (tenant_id, id, login, site) SELECT t, i + 30, l, s FROM staging WHERE n <> 4 ORDER BY n ON CONFLICT ON CONSTRAINT one_login DO UPDATE SET name = u.login || excluded.site RETURNING u.id, u.name`,
  `INSERT INTO users (tenant_id, id, login, site, email) SELECT t, i + 40, l, s, 'u3@x' FROM staging WHERE n = 2 ON CONFLICT (login, site) DO NOTHING`, `INSERT INTO users (tenant_id, id, login, site, email) SELECT t, i + 40, 'new', s, 'u3@x' FROM staging WHERE n = 2 ON CONFLICT (login, site) DO NOTHING`,
  `WITH q AS (SELECT 7 AS t, 'w' || 1 AS e) INSERT INTO users (tenant_id, id, email) SELECT t, 1050, e FROM q ON CONFLICT (email) DO UPDATE SET site = 4 RETURNING id, site`, `WITH q AS (SELECT 7 AS t, 'w' || 1 AS e), unused AS (SELECT 1) INSERT INTO users (tenant_id, id, email) SELECT t, 1051, e FROM q ON CONFLICT (email) DO UPDATE SET site = 4 RETURNING id, site`,
  `INSERT INTO users ${columns} SELECT tenant_id, id, email, name FROM sent ON CONFLICT (email) DO UPDATE SET name = excluded.name || excluded.id`, `INSERT INTO users ${columns} SELECT 1 + tenant_id % 12, id, email || 'x', name FROM sent ON CONFLICT (email) DO NOTHING`, `INSERT INTO users ${columns} SELECT 1 + tenant_id % 12, id, email || 'x', name FROM sent ON CONFLICT (email) DO UPDATE SET email = 'all@x'`,
  `INSERT INTO users ${columns} SELECT tenant_id, id, email, 'self' FROM users WHERE email LIKE 'u_@x' ON CONFLICT (email) DO UPDATE SET name = users.name || excluded.name`, `INSERT INTO users ${columns} SELECT sent.tenant_id, 3000, email, conflict.name FROM sent JOIN tenants conflict ON conflict.id = sent.tenant_id AND sent.id < 2005 ON CONFLICT (email) DO UPDATE SET name = excluded.name`,
  `INSERT INTO users (tenant_id, id, email) SELECT 1, 1, 'u1@x' ON CONFLICT (email) DO UPDATE SET name = 'x' RETURNING id`, `INSERT INTO users SELECT t, i, e FROM staging WHERE n = 1 ON CONFLICT (email) DO UPDATE SET (name, site) = (excluded.email, excluded.id) RETURNING *`, `INSERT INTO users (tenant_id, id, email) VALUES ((SELECT max(t) FROM staging), 1070, 'u1@x') ON CONFLICT (email) DO UPDATE SET site = 9 RETURNING id`,
  `INSERT INTO users (tenant_id, id, email, login) SELECT t, i + 77, 'lg', 'more than 8' FROM staging WHERE n = 1 ON CONFLICT (email) DO NOTHING`, `INSERT INTO users (tenant_id, id, email) SELECT 'x', 1, 'u1@x' ON CONFLICT (email) DO NOTHING`, `INSERT INTO users (tenant_id, id, email) SELECT 1, n, n FROM staging ON CONFLICT (email) DO UPDATE SET nothing = 1`, `INSERT INTO users (tenant_id, id, email) SELECT 1, 1 / (n - 1), e FROM staging ON CONFLICT (email) DO NOTHING`,
  `INSERT INTO users (tenant_id, id, email) SELECT 1, 1, 'u1@x' WHERE false ON CONFLICT (email) DO NOTHING RETURNING id`, `INSERT INTO users (tenant_id, id, email) SELECT 1, 1, 'fresh@x' ON CONFLICT (email) DO NOTHING`,
  `BEGIN; ${staged} WHERE n < 4 ON CONFLICT (email) DO UPDATE SET name = 'block'; SAVEPOINT s; ${staged} WHERE n > 3 ON CONFLICT (email) DO UPDATE SET name = 'undone'; ROLLBACK TO s; ${staged} WHERE n = 3 ON CONFLICT (email) DO UPDATE SET name = users.name || '!'; COMMIT`, `BEGIN; ${staged} ON CONFLICT DO NOTHING; ROLLBACK`,
] as const;

test('INSERT … SELECT … ON CONFLICT that means a lookup is as with UNIQUE on one PostgreSQL', async () => {
  for (const [i, step] of steps.entries()) {
    expect({ step, got: await outcomeOf(pair.cluster, step) }).toEqual({ step, got: await outcomeOf(pair.plain, step) });
    if (i % 6 === 5) await checkKept();
  }
  await checkKept();
}, 120_000);

test('with parameters, in the query and behind it', async () => {
  const text = `INSERT INTO users ${columns} SELECT t, i + $1, coalesce(e, $2), $3 FROM staging WHERE n = $4 ON CONFLICT (email) DO UPDATE SET name = $3 || excluded.name, site = $5 + users.tenant_id RETURNING tenant_id, id, email, name, site`;
  for (const values of [[100, 'p@x', 'one', 5, 6], [200, 'p@x', 'two', 5, 6], [300, null, 'three', 3, 7], [300, null, 'four', 99, 7]]) {
    const [got, expected] = await Promise.all([pair.cluster.query(text, values), pair.plain.query(text, values)]);
    expect({ values, rows: got.rows, rowCount: got.rowCount, command: got.command, names: got.fields.map(({ name }) => name) }).toEqual({ values, rows: expected.rows, rowCount: expected.rowCount, command: expected.command, names: expected.fields.map(({ name }) => name) });
  }
  await checkKept();
}, 60_000);

test('more rows than one statement has, the same key far apart', async () => {
  const many = (from: number, to: number, key = "'many' || g"): string => `INSERT INTO users ${columns} SELECT 1 + g % 12, g, ${key}, 'x' FROM generate_series(${from}, ${to}) g ORDER BY g ON CONFLICT (email)`;
  for (const step of [`${many(10_000, 10_300)} DO NOTHING`, `${many(10_290, 10_500)} DO UPDATE SET name = 'again'`, `${many(20_000, 20_300, "'far' || g % 299")} DO UPDATE SET name = 'again'`, `${many(20_000, 20_300, "'far' || g % 299")} DO NOTHING`]) {
    expect({ step, got: await outcomeOf(pair.cluster, step) }).toEqual({ step, got: await outcomeOf(pair.plain, step) });
  }
  await checkKept();
}, 120_000);

test('of many that do so at the same time, each does, once for every key', async () => {
  await pair.cluster.query(`CREATE TABLE counted AS SELECT 1 + g % 12 AS t, 30000 + g AS i, 'count' || g AS e FROM generate_series(1, 6) g`);
  const upsert = () => pair.cluster.query('INSERT INTO users (tenant_id, id, email, site) SELECT t, i, e, 1 FROM counted ORDER BY i ON CONFLICT (email) DO UPDATE SET site = users.site + 1');
  await Promise.all([1, 2, 3, 4, 5].map(async () => {
    for (let tries = 0; ; tries += 1) {
      const state = await upsert().then(() => undefined, (error: unknown) => (error as { code: string }).code);
      if (state === undefined) return;
      expect(tries < 20 && state).toBe('40P01');
    }
  }));
  expect((await pair.cluster.query(`SELECT DISTINCT site FROM users WHERE email LIKE 'count%'`)).rows).toEqual([{ site: 5 }]);
  await pair.cluster.query(`DELETE FROM users WHERE email LIKE 'count%'`);
  await checkKept();
}, 120_000);

test('EXPLAIN tells of the query and the lookups', async () => {
  const { rows } = await pair.cluster.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${staged} ON CONFLICT (email) DO NOTHING`);
  expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toMatch(/Insert rows[^]*Lookups: users_email_key[^]*Coordinator/);
});

test('in a block, beside a cursor that stays open', async () => {
  // More rows than are fetched at once.
  const open = 'DECLARE c CURSOR FOR SELECT u.tenant_id, u.id, s.n, g FROM users u JOIN staging s ON s.t = u.tenant_id, generate_series(1, 400) g ORDER BY 1, 2, 3, 4';
  const counted = 'SELECT s.t, count(*) AS c FROM staging s JOIN users u ON u.tenant_id = s.t GROUP BY s.t';
  const write = `INSERT INTO users (tenant_id, id, email, site) SELECT q.t, 40000 + q.t, 'cursor' || q.t, 1 FROM (${counted}) q ON CONFLICT (email) DO UPDATE SET site = users.site + 1`;
  const block = `BEGIN; ${open}; FETCH 2 FROM c; ${write}; FETCH 2 FROM c; ${write}; COMMIT`;
  expect(await outcomeOf(pair.cluster, block)).toEqual(await outcomeOf(pair.plain, block));
  await checkKept();
}, 60_000);

/** Rows in the order of their values or of the query; each stands for itself, the state goes on. */
const several = [
  `INSERT INTO users (tenant_id, id, email, name) VALUES (1, 50001, 'b1@x', 'a'), (2, 50002, 'b2@x', 'b'), (3, 50003, 'b3@x', 'c'), (4, 50004, NULL, 'd') ON CONFLICT (email) DO NOTHING RETURNING id`,
  `INSERT INTO users (tenant_id, id, email, name) VALUES (5, 50011, 'b3@x', '1'), (6, 50012, 'new1@x', '2'), (7, 50013, 'b1@x', '3'), (8, 50014, NULL, '4'), (9, 50015, 'new2@x', '5'), (2, 50002, 'b2@x', '6') ON CONFLICT (email) DO UPDATE SET name = users.name || excluded.name || excluded.id RETURNING *, name || '!' AS called`,
  `INSERT INTO users AS u (tenant_id, id, email, name) VALUES (5, 50021, 'b3@x', 'x'), (6, 50022, 'b2@x', 'y'), (7, 50023, 'b1@x', 'z') ON CONFLICT (email) DO UPDATE SET name = excluded.name, email = excluded.email, (site, rank) = (7, DEFAULT) WHERE u.tenant_id > 1 RETURNING u.id, name, rank, u.*`,
  // What WHERE leaves as it is may come again; what was written may not.
  `INSERT INTO users (tenant_id, id, email, name) VALUES (5, 50031, 'b3@x', 'no'), (6, 50032, 'b2@x', 'yes'), (7, 50033, 'b3@x', 'yes') ON CONFLICT (email) DO UPDATE SET name = excluded.id::text WHERE excluded.name = 'yes' RETURNING id, name`,
  `INSERT INTO users (tenant_id, id, email, name) VALUES (5, 50031, 'b3@x', 'yes'), (6, 50032, 'b2@x', 'yes'), (7, 50033, 'b3@x', 'no') ON CONFLICT (email) DO UPDATE SET name = excluded.id::text WHERE excluded.name = 'yes' RETURNING id, name`,
  `INSERT INTO users (tenant_id, id, email, name) VALUES (5, 50041, 'b3@x', 'a'), (6, 50042, 'b4@x', 'b'), (7, 50043, 'b4@x', 'c') ON CONFLICT (email) DO UPDATE SET name = excluded.name`,
  `INSERT INTO users (tenant_id, id, email, name) VALUES (5, 50041, 'b4@x', 'a'), (6, 50042, 'b4@x', 'b'), (7, 50043, 'b1@x', 'c'), (8, 50044, 'b5@x', 'd') ON CONFLICT (email) DO NOTHING RETURNING id`,
  `INSERT INTO users (tenant_id, id, email, name) VALUES (5, 50034, 'b3@x', 'no'), (6, 50035, 'b3@x', 'yes') ON CONFLICT (email) DO UPDATE SET name = excluded.id::text WHERE excluded.name = 'yes' RETURNING id, name`,
  // Keys that updates take and give up: the order counts.
  `INSERT INTO users (tenant_id, id, email) VALUES (5, 50054, 'b2@x'), (6, 50055, 'b3@x') ON CONFLICT (email) DO UPDATE SET email = CASE users.email WHEN 'b2@x' THEN 'b3@x' ELSE 'b8@x' END RETURNING id, email`,
  `INSERT INTO users (tenant_id, id, email) VALUES (5, 50051, 'b1@x'), (6, 50052, 'b1@x'), (7, 50053, 'b2@x') ON CONFLICT (email) DO UPDATE SET email = 'was-' || excluded.email RETURNING id, email`,
  `INSERT INTO users (tenant_id, id, email) VALUES (5, 50061, 'b3@x'), (6, 50062, 'b4@x'), (7, 50063, 'was-b1@x') ON CONFLICT (email) DO UPDATE SET email = CASE users.email WHEN 'b3@x' THEN 'b9@x' ELSE 'b3@x' END RETURNING id, email`,
  `INSERT INTO users (tenant_id, id, email) VALUES (5, 50071, 'b9@x'), (6, 50072, 'b1@x') ON CONFLICT (email) DO UPDATE SET id = users.id + 1 RETURNING id, email`,
  // Within the same shard, 50103 is there until it is updated itself.
  `INSERT INTO users (tenant_id, id, email) VALUES (1, 50101, 'd1@x'), (1, 50102, 'd2@x'), (1, 50103, 'd3@x')`,
  `INSERT INTO users (tenant_id, id, email) VALUES (2, 50111, 'd3@x'), (2, 50112, 'd2@x'), (2, 50113, 'd1@x') ON CONFLICT (email) DO UPDATE SET id = users.id + 1 RETURNING id, email`,
  `INSERT INTO users (tenant_id, id, email) VALUES (2, 50111, 'd1@x'), (2, 50112, 'd2@x'), (2, 50113, 'd3@x') ON CONFLICT (email) DO UPDATE SET id = users.id + 1 RETURNING id, email`,
  `INSERT INTO users (tenant_id, id, email) VALUES (2, 50112, 'd1@x'), (2, 50112, 'd2@x'), (2, 50112, 'd3@x') ON CONFLICT (email) DO UPDATE SET site = excluded.id RETURNING id, site`,
  `INSERT INTO users (tenant_id, id, email, login, site) VALUES (2, 50121, 'd1@x', 'dl', 1), (3, 50122, 'd7@x', 'dl', 1), (4, 50123, 'd8@x', 'dm', 1) ON CONFLICT (email) DO UPDATE SET login = excluded.login, site = 1 RETURNING id, login`,
  `INSERT INTO users (tenant_id, id, email, rank) VALUES (2, 50131, 'd1@x', 'none'), (3, 50132, 'd2@x', 'low') ON CONFLICT (email) DO UPDATE SET rank = excluded.rank`,
  `INSERT INTO users (tenant_id, id, email) VALUES (2, 50131, 'd1@x'), (3, 50132, 'd2@x') ON CONFLICT (email) DO UPDATE SET name = (SELECT max(name) FROM tenants WHERE tenants.id = users.tenant_id) RETURNING id, name`,
  `INSERT INTO users (tenant_id, id, email) VALUES (2, 50131, 'd1@x'), (3, 50132, 'd2@x'), (3, 50132, 'd12@x') ON CONFLICT (email) DO UPDATE SET site = 1 / (users.id - 50103)`,
  // Any constraint, and any lookup.
  `INSERT INTO users (tenant_id, id, email, login, site) VALUES (1, 50201, 'e1@x', 'e1', 1), (2, 50202, 'e2@x', 'e2', 1), (3, 50203, NULL, 'e3', 1)`,
  `INSERT INTO users (tenant_id, id, email, login, site) VALUES (4, 50211, 'e1@x', 'e9', 1), (5, 50212, 'e8@x', 'e2', 1), (6, 50213, 'e7@x', 'e7', 1), (7, 50214, 'e7@x', 'e6', 1), (8, 50215, 'e6@x', 'e6', NULL), (9, 50216, 'e5@x', 'e7', 1), (1, 50217, 'e9@x', 'e9', 1) ON CONFLICT DO NOTHING RETURNING id`,
  `INSERT INTO users (tenant_id, id, email, login, site) VALUES (4, 50221, 'e1@x', 'f1', 1), (4, 50222, 'f2@x', 'e1', 1), (1, 50201, 'f3@x', 'f3', 1), (1, 50223, 'f4@x', 'f4', 1), (2, 50202, 'f4@x', 'f5', 1) ON CONFLICT DO NOTHING RETURNING id`,
  // The first is left out by its shard, so the second is not.
  `INSERT INTO users (tenant_id, id, email) VALUES (1, 50201, 'g1@x'), (2, 50231, 'g1@x'), (2, 50232, 'e1@x') ON CONFLICT DO NOTHING RETURNING id`,
  // The first is left out for its email, so the second has the place.
  `INSERT INTO users (tenant_id, id, email) VALUES (1, 50241, 'e1@x'), (1, 50241, 'g2@x'), (2, 50242, 'g3@x') ON CONFLICT DO NOTHING RETURNING id`,
  `INSERT INTO users (tenant_id, id, email) VALUES (1, 50251, 'e1@x'), (1, 50252, 'e2@x') ON CONFLICT DO NOTHING RETURNING id`,
  `INSERT INTO users (tenant_id, id, email, rank) VALUES (1, 50261, 'e1@x', 'low'), (1, 50262, 'h2@x', 'none') ON CONFLICT DO NOTHING`,
] as const;

test('rows of which several keys are taken come to what they do one after the other, in their order', async () => {
  const ordered = async (pool: Pool, text: string): Promise<unknown> => {
    try {
      const { rows, rowCount, fields } = await pool.query<unknown[]>({ text, rowMode: 'array' });
      return { rows, rowCount, fields: fields.map(({ name, dataTypeID }) => [name, dataTypeID]) };
    } catch (error) {
      const { code, message, constraint } = error as Record<string, string>;
      return { code, message, constraint };
    }
  };
  for (const step of several) expect({ step, got: await ordered(pair.cluster, step) }).toEqual({ step, got: await ordered(pair.plain, step) });
  await checkKept();
}, 120_000);

test('what is taken is updated by one statement for each shard', async () => {
  await pair.cluster.query(`INSERT INTO users (tenant_id, id, email) SELECT 3, g, 'one' || g FROM generate_series(60001, 60040) g`);
  await pair.cluster.query(`INSERT INTO users (tenant_id, id, email, site) SELECT 4, g, 'one' || g, 5 FROM generate_series(60001, 60040) g ON CONFLICT (email) DO UPDATE SET site = excluded.site`);
  const { shardId, nodeId } = await pair.cluster.shardOf('users', 3);
  const client = new Client({ connectionString: present(pair.databases.nodes[nodeId - 1]).connectionString });
  await client.connect();
  try {
    const { rows } = await client.query(`SELECT count(*)::int AS written, count(DISTINCT (xmin::text, cmin::text))::int AS statements FROM users_${shardId} WHERE email LIKE 'one%' AND site = 5`);
    expect(rows).toEqual([{ written: 40, statements: 1 }]);
    await pair.cluster.query(`INSERT INTO users (tenant_id, id, email, site) SELECT 3, g + 1000, CASE WHEN g % 4 = 0 AND g < 60041 THEN 'one' ELSE 'two' END || g, 6 FROM generate_series(60001, 60060) g WHERE g % 4 = 0 OR g > 60040 ON CONFLICT DO NOTHING`);
    const { rows: inserted } = await client.query(`SELECT count(*)::int AS written, count(DISTINCT (xmin::text, cmin::text))::int AS statements FROM users_${shardId} WHERE site = 6 AND id > 60000`);
    expect(inserted).toEqual([{ written: 20, statements: 1 }]);
  } finally {
    await client.end();
  }
  await pair.cluster.query(`DELETE FROM users WHERE email LIKE 'one%' OR email LIKE 'two%'`);
  await checkKept();
}, 60_000);
