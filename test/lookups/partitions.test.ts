import { afterAll, beforeAll, expect, test } from 'vitest';
import { at, present } from '../../src/base/assert.ts';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';
import { Random } from '../oracle/random.ts';
import { lookupRows, outcomeOf, tableRows, untilWaiting } from './lookup-pair.ts';

/** Of the cluster, where partitions are of years, one of which has partitions of its own; and of one PostgreSQL, where UNIQUE can only be of a table without partitions. */
const columns = 'tenant_id bigint REFERENCES tenants ON DELETE CASCADE, id int, day date, email text, login varchar(8), site int, name text, PRIMARY KEY (tenant_id, id, day)';
const partitions = `
CREATE TABLE users_24 PARTITION OF users FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE users_25 PARTITION OF users FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY RANGE (day);
CREATE TABLE users_25_1 PARTITION OF users_25 FOR VALUES FROM ('2025-01-01') TO ('2025-07-01');
CREATE TABLE users_25_rest PARTITION OF users_25 DEFAULT;
CREATE TABLE users_rest PARTITION OF users DEFAULT`;
const rows = `INSERT INTO users SELECT 1 + i % 8, i, date '2024-01-15' + 40 * (i % 20), CASE WHEN i % 10 > 0 THEN 'u' || i || '@x' END, 'l' || i % 30, i / 30, 'n' FROM generate_series(1, 160) i`;

let pair: ClusterAndPlain;
beforeAll(async () => {
  pair = await startCluster();
  const { cluster, plain } = pair;
  const tenants = 'CREATE TABLE tenants (id bigint PRIMARY KEY, name text)';
  await plain.query(`${tenants}; CREATE TABLE users (${columns}, UNIQUE (email), CONSTRAINT one_login UNIQUE (login, site))`);
  await cluster.query(tenants);
  await cluster.createDistributedTable('tenants', 'id', { shardCount: 6 });
  await cluster.query(`CREATE TABLE users (${columns}) PARTITION BY RANGE (day)`);
  await cluster.query(partitions);
  await cluster.createDistributedTable('users', 'tenant_id', { colocateWith: 'tenants' });
  for (const one of [cluster, plain]) for (const text of [`INSERT INTO tenants SELECT i, 't' || i FROM generate_series(1, 8) i`, rows]) await one.query(text);
  await cluster.createUniqueLookup('users', 'email');
  await cluster.createUniqueLookup('users', ['login', 'site'], { name: 'one_login' });
}, 60_000);
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

/** The lookups have the keys of exactly the rows that there are, and these are those of one PostgreSQL. */
async function checkKept(): Promise<void> {
  for (const keys of [['email'], ['login', 'site']]) {
    const expected = await tableRows(pair.cluster, keys);
    expect(await lookupRows(pair, keys)).toEqual(expected);
    expect(expected).toEqual(await tableRows(pair.plain, keys));
  }
}

/** The same on both; or what has the same effect in one PostgreSQL, whose command tags are others. */
async function step(text: string, plain?: string): Promise<void> {
  const [got, expected] = [await outcomeOf(pair.cluster, text), await outcomeOf(pair.plain, plain ?? text)];
  if (plain === undefined) expect({ text, got }).toEqual({ text, got: expected });
  else expect({ text, failed: [got, expected].filter((one) => !Array.isArray(one)) }).toEqual({ text, failed: [] });
  await checkKept();
}

async function steps(texts: readonly string[]): Promise<void> {
  for (const text of texts) await step(text);
}

test('the build has found all rows of all partitions', async () => {
  await checkKept();
  expect(await tableRows(pair.cluster, ['email'])).toHaveLength(144);
});

test('every write is as with UNIQUE on one PostgreSQL, in whichever partition the key is', async () => {
  await steps([
    `INSERT INTO users (tenant_id, id, day, email) VALUES (1, 1000, '2024-05-01', 'new@x') RETURNING email`, `INSERT INTO users (tenant_id, id, day, email) VALUES (2, 1000, '2025-05-01', 'new@x')`, `INSERT INTO users (tenant_id, id, day, email, site) VALUES (1, 1001, '2025-08-01', 'new@x', 1)`,
    `INSERT INTO users (tenant_id, id, day, email) VALUES (3, 1002, '2024-05-01', 'a@x'), (4, 1002, '2025-05-01', 'b@x'), (5, 1002, '2031-05-01', 'a@x')`, `INSERT INTO users (tenant_id, id, day, login, site) VALUES (3, 1003, '2031-01-01', 'l1', 0)`,
    `UPDATE users SET day = '2025-06-01' WHERE id = 1000 RETURNING day`, `UPDATE users SET day = day + 365, email = email || '/2' WHERE id BETWEEN 40 AND 60`, `UPDATE users SET site = 1 WHERE id = 15`, `UPDATE users SET email = 'new@x' WHERE id = 33`,
    `UPDATE users SET tenant_id = 1 + tenant_id % 8, day = day + 200 WHERE id BETWEEN 70 AND 80`, `DELETE FROM users WHERE id BETWEEN 90 AND 95 RETURNING email`, `DELETE FROM users WHERE email = 'u31@x'`, `DELETE FROM tenants WHERE id = 6`, `INSERT INTO tenants VALUES (6, 'again')`,
    `MERGE INTO users u USING (VALUES (1::bigint, 1000, date '2025-06-01', 'm1@x'), (3, 6000, '2024-06-01', 'm2@x')) v (t, i, d, e) ON u.tenant_id = v.t AND u.id = v.i AND u.day = v.d WHEN MATCHED THEN UPDATE SET email = v.e, day = '2030-01-01' WHEN NOT MATCHED THEN INSERT (tenant_id, id, day, email) VALUES (v.t, v.i, v.d, v.e)`,
    `INSERT INTO users (tenant_id, id, day, email) VALUES (1, 2000, '2024-02-02', 'm1@x'), (2, 2000, '2025-02-02', 'q1@x') ON CONFLICT DO NOTHING RETURNING email`, `INSERT INTO users (tenant_id, id, day, email, name) VALUES (4, 2001, '2024-02-02', 'm1@x', 'up') ON CONFLICT (email) DO UPDATE SET name = excluded.name, day = excluded.day RETURNING tenant_id, id, day, name`,
    `BEGIN; SAVEPOINT s; INSERT INTO users (tenant_id, id, day, email) VALUES (3, 2002, '2024-03-03', 'saved@x'); ROLLBACK TO s; INSERT INTO users (tenant_id, id, day, email) VALUES (4, 2002, '2025-03-03', 'saved@x'); COMMIT`,
    `INSERT INTO users (tenant_id, id, day, email) SELECT tenant_id, 3000 + id, day + 1000, 'copy' || id FROM users WHERE id < 20`, `INSERT INTO users (tenant_id, id, day, email) SELECT 1 + tenant_id % 8, 4000 + id, day, 'copy' || id FROM users WHERE id = 12`,
  ]);
}, 60_000);

test('writes to a partition keep the lookup of the table, and queries of one are sent by it', async () => {
  await step(`INSERT INTO users_24 (tenant_id, id, day, email) VALUES (7, 5000, '2024-07-07', 'part@x')`, `INSERT INTO users (tenant_id, id, day, email) VALUES (7, 5000, '2024-07-07', 'part@x')`);
  await expect(pair.cluster.query(`INSERT INTO users_25_1 (tenant_id, id, day, email) VALUES (2, 5000, '2025-03-07', 'part@x')`)).rejects.toMatchObject({ code: '23505', constraint: 'users_email_key', detail: 'Key (email)=(part@x) already exists.' });
  await step(`UPDATE users_24 SET email = 'part2@x' WHERE email = 'part@x'`, `UPDATE users SET email = 'part2@x' WHERE email = 'part@x'`);
  expect((await pair.cluster.explain(`SELECT id FROM users_24 WHERE email = 'part2@x'`)).text).toContain('Lookup');
  expect((await pair.cluster.query(`SELECT id FROM users_24 WHERE email = 'part2@x'`)).rows).toEqual([{ id: 5000 }]);
  expect((await pair.cluster.query(`SELECT id FROM users_25 WHERE email = 'part2@x'`)).rows).toEqual([]);
  await step(`DELETE FROM users_24 WHERE id = 5000`, `DELETE FROM users WHERE id = 5000`);
  const lines = Array.from({ length: 2500 }, (_, i) => `${1 + (i % 8)},${20_000 + i},2024-0${1 + (i % 9)}-01,copied${i}@x\n`).join('');
  expect(await pair.cluster.copyFrom('COPY users_24 (tenant_id, id, day, email) FROM STDIN (FORMAT csv)', lines)).toEqual({ rowCount: 2500 });
  await expect(pair.cluster.copyFrom('COPY users (tenant_id, id, day, email) FROM STDIN (FORMAT csv)', '1,30000,2025-01-01,fresh@x\n2,30000,2025-01-01,copied77@x\n')).rejects.toMatchObject({ code: '23505', constraint: 'users_email_key' });
  await pair.plain.query(`INSERT INTO users (tenant_id, id, day, email) SELECT 1 + i % 8, 20000 + i, make_date(2024, 1 + i % 9, 1), 'copied' || i || '@x' FROM generate_series(0, 2499) i`);
  await checkKept();
});

test('ON CONFLICT that means the lookup is refused where it names a partition', async () => {
  for (const conflict of ['', '(email) ']) {
    await expect(pair.cluster.query(`INSERT INTO users_24 (tenant_id, id, day, email) VALUES (1, 1, '2024-02-02', 'z@x') ON CONFLICT ${conflict}DO NOTHING`)).rejects.toMatchObject({ code: '0A000', hint: 'Insert into that table.' });
  }
  await step(`INSERT INTO users_24 (tenant_id, id, day, email) VALUES (1, 20000, '2024-01-01', 'z@x') ON CONFLICT (tenant_id, id, day) DO NOTHING`, 'SELECT 1');
});

test('rows go out with their partition when it is truncated, detached or dropped', async () => {
  const between = (from: string, to: string): string => `day >= '${from}' AND day < '${to}'`;
  await step('BEGIN; TRUNCATE users_24; ROLLBACK', 'SELECT 1');
  await step('TRUNCATE users_24', `DELETE FROM users WHERE ${between('2024-01-01', '2025-01-01')}`);
  await step(`INSERT INTO users (tenant_id, id, day, email) VALUES (5, 6000, '2024-08-08', 'copied1@x'), (6, 6000, '2025-08-08', 'copied2@x')`);
  await step('BEGIN; ALTER TABLE users_25 DETACH PARTITION users_25_1; ROLLBACK', 'SELECT 1');
  await step('ALTER TABLE users_25 DETACH PARTITION users_25_1', `DELETE FROM users WHERE ${between('2025-01-01', '2025-07-01')}`);
  await step(`INSERT INTO users_25_1 (tenant_id, id, day, email) VALUES (3, 6001, '2025-02-08', 'copied2@x'), (4, 6001, '2025-02-08', 'copied2@x')`, 'SELECT 1');
  await step('DROP TABLE users_rest', `DELETE FROM users WHERE day < '2024-01-01' OR day >= '2026-01-01'`);
  await step('TRUNCATE users_25', `DELETE FROM users WHERE ${between('2025-01-01', '2026-01-01')}`);
  await step(`INSERT INTO users (tenant_id, id, day, email) VALUES (5, 6002, '2025-08-08', 'sub@x'), (6, 6002, '2024-08-08', 'stays@x')`);
  await step('DROP TABLE users_25', `DELETE FROM users WHERE ${between('2025-01-01', '2026-01-01')}`);
  await step(`INSERT INTO users (tenant_id, id, day, email) VALUES (5, 6002, '2024-08-08', 'sub@x')`);
}, 60_000);

test('rows come in with a partition that is attached, or it is not', async () => {
  const { cluster } = pair;
  await step(`CREATE TABLE users_26 PARTITION OF users FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')`, 'SELECT 1');
  await step(`INSERT INTO users (tenant_id, id, day, email) VALUES (1, 7000, '2026-02-02', '26@x')`);
  // Rows of a local table that come to refer to a distributed one are refused.
  await step('ALTER TABLE users DROP CONSTRAINT users_tenant_id_fkey');
  // Its columns stand in another order, and it is local until it is attached.
  const other = 'email text, tenant_id bigint NOT NULL, name text, site int, day date NOT NULL, login varchar(8), id int NOT NULL';
  await cluster.query(`CREATE TABLE users_27 (${other}); INSERT INTO users_27 (tenant_id, id, day, email) SELECT 1 + i % 8, i, '2027-03-03', '27-' || i FROM generate_series(1, 300) i`);
  const inserted = `INSERT INTO users (tenant_id, id, day, email) SELECT 1 + i % 8, i, '2027-03-03', '27-' || i FROM generate_series(1, 300) i`;
  await step(`ALTER TABLE users ATTACH PARTITION users_27 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')`, inserted);
  await step(`INSERT INTO users (tenant_id, id, day, email) VALUES (1, 7001, '2026-02-02', '27-7')`);
  // What is distributed already stays where it is.
  await step('ALTER TABLE users DETACH PARTITION users_27', `DELETE FROM users WHERE day = '2027-03-03'`);
  await step(`ALTER TABLE users ATTACH PARTITION users_27 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')`, inserted);
  await step('ALTER TABLE users DETACH PARTITION users_27', `DELETE FROM users WHERE day = '2027-03-03'`);
  await step(`INSERT INTO users (tenant_id, id, day, email) VALUES (8, 7002, '2026-02-02', '27-299')`);
  await expect(cluster.query(`ALTER TABLE users ATTACH PARTITION users_27 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')`)).rejects.toMatchObject({ code: '23505', constraint: 'users_email_key', table: 'users', detail: 'Key (email)=(27-299) already exists.' });
  await checkKept();
  await cluster.query(`UPDATE users_27 SET email = 'twice' WHERE id IN (1, 9, 299)`);
  await expect(cluster.query(`ALTER TABLE users ATTACH PARTITION users_27 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')`)).rejects.toMatchObject({ code: '23505' });
  await checkKept();
  await cluster.query('DROP TABLE users_27');
}, 60_000);

test('what a snapshot may not show is refused, and so is what knows of no rows', async () => {
  const { cluster } = pair;
  for (const text of ['DROP TABLE users_26', 'TRUNCATE users_26', 'ALTER TABLE users DETACH PARTITION users_26']) {
    expect(await outcomeOf(cluster, `BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM users; ${text}; COMMIT`)).toMatchObject({ code: '0A000', message: expect.stringContaining('only in transactions that are READ COMMITTED') as unknown });
    await cluster.query('ROLLBACK');
  }
  await step(`BEGIN ISOLATION LEVEL REPEATABLE READ; CREATE TABLE users_28 PARTITION OF users FOR VALUES FROM ('2028-01-01') TO ('2029-01-01'); INSERT INTO users (tenant_id, id, day, email) VALUES (2, 8000, '2028-02-02', '28@x'); COMMIT`, `INSERT INTO users (tenant_id, id, day, email) VALUES (2, 8000, '2028-02-02', '28@x')`);
  await expect(cluster.dropTable('users_28')).rejects.toMatchObject({ code: '2BP01', hint: 'Use the statement DROP TABLE, which takes them out.' });
  await expect(cluster.createUniqueLookup('users_28', 'name')).rejects.toMatchObject({ message: expect.stringContaining('it is a partition of "users", which can have one') as unknown });
  await expect(cluster.query('DROP TABLE users')).rejects.toMatchObject({ code: '2BP01' });
  await expect(cluster.query('ALTER TABLE users RENAME email TO mail')).rejects.toMatchObject({ code: '2BP01' });
  await checkKept();
});

test('a process that has not heard of a partition empties no tables past the lookup', async () => {
  const { cluster } = pair;
  const other = pair.another();
  await cluster.query(`CREATE TABLE users_29 (LIKE users); INSERT INTO users_29 (tenant_id, id, day, email) VALUES (1, 1, '2029-01-01', '29@x')`);
  await cluster.createDistributedTable('users_29', 'tenant_id', { colocateWith: 'users' });
  await other.query('SELECT count(*) FROM users_29');
  const client = await cluster.connect();
  try {
    await client.query('BEGIN');
    await client.query(`ALTER TABLE users ATTACH PARTITION users_29 FOR VALUES FROM ('2029-01-01') TO ('2030-01-01')`);
    const truncated = other.query('TRUNCATE users_29');
    await untilWaiting(pair, 1);
    await client.query('COMMIT');
    await truncated;
  } finally {
    client.release();
  }
  await checkKept();
});

test('writers of two processes go on while partitions come and go, and no key is lost or left', async () => {
  const { cluster } = pair;
  const other = pair.another();
  const bounds = (year: number): string => `FOR VALUES FROM ('20${year}-01-01') TO ('20${year + 1}-01-01')`;
  await cluster.query('DROP TABLE IF EXISTS users_rest');
  for (const year of [40, 41]) await cluster.query(`CREATE TABLE users_${year} PARTITION OF users ${bounds(year)}`);
  const passing = ['23505', '40P01', '40001', '23514', '55P03', '42P01'];
  const done = new AbortController();
  let written = 0;
  const write = async (own: number): Promise<void> => {
    const random = new Random(own);
    const upTo = (n: number): number => random.int(0, n - 1);
    while (!done.signal.aborted) {
      const [tenant, id, email, day] = [1 + upTo(8), 90_000 + upTo(20), `w${upTo(12)}@x`, `20${40 + upTo(2)}-03-03`];
      const text = at([
        `INSERT INTO users (tenant_id, id, day, email) VALUES (${tenant}, ${id}, '${day}', '${email}')`, `INSERT INTO users (tenant_id, id, day, email) VALUES (${tenant}, ${id}, '${day}', '${email}')`, `DELETE FROM users WHERE email = '${email}'`,
        `UPDATE users SET day = '${day}' WHERE id = ${id}`, `UPDATE users SET tenant_id = ${tenant} WHERE email = '${email}'`, `INSERT INTO users (tenant_id, id, day, email) VALUES (${tenant}, ${id}, '${day}', '${email}') ON CONFLICT (email) DO UPDATE SET name = 'again'`,
      ], upTo(6));
      await (own % 2 === 0 ? cluster : other).query(text).then(() => (written += 1), (error: unknown) => expect(passing).toContain((error as { code: string }).code));
    }
  };
  const writers = [1, 2, 3, 4].map(write);
  const steps = [
    'TRUNCATE users_40', 'ALTER TABLE users DETACH PARTITION users_41', `ALTER TABLE users ATTACH PARTITION users_41 ${bounds(41)}`, 'DROP TABLE users_40', `CREATE TABLE users_40 PARTITION OF users ${bounds(40)}`,
  ];
  try {
    for (let i = 0; i < 15; i += 1) {
      const text = at(steps, i % steps.length);
      for (let tries = 1; ; tries += 1) {
        // What was brought in elsewhere meanwhile can keep a partition out.
        const error: unknown = await (i % 2 === 0 ? cluster : other).query(text).then(() => undefined, (found: unknown) => found);
        if (error === undefined) break;
        const { code } = error as { code: string };
        if (![...passing, '42P07'].includes(code) || tries === 50) throw error;
        if (text.includes('ATTACH')) await cluster.query('DELETE FROM users_41');
      }
    }
  } finally {
    done.abort();
    await Promise.all(writers);
  }
  expect(written).toBeGreaterThan(50);
  for (const keys of [['email'], ['login', 'site']]) expect(await lookupRows(pair, keys)).toEqual(await tableRows(cluster, keys));
  for (const year of [40, 41]) await cluster.query(`DROP TABLE users_${year}`);
}, 120_000);

test('moves take the partitions along, verify() compares the keys of all, and a lookup that is dropped leaves no trigger', async () => {
  const { cluster } = pair;
  const { shardId, nodeId } = present((await cluster.shards()).find(({ table }) => table === 'users'));
  await cluster.moveShardGroup(shardId, { to: present((await cluster.nodes()).find(({ id }) => id !== nodeId)).id });
  await cluster.splitShardGroup(shardId, { into: 2 });
  await step(`INSERT INTO users (tenant_id, id, day, email) SELECT i, 9000, '2026-03-03', 'moved' || i FROM generate_series(1, 8) i`);
  await step('DROP TABLE users_26', `DELETE FROM users WHERE day >= '2026-01-01' AND day < '2027-01-01'`);
  expect(await cluster.verify()).toMatchObject({ differences: [] });
  await cluster.dropUniqueLookup('users', 'email');
  await cluster.query(`INSERT INTO users (tenant_id, id, day, email) VALUES (1, 9100, '2028-03-03', 'same'), (2, 9100, '2028-03-03', 'same')`);
  expect(await cluster.checkSchema()).toMatchObject({ differences: [] });
  await expect(cluster.createUniqueLookup('users', 'email')).rejects.toMatchObject({ detail: 'Key (email)=(same) is duplicated.' });
}, 60_000);

test('triggers of the whole table are enabled in all partitions, or in none', async () => {
  const { cluster } = pair;
  await cluster.query(`CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name := ''stamped''; RETURN NEW; END'; CREATE TRIGGER stamped BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION stamp()`);
  const noting = at(await cluster.lookups(), 0).lookupTable.replace('unique', 'shardwright');
  for (const text of ['DISABLE TRIGGER stamped', 'ENABLE ALWAYS TRIGGER stamped', `DISABLE TRIGGER ${noting}_insert`]) {
    await expect(cluster.query(`ALTER TABLE users_24 ${text}`)).rejects.toMatchObject({ id: 'unsupportedTable', message: expect.stringContaining('of a partition is not enabled as it is above') as string });
  }
  const named = async (id: number): Promise<unknown> => (await cluster.query(`INSERT INTO users (tenant_id, id, day, name) VALUES (1, ${id}, '2024-05-05', 'own') RETURNING name`)).rows[0];
  expect(await named(7001)).toEqual({ name: 'stamped' });
  await cluster.query('ALTER TABLE users DISABLE TRIGGER stamped');
  expect(await named(7002)).toEqual({ name: 'own' });
  await cluster.query('ALTER TABLE users ENABLE TRIGGER stamped');
  expect(await named(7003)).toEqual({ name: 'stamped' });
  await cluster.query('DROP TRIGGER stamped ON users; DROP FUNCTION stamp(); DELETE FROM users WHERE id > 7000');
  expect((await cluster.checkSchema()).text).toMatch(/no differences/);
});
