import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, run, startCluster } from './start-cluster.ts';

/** Triggers of reference tables: one copy runs them, and the others take over what it has stored. */
let pair: ClusterAndPlain;
let cluster: Cluster;

const functions = `
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  new.updated_at := clock_timestamp();
  new.token := gen_random_uuid();
  new.runs := coalesce(new.runs, 0) + 1;
  RETURN new;
END $$;
CREATE FUNCTION spare() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF TG_OP = 'DELETE' THEN
    IF old.code LIKE 'keep%' THEN RETURN NULL; END IF;
    RETURN old;
  END IF;
  IF new.code LIKE 'skip%' THEN RETURN NULL; END IF;
  IF new.code LIKE 'move%' THEN new.id := new.id + 1000; END IF;
  RETURN new;
END $$;
CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF new.n > 1000 THEN RAISE EXCEPTION 'n % is too much', new.n USING ERRCODE = 'P0099'; END IF;
  RETURN NULL;
END $$`;

const definitions = `
CREATE TABLE plans (id serial PRIMARY KEY, code text NOT NULL UNIQUE, n int NOT NULL DEFAULT 1, updated_at timestamptz DEFAULT now(), token uuid, runs int, double int GENERATED ALWAYS AS (n * 2) STORED);
CREATE TABLE bare (id int, code text NOT NULL, n int NOT NULL DEFAULT 1, updated_at timestamptz, token uuid, runs int);
CREATE TABLE kept (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text NOT NULL, n int NOT NULL DEFAULT 1, updated_at timestamptz, token uuid, runs int);
CREATE TABLE features (plan text REFERENCES plans (code) ON UPDATE CASCADE ON DELETE CASCADE, name text, n int, PRIMARY KEY (plan, name));`;
const triggersOf = (table: string): string => `
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER "when" BEFORE INSERT OR UPDATE OF code OR DELETE ON ${table} FOR EACH ROW EXECUTE FUNCTION spare();
CREATE CONSTRAINT TRIGGER judge AFTER INSERT OR UPDATE ON ${table} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.n <> 2000) EXECUTE FUNCTION judge();`;
const tables = ['plans', 'bare', 'kept'];
const rows = `TRUNCATE plans, bare, kept, features RESTART IDENTITY CASCADE;
INSERT INTO plans (code, n) SELECT 'plan ' || i, i FROM generate_series(1, 20) i;
INSERT INTO bare (id, code, n) SELECT 1 + i / 2, 'x', i FROM generate_series(1, 7) i;
INSERT INTO kept (code, n) SELECT 'k ' || i, i FROM generate_series(1, 5) i;
INSERT INTO features SELECT 'plan ' || i, 'f', 1 FROM generate_series(1, 5) i`;

beforeAll(async () => {
  pair = await startCluster();
  cluster = pair.cluster;
  for (const pool of [cluster, pair.plain]) await pool.query(functions);
  await pair.plain.query(definitions + tables.map(triggersOf).join(''));
  // Some get their triggers when they are reference tables, and some have them.
  await cluster.query(`${definitions}${triggersOf('bare')}INSERT INTO bare VALUES (0, 'old')`);
  for (const table of [...tables, 'features']) await cluster.createReferenceTable(table);
  await cluster.query(triggersOf('plans') + triggersOf('kept'));
  for (const pool of [cluster, pair.plain]) await pool.query('CREATE TABLE local (kept bigint REFERENCES kept)');
}, 60_000);
afterAll(() => pair[Symbol.asyncDispose](), 15_000);
beforeEach(async () => {
  for (const pool of [cluster, pair.plain]) await pool.query(rows);
});

async function expectAlike(): Promise<void> {
  expect((await cluster.verify()).differences).toEqual([]);
}

/** What can be said of the tables whatever was drawn. */
const contents = tables.map((table) => `SELECT '${table}' AS of, count(*)::int AS rows, count(DISTINCT token)::int AS tokens, sum(runs)::int AS runs, sum(n)::int AS n, string_agg(id || code, ',' ORDER BY id, code) AS codes,
  count(*) FILTER (WHERE updated_at > now() - interval '1 minute')::int AS recent FROM ${table}`).join(' UNION ALL ') + ` UNION ALL SELECT 'features', count(*)::int, 0, 0, 0, string_agg(plan, ',' ORDER BY plan), 0 FROM features`;

const written: readonly (string | { readonly text: string; readonly values: unknown[] })[] = [
  `UPDATE plans SET n = n + 1`,
  { text: 'UPDATE plans SET n = $1 WHERE id = $2 RETURNING id, n, double, runs, token IS NULL AS bare', values: [7, 3] },
  `UPDATE plans SET code = 'skip' WHERE id = 3`,
  `UPDATE plans SET code = 'skip' || id WHERE id < 4 RETURNING id`,
  `UPDATE plans SET code = 'new' || id WHERE id < 4 RETURNING *`.replace('*', 'id, code'),
  `UPDATE plans SET id = id + 100, code = 'move ' || id WHERE id IN (1, 2) RETURNING id`,
  `UPDATE plans SET n = 5000 WHERE id = 1`,
  `UPDATE plans SET n = 2000 WHERE id = 1`,
  `UPDATE plans p SET n = f.n + 5 FROM features f WHERE f.plan = p.code RETURNING p.id, f.n`,
  `UPDATE plans p SET n = o.c FROM (SELECT tenant_id, count(*)::int AS c FROM orders GROUP BY tenant_id) o WHERE o.tenant_id = p.id RETURNING p.code, o.c`,
  `UPDATE bare SET n = 3`,
  `UPDATE bare SET id = 2, code = 'move' WHERE n = 4 RETURNING id`,
  `UPDATE bare SET code = 'skip' WHERE n > 3`,
  `UPDATE kept SET n = n * 2 RETURNING id, n`,
  `DELETE FROM plans WHERE id > 15`,
  `DELETE FROM bare WHERE n > 3 RETURNING n`,
  `DELETE FROM kept WHERE id = 2`,
  `WITH keepers AS (UPDATE plans SET code = 'keep' || id WHERE id < 3 RETURNING id) SELECT count(*)::int FROM keepers`,
  `INSERT INTO plans (code) VALUES ('a'), ('skip'), ('b') RETURNING id, code, runs, n, double`,
  `INSERT INTO plans VALUES (DEFAULT, 'a', DEFAULT, DEFAULT, NULL, 4) RETURNING runs, updated_at > '2020-01-01' AS recent`,
  { text: 'INSERT INTO plans (code, n) VALUES ($1, $2), ($3, $2) RETURNING code, n', values: ['p', 5, 'q'] },
  { text: 'INSERT INTO kept (code) VALUES ($1) RETURNING id', values: ['p'] },
  `INSERT INTO kept (code) SELECT code FROM plans WHERE id < 4`,
  `INSERT INTO bare DEFAULT VALUES`,
  `INSERT INTO bare (code) VALUES ('x'), ('move')`,
  `INSERT INTO bare (id, code) SELECT tenant_id, 'o' FROM orders WHERE tenant_id < 3`,
  `INSERT INTO plans (code) VALUES ('move')  RETURNING id > 1000 AS moved`,
  `INSERT INTO plans (id, code) VALUES (1, 'z'), (500, 'y') ON CONFLICT DO NOTHING RETURNING id`,
  `INSERT INTO plans (id, code, n) VALUES (1, 'z', 4), (500, 'y', 4) ON CONFLICT (id) DO UPDATE SET n = plans.n + excluded.n, code = excluded.code RETURNING id, n, runs`,
  `INSERT INTO plans (id, code) SELECT id + 18, 'c' || id FROM plans ON CONFLICT ON CONSTRAINT plans_pkey DO UPDATE SET n = 77 WHERE plans.id <> 19`,
  `INSERT INTO plans (id, code, n) VALUES (1, 'z', 4) ON CONFLICT (id) DO UPDATE SET n = plans.n + (random() * 0)::int RETURNING n`,
  `INSERT INTO plans (code, n) VALUES ('w', 5000)`,
  `INSERT INTO plans (code) VALUES ('plan 1')`,
  `INSERT INTO kept (code) VALUES (NULL)`,
  `INSERT INTO features VALUES ('plan 1', 'g', 2)`,
  `DELETE FROM features`,
];

test.for(written)('%s', async (given) => {
  const { text, values } = typeof given === 'string' ? { text: given, values: undefined } : given;
  const [got, expected] = await Promise.all([cluster, pair.plain].map((pool) => pool.query(text, values).then(({ command, rowCount, rows: returned, fields }) => ({ command, rowCount, fields: fields.map(({ name, dataTypeID }) => [name, dataTypeID]), rows: returned.map((row) => JSON.stringify(row)).sort() }), ({ code, message }: { code: string; message: string }) => ({ code, message }))));
  expect(got).toEqual(expected);
  await expectAlike();
  expect((await cluster.query(contents)).rows).toEqual((await pair.plain.query(contents)).rows);
});

test('what the shards have is what they should have', async () => {
  expect((await cluster.checkSchema()).differences).toEqual([]);
});

test('a block, a savepoint, a prepared statement, what is deferred', async () => {
  const session = await cluster.connect();
  try {
    await session.query(`BEGIN; UPDATE plans SET n = 100; SAVEPOINT s; INSERT INTO plans (code) VALUES ('s'); UPDATE kept SET n = 9 WHERE id = 1; ROLLBACK TO s; UPDATE kept SET n = 10 WHERE id = 2; DELETE FROM bare; COMMIT`);
    for (const n of [1, 2, 3, 4, 5, 6, 7]) expect((await session.query({ name: 'touched', text: 'UPDATE plans SET n = $1 WHERE id < $2 RETURNING runs', values: [n, n] })).rowCount).toBe(n - 1);
    for (const n of [1, 2, 3, 4, 5, 6, 7]) expect((await session.query({ name: 'added', text: 'INSERT INTO plans (code, n) VALUES ($1, $2) RETURNING runs, n', values: [`p${n}`, n] })).rows).toEqual([{ runs: 1, n }]);
    await session.query('BEGIN; UPDATE plans SET n = 5000 WHERE id = 1');
    await expect(session.query('COMMIT')).rejects.toMatchObject({ code: 'P0099', message: 'n 5000 is too much' });
    await session.query('BEGIN; SET CONSTRAINTS ALL IMMEDIATE');
    await expect(session.query('UPDATE kept SET n = 5000 WHERE id = 1')).rejects.toMatchObject({ code: 'P0099' });
    await session.query('ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ; UPDATE plans SET n = 3; COMMIT');
  } finally {
    session.release();
  }
  expect((await cluster.query('SELECT sum(n)::int AS n, count(DISTINCT token)::int AS tokens FROM plans')).rows).toEqual([{ n: 81, tokens: 27 }]);
  expect((await cluster.query('SELECT array_agg(n ORDER BY id) AS n FROM kept')).rows).toEqual([{ n: [1, 10, 3, 4, 5] }]);
  await expectAlike();
});

test('writers beside each other leave copies alike', { timeout: 60_000 }, async () => {
  const texts = ['UPDATE plans SET n = n + 1', 'INSERT INTO plans (id, code) VALUES ($1::int, $1::int::text)', `UPDATE plans SET code = code || '!' WHERE id % 3 = 0`, `INSERT INTO plans (id, code) VALUES (5, $1::text) ON CONFLICT (id) DO UPDATE SET code = excluded.code, n = plans.n + 10`, 'DELETE FROM plans WHERE id = 19 + $1::int % 3'];
  const other = pair.another();
  await Promise.all(Array.from({ length: 30 }, (_, i) => {
    const text = texts[i % 5] ?? '';
    return (i % 2 === 0 ? cluster : other).query(text, text.includes('$1') ? [100 + i] : []);
  }));
  expect((await cluster.query('SELECT min(n)::int AS n FROM plans WHERE id <= 20')).rows).toEqual([{ n: 7 }]);
  expect((await cluster.query('SELECT n::int FROM plans WHERE id = 5')).rows).toEqual([{ n: 71 }]);
  await expectAlike();
});

test('what says nothing of copies cannot write past a trigger, nor run it', async () => {
  const [node] = pair.databases.nodes;
  const name = String((await cluster.query(`SELECT shardid FROM pg_dist_shard WHERE logicalrelid = 'plans'::regclass`)).rows[0]?.['shardid']);
  for (const text of [`UPDATE plans_${name} SET n = 4`, `INSERT INTO plans_${name} (id, code) VALUES (700, 'x')`, `DELETE FROM plans_${name}`]) {
    await expect(run(node?.connectionString ?? '', text)).rejects.toMatchObject({ code: '42P01', message: 'a reference table has triggers that were not to be run' });
  }
});

test('triggers change and go', async () => {
  await cluster.query('ALTER TABLE plans DISABLE TRIGGER touch, DISABLE TRIGGER judge; UPDATE plans SET n = 50 WHERE id = 1; ALTER TABLE plans ENABLE TRIGGER touch, ENABLE TRIGGER judge');
  expect((await cluster.query('SELECT runs, n FROM plans WHERE id = 1')).rows).toEqual([{ runs: 1, n: 50 }]);
  await cluster.query(`ALTER TRIGGER touch ON plans RENAME TO touched; CREATE OR REPLACE TRIGGER touched BEFORE UPDATE ON plans FOR EACH ROW WHEN (old.n IS DISTINCT FROM new.n AND (new.n > 3 OR new.code = 'WHEN (x)')) EXECUTE FUNCTION touch()`);
  await cluster.query('UPDATE plans SET n = 2 WHERE id = 2');
  await cluster.query('UPDATE plans SET n = 7 WHERE id <= 3');
  expect((await cluster.query('SELECT runs FROM plans WHERE id <= 4 ORDER BY id')).rows).toEqual([{ runs: 2 }, { runs: 2 }, { runs: 2 }, { runs: 1 }]);
  const { differences } = await cluster.checkSchema();
  expect(differences).toEqual([]);
  for (const text of ['ALTER TABLE plans RENAME COLUMN runs TO turns', 'UPDATE plans SET n = 3 WHERE id = 4', 'ALTER TABLE plans RENAME COLUMN turns TO runs']) await cluster.query(text);
  await expectAlike();
  await cluster.query(`DROP TRIGGER touched ON plans; ${triggersOf('plans').split(';')[0] ?? ''}`);
  await cluster.query('UPDATE plans SET n = 1');
  await expectAlike();
});

const refused: Readonly<Record<string, RegExp>> = {
  'MERGE INTO plans p USING features f ON f.plan = p.code WHEN MATCHED THEN UPDATE SET n = 4': /A MERGE into reference table "plans", which has triggers/,
  'INSERT INTO plans (id, code) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET id = 5000, code = 5': /of which ON CONFLICT sets none/,
};

test.for(Object.entries(refused))('refused: %s', async ([text, detail]) => {
  await expect(cluster.query(text)).rejects.toMatchObject({ code: '0A000', id: 'unsupportedWrite', detail: expect.stringMatching(detail) as string });
});

const refusedTriggers: Readonly<Record<string, RegExp>> = {
  'CREATE TRIGGER t AFTER UPDATE ON plans FOR EACH STATEMENT EXECUTE FUNCTION judge()': /is for each statement/,
  'CREATE TRIGGER t AFTER UPDATE ON plans REFERENCING NEW TABLE AS n FOR EACH ROW EXECUTE FUNCTION judge()': /sees other rows/,
  [`CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO features VALUES (new.code, 'a', 1); RETURN NULL; END $$; CREATE TRIGGER t AFTER UPDATE ON plans FOR EACH ROW EXECUTE FUNCTION audit()`]: /the function names "features"/,
};

test.for(Object.entries(refusedTriggers))('refused: %s', async ([text, message]) => {
  await expect(cluster.query(text)).rejects.toMatchObject({ message: expect.stringMatching(message) as string });
});

test('what foreign keys would do to rows with triggers is refused, and what does nothing is not', async () => {
  await cluster.query('CREATE TRIGGER touch BEFORE UPDATE ON features FOR EACH ROW WHEN (new.n > 0) EXECUTE FUNCTION judge()');
  try {
    await expect(cluster.query(`UPDATE plans SET code = 'other' WHERE id = 1`)).rejects.toMatchObject({ code: '0A000', message: 'an action of a foreign key would run triggers of a reference table' });
    expect((await cluster.query(`UPDATE plans SET code = 'other' WHERE id = 10`)).rowCount).toBe(1);
    expect((await cluster.query('DELETE FROM plans WHERE id = 2')).rowCount).toBe(1);
    expect((await cluster.query('SELECT count(*)::int AS c FROM features')).rows).toEqual([{ c: 4 }]);
  } finally {
    await cluster.query('DROP TRIGGER touch ON features');
  }
  await expectAlike();
});

test('a trigger that gives a row another key, which the statement does not set', async () => {
  await expect(cluster.query(`UPDATE plans SET code = 'move' WHERE id = 1`)).rejects.toMatchObject({ id: 'unsupportedWrite', detail: expect.stringContaining('a trigger changes the key') as string });
  await expect(cluster.query(`INSERT INTO plans (id, code) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET code = 'move'`)).rejects.toMatchObject({ id: 'unsupportedWrite' });
  expect((await cluster.query(`SELECT code FROM plans WHERE id IN (1, 1001)`)).rows).toEqual([{ code: 'plan 1' }]);
  await expectAlike();
});

test('COPY is refused', async () => {
  await expect(cluster.copyFrom('COPY plans (code) FROM STDIN', ['x\n'])).rejects.toMatchObject({ id: 'unsupportedWrite', message: 'cannot COPY into reference table "plans", which has triggers' });
});
