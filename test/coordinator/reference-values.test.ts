import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, startCluster } from './start-cluster.ts';

/** Values that each copy of a reference table would compute for itself. */
let pair: ClusterAndPlain;
let cluster: Cluster;
beforeAll(async () => {
  pair = await startCluster();
  cluster = pair.cluster;
  await cluster.query(`
    CREATE FUNCTION server() RETURNS text STABLE LANGUAGE sql AS $$ SELECT pg_backend_pid()::text || current_setting('port') || clock_timestamp() $$;
    CREATE FUNCTION dice() RETURNS text VOLATILE LANGUAGE sql AS $$ SELECT gen_random_uuid()::text $$;
    CREATE TABLE regions (id int PRIMARY KEY, name text, seen timestamptz); CREATE TABLE guarded (LIKE regions INCLUDING ALL); CREATE TABLE keyed (LIKE regions INCLUDING ALL)`);
  for (const table of ['regions', 'guarded', 'keyed']) await cluster.createReferenceTable(table);
  await cluster.query('ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; CREATE TABLE local (region int REFERENCES keyed)');
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);
beforeEach(() => cluster.query(['regions', 'guarded', 'keyed'].map((table) => `DELETE FROM ${table}; INSERT INTO ${table} SELECT i, 'r' || i FROM generate_series(1, 5) i`).join('; ')));

async function expectAlike(): Promise<void> {
  expect((await cluster.verify()).differences).toEqual([]);
}

const tables = ['regions', 'guarded', 'keyed'];
const differing = (table: string): string[] => [
  `UPDATE ${table} SET name = server()`,
  `UPDATE ${table} SET id = id + 10, name = server()`,
  `UPDATE ${table} SET name = name || g FROM generate_series(1, 3) g WHERE id < g + 3`,
  `INSERT INTO ${table} VALUES (1, 'a') ON CONFLICT (id) DO UPDATE SET name = server()`,
  ...(table === 'guarded' ? [`INSERT INTO guarded VALUES (1, 'a') ON CONFLICT (id) DO UPDATE SET name = dice() RETURNING name`] : []),
  `INSERT INTO ${table} SELECT 1, 'a' ON CONFLICT (id) DO UPDATE SET name = server()`,
  `MERGE INTO ${table} t USING (VALUES (1)) v (k) ON t.id = v.k WHEN MATCHED THEN UPDATE SET name = server()`,
  `MERGE INTO ${table} t USING (VALUES (9)) v (k) ON t.id = v.k WHEN NOT MATCHED THEN INSERT VALUES (9, server())`,
  `MERGE INTO ${table} t USING (VALUES (9)) v (k) ON t.id = v.k WHEN NOT MATCHED THEN INSERT VALUES (9, 'nine', 'now')`,
  `UPDATE ${table} SET seen = 'now'`,
];

test.each(tables.flatMap(differing))('is refused: %s', async (text) => {
  const isOpen = text.includes('generate_series');
  await (isOpen ? cluster.query(text).catch((error: unknown) => expect(error).toMatchObject({ id: 'unsupportedWrite' })) : expect(cluster.query(text)).rejects.toMatchObject({ code: '0A000', id: 'unsupportedWrite' }));
  await expectAlike();
});

const alike = (table: string): string[] => [
  `UPDATE ${table} SET name = lower(name) || now()`,
  `INSERT INTO ${table} VALUES (1, 'A') ON CONFLICT (id) DO UPDATE SET name = lower(excluded.name), seen = now() RETURNING id, name`,
  `INSERT INTO ${table} SELECT 1, 'A' ON CONFLICT (id) DO UPDATE SET name = lower(excluded.name)`,
  `MERGE INTO ${table} t USING (VALUES (1)) v (k) ON t.id = v.k WHEN MATCHED THEN UPDATE SET name = lower('A'), seen = current_timestamp`,
];

test.each(tables.flatMap(alike))('is computed alike by all: %s', async (text) => {
  const { rows } = await cluster.query<Record<string, unknown>>(text);
  if (text.includes('RETURNING')) expect(rows).toEqual([{ id: 1, name: 'a' }]);
  expect((await cluster.query(`SELECT lower(name) = name AS low FROM ${text.split(' ')[text.startsWith('UPDATE') ? 1 : 2] ?? ''} WHERE id = 1`)).rows).toEqual([{ low: true }]);
  await expectAlike();
});

const moments: readonly (readonly [text: string, values: readonly unknown[]])[] = [
  [`INSERT INTO regions VALUES (9, 'now', 'now')`, []],
  [`INSERT INTO regions VALUES (9, 'now', timestamptz 'now')`, []],
  [`INSERT INTO regions VALUES (9, 'now', 'now'::text::timestamptz)`, []],
  [`INSERT INTO regions SELECT 9, 'now', 'now'`, []],
  ['INSERT INTO regions VALUES ($1, $2, $3)', [9, 'now', 'now']],
  ['INSERT INTO regions VALUES ($1, $2, $3::timestamptz) ON CONFLICT DO NOTHING', [9, 'now', 'NOW ']],
];

test.each(moments)('a moment that a text names is one for all: %s %s', async (text, values) => {
  await cluster.query(text, [...values]);
  await cluster.query(text.replace('regions', 'keyed'), [...values]);
  expect((await cluster.query(`SELECT name, abs(extract(epoch FROM seen - clock_timestamp())) < 600 AS near FROM regions WHERE id = 9`)).rows).toEqual([{ name: 'now', near: true }]);
  await expectAlike();
});

test('a block goes on to be all or nothing', async () => {
  const session = await cluster.connect();
  try {
    await session.query(`BEGIN; UPDATE regions SET name = 'x' WHERE id = 2`);
    await expect(session.query('UPDATE regions SET name = server()')).rejects.toMatchObject({ id: 'concurrentWrites', code: '40001', hint: expect.stringContaining('or on the server') as string });
    await expect(session.query('COMMIT')).resolves.toMatchObject({ command: 'ROLLBACK' });
  } finally {
    session.release();
  }
  expect((await cluster.query('SELECT name FROM regions WHERE id = 2')).rows).toEqual([{ name: 'r2' }]);
  await expectAlike();
});

test('a moment in data of COPY', async () => {
  const pieces = ['7\tr7\t2024-01-01 00:00+00\n8\tr8\tn', 'ow\n'];
  await expect(cluster.copyFrom('COPY regions FROM STDIN', pieces)).rejects.toMatchObject({ id: 'unsupportedWrite', table: 'regions' });
  await expect(cluster.copyFrom('COPY keyed FROM STDIN (FORMAT csv)', '7,r7,now\n')).rejects.toMatchObject({ id: 'unsupportedWrite' });
  expect(await cluster.copyFrom('COPY regions FROM STDIN', '7\tnow or then\t2024-01-01 00:00+00\n8\tr8\t\\N\n')).toMatchObject({ rowCount: 2 });
  expect(await cluster.copyFrom('COPY keyed FROM STDIN', '7\tnow\ttomorrow\n')).toMatchObject({ rowCount: 1 });
  expect((await cluster.query('SELECT id, name FROM regions WHERE id > 6 ORDER BY id')).rows).toEqual([{ id: 7, name: 'now or then' }, { id: 8, name: 'r8' }]);
  await expectAlike();
});

test('what means something else in each copy, or shows the text for a node', async () => {
  await expect(cluster.query(`INSERT INTO regions VALUES (1, 'a') ON CONFLICT (id) DO UPDATE SET name = regions.xmin::text`)).rejects.toMatchObject({ id: 'unsupportedWrite' });
  for (const text of ['UPDATE regions SET name = current_query()', 'INSERT INTO regions VALUES (7, current_query())', 'INSERT INTO regions SELECT 7, current_query()', 'SELECT current_query() FROM regions', 'UPDATE orders SET note = current_query() WHERE tenant_id = 1']) {
    await expect(cluster.query(text)).rejects.toMatchObject({ code: '0A000' });
  }
  await expectAlike();
});

test('a default that differs from copy to copy, which a foreign key would set', async () => {
  await expect(cluster.query('CREATE TABLE dated (id int PRIMARY KEY, r int DEFAULT (1 + floor(random() * 4)::int) REFERENCES regions ON DELETE SET DEFAULT); SELECT create_reference_table(\'dated\')')).rejects.toMatchObject({
    id: 'unsupportedTable', message: expect.stringContaining('would set "r" to a default that differs from copy to copy'),
  });
  await cluster.query('DROP TABLE IF EXISTS dated; CREATE TABLE dated (id int PRIMARY KEY, r int DEFAULT 2 REFERENCES regions ON DELETE SET DEFAULT); SELECT create_reference_table(\'dated\'); INSERT INTO dated VALUES (1, 1); DELETE FROM regions WHERE id = 1');
  await expect(cluster.query('ALTER TABLE dated ALTER r SET DEFAULT 2 + floor(random() * 3)::int')).rejects.toMatchObject({ id: 'unsupportedTable' });
  expect((await cluster.query('SELECT r FROM dated')).rows).toEqual([{ r: 2 }]);
  await cluster.query('DROP TABLE dated');
  await expectAlike();
});

test('a part of a larger statement returns what it is asked for', async () => {
  const deleted = await cluster.query('WITH d AS (DELETE FROM regions WHERE id < 3 RETURNING id, name) SELECT count(*)::int, max(name) FROM d');
  expect(deleted.rows).toEqual([{ count: 2, max: 'r2' }]);
  const updated = await cluster.query(`WITH u AS (UPDATE regions SET name = upper(name) WHERE id > 3 RETURNING *) SELECT u.*, o.id AS "order" FROM u JOIN orders o ON o.tenant_id = u.id WHERE o.id = 1 ORDER BY 1`);
  expect(updated.rows).toEqual([{ id: 4, name: 'R4', seen: null, order: 1 }, { id: 5, name: 'R5', seen: null, order: 1 }]);
  await expect(cluster.query('WITH u AS (UPDATE regions SET name = server() RETURNING id) SELECT count(*) FROM u')).rejects.toMatchObject({ id: 'concurrentWrites', code: '40001', hint: expect.stringContaining('or on the server') as string });
  await expectAlike();
});

test('a role needs to see the key, and what is computed, of the rows it writes', async () => {
  await cluster.query(`DO $$ BEGIN CREATE ROLE shardwright_clerk; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`);
  await cluster.query('GRANT SELECT (id), UPDATE (name, seen), INSERT ON regions TO shardwright_clerk; GRANT DELETE ON keyed TO shardwright_clerk; GRANT SELECT (id), UPDATE (name), INSERT ON keyed TO shardwright_clerk');
  const session = await cluster.connect();
  try {
    await session.query('SET ROLE shardwright_clerk');
    expect((await session.query(`UPDATE regions SET name = 'x' WHERE id > 3`)).rowCount).toBe(2);
    expect((await session.query(`UPDATE keyed SET name = 'x' WHERE id = 1`)).rowCount).toBe(1);
    expect((await session.query('INSERT INTO regions VALUES (8, $1, $2)', ['y', 'now'])).rowCount).toBe(1);
    expect((await session.query(`INSERT INTO regions VALUES (8, 'z') ON CONFLICT (id) DO UPDATE SET name = 'z'`)).rowCount).toBe(1);
    expect((await session.query('DELETE FROM keyed WHERE id < 3')).rowCount).toBe(2);
    await expect(session.query(`UPDATE regions SET name = upper(name)`)).rejects.toMatchObject({ code: '42501' });
  } finally {
    await session.query('RESET ROLE');
    session.release();
  }
  expect((await cluster.query('SELECT id, name FROM regions WHERE id > 3 ORDER BY id')).rows).toEqual([{ id: 4, name: 'x' }, { id: 5, name: 'x' }, { id: 8, name: 'z' }]);
  await expectAlike();
  await cluster.query('REVOKE ALL ON regions, keyed FROM shardwright_clerk');
});
