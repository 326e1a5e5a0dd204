import type { Pool, PoolClient } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';

/** What brings a sequence behind the rows that were loaded with values of their own, as tools and people write it: the rows are on nodes, the sequence is in the coordinator database. */
const statements: readonly (string | { readonly text: string; readonly values: readonly unknown[] })[] = [
  `SELECT setval('keyed_id_seq', max(id)) FROM keyed`,
  `SELECT setval(pg_get_serial_sequence('keyed', 'id'), max(id)) FROM keyed`,
  `SELECT setval('keyed_id_seq', (SELECT max(id) FROM keyed))`,
  `SELECT setval(pg_get_serial_sequence('"public"."keyed"','id'), coalesce(max("id"), 1), max("id") IS NOT null) FROM "public"."keyed"`,
  `SELECT setval('public.keyed_id_seq'::regclass, COALESCE((SELECT MAX(id) + (SELECT increment_by FROM pg_sequences WHERE sequencename = 'keyed_id_seq') FROM keyed), 1), false)`,
  `SELECT pg_catalog.setval('keyed_id_seq', greatest(max(id), 1)) AS set, count(*), min(id), count(*) FILTER (WHERE tenant > 3) AS some, max(id) FROM keyed AS k WHERE id > 0`,
  `SELECT setval('keyed_id_seq', max(id)) + count(DISTINCT note) FROM keyed JOIN others o USING (tenant) WHERE o.v > 2`,
  `SELECT setval('keyed_id_seq', max(id)) FROM keyed WHERE false`,
  `SELECT setval('keyed_id_seq', max(id)), tenant FROM keyed WHERE tenant < 4 GROUP BY tenant ORDER BY tenant`,
  `SELECT setval('keyed_id_seq', max(id)) FROM keyed HAVING max(id) > 1000000`,
  `SELECT setval('keyed_id_seq', id) FROM keyed ORDER BY id`,
  `SELECT setval('keyed_id_seq', id) FROM keyed WHERE tenant = 1 ORDER BY id DESC LIMIT 1`,
  `WITH m AS (SELECT max(id) AS m FROM keyed) SELECT setval('keyed_id_seq', m) FROM m WHERE m IS NOT NULL`,
  `SELECT setval('keyed_id_seq', m.max) FROM (SELECT max(id) FROM keyed) m`,
  `SELECT setval('keyed_id_seq', greatest(max(id), (SELECT max(v) FROM others))) FROM keyed`,
  `SELECT setval('keyed_id_seq', 2000 + max(v)) FROM kinds`,
  `SELECT setval('keyed_id_seq', max(id)) FROM keyed, local`,
  { text: 'SELECT setval($1, max(id) + $2) FROM keyed', values: ['keyed_id_seq', 70] },
];

let pair: ClusterAndPlain;

beforeAll(async () => {
  pair = await startCluster();
  for (const pool of [pair.cluster, pair.plain]) {
    await pool.query(`CREATE TABLE keyed (tenant int, id serial, note text); CREATE TABLE others (tenant int, v int); CREATE TABLE kinds (v int); CREATE TABLE local (l int); INSERT INTO local VALUES (1); ${code}`);
  }
  await pair.cluster.createDistributedTable('keyed', 'tenant', { shardCount: 4 });
  await pair.cluster.createDistributedTable('others', 'tenant', { shardCount: 3, colocateWith: 'none' });
  await pair.cluster.createReferenceTable('kinds');
  for (const pool of [pair.cluster, pair.plain]) await pool.query(`INSERT INTO others SELECT g, g FROM generate_series(1, 9) g; INSERT INTO kinds VALUES (1), (2)`);
}, 60_000);
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

beforeEach(async () => {
  for (const pool of [pair.cluster, pair.plain]) await pool.query(`TRUNCATE keyed RESTART IDENTITY; INSERT INTO keyed (tenant, note) VALUES (1, 'first'); INSERT INTO keyed SELECT g, g * 100, 'note ' || g % 3 FROM generate_series(1, 9) g`);
});

const code = `CREATE FUNCTION set_behind(v bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN setval('keyed_id_seq', v); END $$;
CREATE FUNCTION set_by_another() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT set_behind(7000); END;
CREATE FUNCTION set_and_fail() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM setval('keyed_id_seq', 7000); RAISE 'behind'; END $$;
CREATE FUNCTION restarted() RETURNS void LANGUAGE plpgsql AS $$ BEGIN ALTER SEQUENCE keyed_id_seq RESTART 7000; END $$;
CREATE PROCEDURE set_by_call() LANGUAGE plpgsql AS $$ BEGIN PERFORM setval('keyed_id_seq', 7000); END $$;
CREATE VIEW setting AS SELECT setval('keyed_id_seq', 7000) AS v;
CREATE TABLE setters (v int); CREATE FUNCTION set_by_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_behind(NEW.v); RETURN NEW; END $$;
CREATE TRIGGER set_by_row BEFORE INSERT ON setters FOR EACH ROW EXECUTE FUNCTION set_by_row()`;

/** Statements that do not say that they set a sequence. */
const silent = [
  'SELECT set_behind(7000)', 'SELECT set_by_another()', 'SELECT set_and_fail()', 'SELECT restarted()', 'CALL set_by_call()', 'SELECT v FROM setting', 'INSERT INTO setters VALUES (7000)', `DO $$ BEGIN PERFORM set_by_another(); END $$`,
  'SELECT set_behind(7000 + max(tenant)) FROM keyed', 'BEGIN; SELECT set_behind(7000)', 'BEGIN; DECLARE c CURSOR FOR SELECT set_behind(7000); FETCH c', 'CREATE TEMP TABLE made AS SELECT set_behind(7000)',
];

/** What the statement gives, and the value that comes next. */
async function outcome(on: Pick<Pool | PoolClient, 'query'>, statement: (typeof statements)[number]): Promise<unknown> {
  const query = typeof statement === 'string' ? { text: statement, values: [] } : { text: statement.text, values: [...statement.values] };
  const { rows, fields } = await on.query({ ...query, rowMode: 'array' });
  const next = await on.query({ text: `INSERT INTO keyed (tenant, note) VALUES (2, 'next') RETURNING id`, rowMode: 'array' });
  return [rows, fields.map(({ name, dataTypeID }) => [name, dataTypeID]), next.rows];
}

const textOf = (statement: (typeof statements)[number]): string => (typeof statement === 'string' ? statement : statement.text);

test.for(statements.map((statement) => [textOf(statement), statement] as const))('%s', async ([, statement]) => {
  expect(await outcome(pair.cluster, statement)).toEqual(await outcome(pair.plain, statement));
});

test.for(statements.map((statement) => [textOf(statement), statement] as const))('in a block that is rolled back: %s', async ([, statement]) => {
  const outcomes = await Promise.all([pair.cluster, pair.plain].map(async (pool) => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      const inside = await outcome(client, statement);
      await client.query('ROLLBACK');
      // What a sequence was set to stays.
      return [inside, (await client.query(`INSERT INTO keyed (tenant) VALUES (1) RETURNING id > 101 AS is_behind`)).rows];
    } finally {
      client.release();
    }
  }));
  expect(outcomes[0]).toEqual(outcomes[1]);
});

test('a session is told what it has set, or that it is not known', async () => {
  const session = await pair.cluster.connect();
  try {
    await session.query(`SELECT setval('keyed_id_seq', 5000)`);
    await session.query(`SELECT setval('keyed_id_seq', max(id)) FROM keyed`);
    const told = await session.query(`SELECT currval('keyed_id_seq')`).then(({ rows }) => rows, (error: unknown) => error);
    if (told instanceof Error) expect(told).toMatchObject({ code: '55000' });
    else expect(told).toEqual([{ currval: '900' }]);
  } finally {
    session.release();
  }
});

test.for(['ALTER SEQUENCE keyed_id_seq RESTART 5000', 'TRUNCATE keyed RESTART IDENTITY'])('values of a sequence that is as it was again are not of what it was meanwhile: %s', async (restart) => {
  const insert = `INSERT INTO keyed (tenant) VALUES (1) RETURNING id`;
  const outcomes = await Promise.all([pair.cluster, pair.plain].map(async (pool) => {
    const client = await pool.connect();
    const ids: unknown[] = [];
    try {
      for (const text of ['BEGIN', insert, 'SAVEPOINT s', restart, insert, insert, 'ROLLBACK TO s', insert, 'COMMIT', insert]) ids.push((await client.query(text)).rows);
    } finally {
      client.release();
    }
    return ids;
  }));
  expect(outcomes[0]).toEqual(outcomes[1]);
});

test.for(silent)('values that were taken before are not given out behind: %s', async (text) => {
  const insert = 'INSERT INTO keyed (tenant) VALUES (1) RETURNING id';
  const outcomes = await Promise.all([pair.cluster, pair.plain].map(async (pool) => {
    const [client, other] = [await pool.connect(), await pool.connect()];
    try {
      // Of the two values that are taken at the second, one is left.
      const before = [await client.query(insert), await client.query(insert)];
      await client.query(text).catch(() => undefined);
      const behind = await client.query(insert);
      await client.query('ROLLBACK');
      return [...before, behind, await other.query(insert)].map(({ rows }) => rows as unknown[]);
    } finally {
      for (const one of [client, other]) one.release(true);
    }
  }));
  expect(outcomes[0]).toEqual(outcomes[1]);
});
