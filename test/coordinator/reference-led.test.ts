import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, run, startCluster } from './start-cluster.ts';
import { untilOneWaits } from './until-one-waits.ts';

/** Writes of reference tables whose values one copy computes, and the others take over. */
let pair: ClusterAndPlain;
let cluster: Cluster;

const definitions = `
CREATE SEQUENCE numbers;
CREATE FUNCTION dice(below int) RETURNS int VOLATILE LANGUAGE plpgsql AS $$ BEGIN RETURN floor(random() * below)::int; END $$;
CREATE TABLE plans (id serial PRIMARY KEY, code text NOT NULL UNIQUE, token uuid, n bigint, r float8, at timestamptz DEFAULT clock_timestamp(), tags text[], dear boolean GENERATED ALWAYS AS (n > 1000000) STORED, CHECK (n > 0));
ALTER SEQUENCE plans_id_seq RESTART 100000;
CREATE TABLE keyed (LIKE plans INCLUDING ALL);
CREATE TABLE features (plan text REFERENCES plans (code) ON UPDATE CASCADE ON DELETE CASCADE, name text, PRIMARY KEY (plan, name));
CREATE TABLE bare (id int, token uuid)`;
const rows = `DELETE FROM features; DELETE FROM plans; DELETE FROM keyed; DELETE FROM bare;
INSERT INTO plans (id, code, n, tags) SELECT i, 'plan ' || i, i, ARRAY['a', 'b'] FROM generate_series(1, 40) i; INSERT INTO keyed (id, code, n, tags) SELECT id, code, n, tags FROM plans;
INSERT INTO features SELECT 'plan ' || i, 'f' FROM generate_series(1, 10) i; INSERT INTO bare SELECT 1 + i / 2 FROM generate_series(1, 7) i`;

beforeAll(async () => {
  pair = await startCluster();
  cluster = pair.cluster;
  for (const pool of [cluster, pair.plain]) await pool.query(definitions);
  for (const table of ['plans', 'keyed', 'features', 'bare']) await cluster.createReferenceTable(table);
  for (const pool of [cluster, pair.plain]) await pool.query('CREATE TABLE local (plan int REFERENCES keyed)');
}, 60_000);
afterAll(() => pair[Symbol.asyncDispose](), 15_000);
beforeEach(async () => {
  await cluster.query('DELETE FROM local');
  for (const pool of [cluster, pair.plain]) await pool.query(rows);
});

async function expectAlike(): Promise<void> {
  expect((await cluster.verify()).differences).toEqual([]);
}

/** What can be said of the tables whatever was drawn. */
const contents = ['plans', 'keyed'].map((table) => `SELECT '${table}' AS of, count(*)::int AS rows, count(DISTINCT token)::int AS tokens, count(DISTINCT n)::int AS n, count(DISTINCT r)::int AS r, count(DISTINCT tags)::int AS tags, count(DISTINCT code)::int AS codes,
  count(*) FILTER (WHERE at > now() - interval '1 minute')::int AS recent, count(*) FILTER (WHERE dear)::int AS dear, count(DISTINCT id)::int AS ids FROM ${table}`).join(' UNION ALL ') + ` UNION ALL SELECT 'features', count(*)::int, count(DISTINCT plan)::int, 0, 0, 0, 0, 0, 0, 0 FROM features UNION ALL SELECT 'bare', count(*)::int, count(DISTINCT token)::int, sum(id)::int, 0, 0, 0, 0, 0, 0 FROM bare`;

interface Written {
  readonly text: string;
  readonly values?: unknown[];
}

/** Whose tags and rows tell nothing of what was drawn. */
const written: readonly (string | Written)[] = [
  'UPDATE plans SET token = gen_random_uuid()',
  'UPDATE keyed SET token = gen_random_uuid()',
  'UPDATE plans AS p SET token = gen_random_uuid(), r = random() WHERE p.id < 20 -- no more',
  { text: 'UPDATE keyed SET token = gen_random_uuid(), n = n + $2 WHERE id < $1 RETURNING id, n, token IS NULL AS nothing', values: [4, 2000000] },
  `UPDATE plans SET n = nextval('numbers') + 5000`,
  `UPDATE keyed SET n = nextval('numbers') + 5000 RETURNING dear`,
  `UPDATE plans SET n = nextval('numbers') + 5000, r = random() WHERE id = 3 RETURNING n > 0 AS some, plans.code`,
  `UPDATE plans SET n = CASE WHEN id % 2 = 0 THEN nextval('numbers') + 50000 ELSE n END, at = now()`,
  'UPDATE plans SET at = DEFAULT WHERE id < 5',
  'UPDATE keyed SET (at, n) = (DEFAULT, 3) WHERE id = 5',
  'UPDATE plans SET n = 1 + dice(1)',
  `UPDATE plans SET tags[2] = gen_random_uuid()::text, code = code || '!' WHERE id <= 3 RETURNING tags[1], code`,
  `UPDATE plans p SET r = random(), n = f.m FROM (SELECT plan, count(*) AS m FROM features GROUP BY plan) f WHERE f.plan = p.code RETURNING p.id, f.m`,
  `UPDATE plans p SET token = gen_random_uuid(), n = o.c FROM (SELECT tenant_id, count(*) AS c FROM orders GROUP BY tenant_id) o WHERE o.tenant_id = p.id RETURNING p.code, o.c`,
  `UPDATE keyed p SET token = gen_random_uuid(), n = o.c FROM (SELECT tenant_id, count(*) AS c FROM orders GROUP BY tenant_id) o WHERE o.tenant_id = p.id`,
  `UPDATE plans SET r = (SELECT random()) WHERE id < 9`,
  `UPDATE plans SET token = gen_random_uuid() WHERE random() < 2 AND id < 4 RETURNING id`,
  `UPDATE plans SET token = gen_random_uuid() WHERE random() > 2`,
  `UPDATE plans SET n = n + 1 WHERE id < 6 RETURNING random() < 2 AS yes, n`,
  `DELETE FROM plans WHERE id > 30 AND random() < 2`,
  `DELETE FROM keyed WHERE id > 30 RETURNING nextval('numbers') > 0 AS some, id`,
  `DELETE FROM plans p USING features f WHERE f.plan = p.code AND dice(1) = 0 RETURNING p.code`,
  `WITH x AS (SELECT id, gen_random_uuid() AS u FROM plans WHERE id < 7) UPDATE plans SET token = x.u FROM x WHERE x.id = plans.id`,
  `WITH x AS (UPDATE plans SET token = gen_random_uuid() WHERE id < 7 RETURNING token) SELECT count(DISTINCT token)::int FROM x`,
  // No key stays, or none is there.
  'UPDATE plans SET id = DEFAULT',
  'UPDATE plans p SET id = id + 1000 + dice(1), token = gen_random_uuid() WHERE p.n < 5 OR n = 7 RETURNING id, p.code -- all',
  `UPDATE keyed SET id = nextval('numbers') + 5000, code = code || random(); `,
  'UPDATE bare SET token = gen_random_uuid()',
  'UPDATE bare SET token = gen_random_uuid() WHERE id = 1 RETURNING id',
  'UPDATE bare AS b SET token = gen_random_uuid(), id = b.id + 1 FROM plans p WHERE p.id = b.id AND p.n > 2 RETURNING b.id, p.code',
  'UPDATE bare SET id = 1 + dice(1) RETURNING *',
  'DELETE FROM bare WHERE random() > 2',
  'DELETE FROM bare WHERE id > 2 AND random() < 2 RETURNING *',
  'DELETE FROM bare USING plans p WHERE p.id = bare.id AND random() < 2 RETURNING p.id, bare.id AS b',
  // The rows to insert are computed before, as ever.
  `INSERT INTO plans (id, code, n) VALUES (1, 'x', 9), (900, 'y', 8) ON CONFLICT (id) DO UPDATE SET token = gen_random_uuid(), n = plans.n + excluded.n RETURNING id, n`,
  `INSERT INTO keyed AS k (id, code, n) SELECT id + 38, code || '+', id FROM plans ON CONFLICT ON CONSTRAINT keyed_pkey DO UPDATE SET n = nextval('numbers') + 5000, r = random(), tags[1] = excluded.code WHERE k.id <> 39 -- all`,
  { text: `INSERT INTO plans (id, code, n) VALUES ($1, $2, 7), ($1 + 1, $2 || 'x', 7) ON CONFLICT (id) DO UPDATE SET n = plans.n + 1, at = DEFAULT WHERE random() < $3 RETURNING *, random() < 2 AS yes`.replace('*', 'id, n, tags'), values: [40, 'z', 2] },
  `INSERT INTO plans (id, code, n) VALUES (1, 'x', 9), (900, 'y', 8) ON CONFLICT DO NOTHING RETURNING id, nextval('numbers') > 0 AS some`,
  `INSERT INTO plans (id, code, n) VALUES (901, 'x', 9), (900, 'y', 8) RETURNING random() < 2 AS yes, code -- done`,
  `INSERT INTO keyed (id, code, n) SELECT 900 + i, 'n' || i, i FROM generate_series(1, 3) i RETURNING 1 + dice(1) AS one, *`.replace(', *', ', code'),
  `INSERT INTO plans (id, code, n) VALUES (1, 'x', 9), (1, 'y', 8) ON CONFLICT (id) DO UPDATE SET r = random()`,
  `INSERT INTO plans (id, code, n) VALUES (900, 'plan 1', 9) ON CONFLICT (id) DO UPDATE SET r = random()`,
  // What PostgreSQL says.
  `UPDATE plans SET n = -nextval('numbers')`,
  `UPDATE keyed SET n = nextval('nowhere')`,
  `UPDATE plans SET code = 'same', r = random()`,
  `UPDATE plans SET dear = random() < 1`,
];

test.for(written)('%s', async (given) => {
  const { text, values } = typeof given === 'string' ? { text: given, values: undefined } : given;
  const [got, expected] = await Promise.all([cluster, pair.plain].map((pool) => pool.query(text, values).then(({ command, rowCount, rows: returned }) => ({ command, rowCount, rows: returned.map((row) => JSON.stringify(row)).sort() }), ({ code, message }: { code: string; message: string }) => ({ code, message }))));
  expect(got).toEqual(expected);
  await expectAlike();
  expect((await cluster.query(contents)).rows).toEqual((await pair.plain.query(contents)).rows);
});

test('a block, a savepoint, a prepared statement, REPEATABLE READ', async () => {
  const session = await cluster.connect();
  try {
    await session.query(`BEGIN; UPDATE plans SET token = gen_random_uuid() WHERE id = 1; SAVEPOINT s; UPDATE plans SET token = gen_random_uuid(), n = nextval('numbers') + 5000`);
    expect((await session.query('SELECT count(DISTINCT token)::int AS c FROM plans')).rows).toEqual([{ c: 40 }]);
    await session.query('ROLLBACK TO s');
    expect((await session.query('SELECT count(DISTINCT token)::int AS c, max(n)::int AS n FROM plans')).rows).toEqual([{ c: 1, n: 40 }]);
    for (const n of [1, 2, 3, 4, 5, 6, 7]) expect((await session.query({ name: 'draw', text: 'UPDATE keyed SET token = gen_random_uuid() WHERE n <= $1', values: [n] })).rowCount).toBe(n);
    await session.query('COMMIT; BEGIN ISOLATION LEVEL REPEATABLE READ; UPDATE plans SET r = random(); COMMIT');
  } finally {
    session.release();
  }
  expect((await cluster.query('SELECT count(DISTINCT r)::int AS c FROM plans')).rows).toEqual([{ c: 40 }]);
  await expectAlike();
});

test('writers beside each other leave copies alike', { timeout: 60_000 }, async () => {
  const texts = ['UPDATE plans SET token = gen_random_uuid(), n = n + 1', `INSERT INTO plans (id, code, n) VALUES ($1::int, $1::int::text, 1)`, `UPDATE plans SET r = random() WHERE random() < 0.5`, 'DELETE FROM plans WHERE id > 100 AND random() < 0.5', `INSERT INTO plans (id, code, n) VALUES (200, 'two', 1), (41 - $1::int / 100, 'forty', 7) ON CONFLICT (id) DO UPDATE SET token = gen_random_uuid(), r = random()`];
  await Promise.all(Array.from({ length: 30 }, (_, i) => {
    const text = texts[i % 5] ?? '';
    return cluster.query(text, text.includes('$1') ? [100 + i] : []);
  }));
  expect((await cluster.query('SELECT min(n)::int AS n FROM plans WHERE id <= 40')).rows).toEqual([{ n: 7 }]);
  await expectAlike();
});

test('who waits for another writer computes what it sees then', async () => {
  const first = await cluster.connect();
  try {
    await first.query('BEGIN; UPDATE plans SET n = 500 WHERE id = 1');
    const second = cluster.query(`UPDATE plans SET token = gen_random_uuid(), n = n + 1 + dice(1) WHERE id = 1 RETURNING n::int`);
    await untilOneWaits(pair.databases.nodes);
    await first.query('COMMIT');
    expect((await second).rows).toEqual([{ n: 501 }]);
  } finally {
    first.release();
  }
  await expectAlike();
});

test('row level security: what the role may see is written, and what it may not write is refused', async () => {
  await cluster.query(`DO $$ BEGIN CREATE ROLE shardwright_drawer; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`);
  await cluster.query('GRANT SELECT, UPDATE ON plans TO shardwright_drawer; GRANT SELECT (id), UPDATE (token) ON keyed TO shardwright_drawer; ALTER TABLE plans ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON plans USING (id <= 10) WITH CHECK (n < 100)');
  const session = await cluster.connect();
  try {
    await session.query('SET ROLE shardwright_drawer');
    expect((await session.query('UPDATE plans SET token = gen_random_uuid() WHERE id > 5')).rowCount).toBe(5);
    await expect(session.query('UPDATE plans SET n = 100 + dice(1) WHERE id > 5')).rejects.toMatchObject({ code: '42501' });
    await expect(session.query('UPDATE plans SET token = gen_random_uuid()')).rejects.toMatchObject({ id: 'unsupportedWrite', hint: expect.stringContaining('name a column in WHERE') as string });
    await expect(session.query('UPDATE keyed SET token = gen_random_uuid()')).rejects.toMatchObject({ code: '42501' });
  } finally {
    await session.query('RESET ROLE');
    session.release();
  }
  await cluster.query('DROP POLICY p ON plans; ALTER TABLE plans DISABLE ROW LEVEL SECURITY; REVOKE ALL ON plans, keyed FROM shardwright_drawer');
  await expectAlike();
});

const refused: Readonly<Record<string, RegExp>> = {
  'MERGE INTO plans p USING features f ON f.plan = p.code WHEN MATCHED THEN UPDATE SET r = random()': /A MERGE into a reference table calls a volatile function/,
  'INSERT INTO bare VALUES (1) RETURNING random()': /cannot be told to the other copies/,
  'INSERT INTO plans (id, code, n) VALUES (1, 1, 1) ON CONFLICT (id) DO UPDATE SET id = 5000 + dice(10), code = random()': /none is set/,
  'UPDATE bare SET token = gen_random_uuid() FROM orders o WHERE o.tenant_id = bare.id': /reads other tables and calls a volatile function/,
  'UPDATE bare SET token = gen_random_uuid() FROM plans p WHERE p.id = bare.id RETURNING *': /RETURNING \*/,
};

test.for(Object.entries(refused))('refused: %s', async ([text, detail]) => {
  await expect(cluster.query(text)).rejects.toMatchObject({ code: '0A000', id: 'unsupportedWrite', detail: expect.stringMatching(detail) as string });
});

test('values of all kinds reach the other copies as they are', async () => {
  const made = `CREATE TABLE sorts (c char(5), m mood, d code, e text COLLATE "C", num numeric(10, 2), iv interval, ts timestamp(3), tz timestamptz, b bytea, j jsonb, ch "char", bits bit(3), arr mood[], rng int4range, f4 float4, f8 float8, v varchar(4), x bigint, PRIMARY KEY (c, m, d, e))`;
  const filled = `INSERT INTO sorts VALUES ('a', 'ok', 'x', 'E', 1.50, '1 mon -3 days 04:05:06.7', '2024-01-02 03:04:05.678', '2024-07-01 00:00+02', '\\x00ff5c', '{"a": 1.10}', 'q', '101', '{sad,NULL}', '[1,5)', 0.1, 1e-300, 'ab  ', 9007199254740993),
    ('a  b', 'sad', 'x', E'tab\\t"\\\\', NULL, NULL, 'infinity', '-infinity', '', 'null', '', '000', '{}', 'empty', 'NaN', '-Infinity', '', NULL)`;
  for (const pool of [cluster, pair.plain]) await pool.query(made);
  await cluster.createReferenceTable('sorts');
  const update = `UPDATE sorts SET num = num * 2 + dice(1), iv = iv * (2 + dice(1)), ts = ts, tz = tz, b = b || b, j = jsonb_build_array(j, dice(1)), ch = ch, bits = ~bits, arr = arr || 'happy'::mood, rng = rng, f4 = f4 / 3, f8 = f8 / 3, v = v, x = x WHERE random() < 2`;
  const session = await cluster.connect();
  try {
    for (const pool of [session, pair.plain]) await pool.query(filled);
    for (const setting of [`SET DateStyle = 'SQL, DMY'; SET IntervalStyle = 'iso_8601'; SET TimeZone = 'Asia/Kolkata'; SET bytea_output = 'escape'`, `SET IntervalStyle = 'sql_standard'; SET DateStyle = 'German'`]) {
      await session.query(setting);
      for (const pool of [session, pair.plain]) expect((await pool.query(update)).rowCount).toBe(2);
    }
    for (const pool of [session, pair.plain]) expect((await pool.query(`UPDATE sorts SET c = 'z' || dice(1), e = e || 'é', m = 'happy' WHERE m = 'ok'`)).rowCount).toBe(1);
  } finally {
    session.release();
  }
  const text = 'SELECT s::text FROM sorts s ORDER BY 1';
  expect((await cluster.query(text)).rows).toEqual((await pair.plain.query(text)).rows);
  await expectAlike();
});

/** Two rows have values that `=` takes for the same, which the index does not, or not yet. */
const keysOfNoUse: Readonly<Record<string, readonly string[]>> = {
  'of another collation': [`CREATE COLLATION IF NOT EXISTS nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`, 'CREATE TABLE unlike (k text COLLATE nocase NOT NULL, n int, token uuid)', 'CREATE UNIQUE INDEX ON unlike (k COLLATE "C")', `INSERT INTO unlike VALUES ('a', 1), ('A', 2), ('b', 3)`],
  'of another operator class': ['CREATE TYPE price AS (n numeric)', 'CREATE TABLE unlike (k price NOT NULL, n int, token uuid)', 'CREATE UNIQUE INDEX ON unlike (k record_image_ops)', `INSERT INTO unlike VALUES ('(1.0)', 1), ('(1.00)', 2), ('(3)', 3)`],
  'that is deferred': ['CREATE TABLE unlike (k int NOT NULL CONSTRAINT unlike_key UNIQUE DEFERRABLE INITIALLY DEFERRED, n int, token uuid)', 'INSERT INTO unlike VALUES (1, 1), (1, 2), (3, 3)'],
  'made deferrable under its name': ['CREATE TABLE unlike (k int NOT NULL CONSTRAINT unlike_key UNIQUE, n int, token uuid)', 'UPDATE unlike SET token = gen_random_uuid()', 'ALTER TABLE unlike DROP CONSTRAINT unlike_key, ADD CONSTRAINT unlike_key UNIQUE (k) DEFERRABLE INITIALLY DEFERRED', 'INSERT INTO unlike VALUES (1, 1), (1, 2), (3, 3)'],
};

test.for(Object.entries(keysOfNoUse))('a key %s tells no rows apart', async ([, texts]) => {
  const session = await cluster.connect();
  try {
    for (const text of texts) {
      if (text.startsWith('INSERT')) await session.query('BEGIN');
      await session.query(text);
      if (text.startsWith('CREATE TABLE')) await session.query(`SELECT create_reference_table('unlike')`);
    }
    expect((await session.query('UPDATE unlike SET token = gen_random_uuid() RETURNING n')).rowCount).toBe(3);
    expect((await session.query('UPDATE unlike SET n = n + dice(1) WHERE n > 1')).rowCount).toBe(2);
    expect((await session.query('DELETE FROM unlike WHERE n = 1 + dice(1)')).rowCount).toBe(1);
    await session.query('COMMIT');
    expect((await session.query('SELECT count(DISTINCT token)::int AS tokens FROM unlike')).rows).toEqual([{ tokens: 2 }]);
    await expectAlike();
  } finally {
    await session.query('ROLLBACK; DROP TABLE unlike');
    session.release();
  }
});

test('another copy has its rows in another order, in which a key is taken', async () => {
  const text = 'UPDATE ranked SET pos = pos + 1';
  await cluster.query('CREATE TABLE ranked (id int PRIMARY KEY, pos int, CONSTRAINT ranked_pos UNIQUE (pos)); INSERT INTO ranked VALUES (3, 3), (2, 2), (1, 1)');
  try {
    await cluster.createReferenceTable('ranked');
    const id = String((await cluster.query(`SELECT shardid FROM pg_dist_shard WHERE logicalrelid = 'ranked'::regclass`)).rows[0]?.['shardid']);
    expect((await cluster.query(text)).rowCount).toBe(3);
    await run(pair.databases.nodes[1]?.connectionString ?? '', `CLUSTER ranked_${id} USING ranked_pos_${id}`);
    await expect(cluster.query(text)).rejects.toMatchObject({ code: '23505', constraint: 'ranked_pos', hint: expect.stringMatching(/^The rows are written in another order/) as string });
    await cluster.query('ALTER TABLE ranked DROP CONSTRAINT ranked_pos, ADD CONSTRAINT ranked_pos UNIQUE (pos) DEFERRABLE');
    expect((await cluster.query(text)).rowCount).toBe(3);
    await expectAlike();
  } finally {
    await cluster.query('DROP TABLE ranked');
  }
});
