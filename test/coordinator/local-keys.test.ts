import { Client, type PoolClient } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import type { Cluster } from '../../src/index.ts';
import { compareSteps, type Step } from '../session/compare-steps.ts';
import { serve } from '../../src/wire.ts';
import { copyData, copyDone, query, RawClient } from '../wire/raw-client.ts';
import { createTestDatabases } from '../support/test-databases.ts';
import { type ClusterAndPlain, startCluster } from './start-cluster.ts';

/** Foreign keys of local tables to reference tables: the coordinator database has a copy of these then, and all is as on one PostgreSQL. */
let pair: ClusterAndPlain;
let cluster: Cluster;
let coordinator: Client;

beforeAll(async () => {
  pair = await startCluster({ nodes: 2 });
  cluster = pair.cluster;
  coordinator = new Client({ connectionString: pair.databases.coordinator.connectionString });
  await coordinator.connect();
});

afterAll(async () => {
  await coordinator.end();
  await pair[Symbol.asyncDispose]();
}, 15_000);

const tables = `
DROP TABLE IF EXISTS visits, shops, cities, regions, offers CASCADE;
CREATE TABLE regions (id int PRIMARY KEY, name text NOT NULL, size int DEFAULT 1, made timestamptz DEFAULT now(), CONSTRAINT by_name UNIQUE (name), CHECK (size >= 0));
CREATE TABLE offers (id int PRIMARY KEY, region int, price int)`;

beforeEach(async () => {
  for (const server of [cluster, pair.plain]) await server.query(tables);
  for (const table of ['regions', 'offers']) await cluster.createReferenceTable(table);
  for (const server of [cluster, pair.plain]) {
    await server.query(`INSERT INTO regions (id, name) SELECT i, 'region ' || i FROM generate_series(1, 5) i; INSERT INTO offers SELECT i, i, i * 10 FROM generate_series(1, 8) i`);
  }
});

const key = 'CREATE TABLE visits (id int PRIMARY KEY, region int REFERENCES regions)';

/** The ids in the coordinator database's own table, past the library. */
async function here(table = 'regions'): Promise<string> {
  return at((await coordinator.query<{ ids: string }>(`SELECT coalesce(string_agg(id::text, ',' ORDER BY id), '') AS ids FROM ${table}`)).rows, 0).ids;
}

async function expectAlike(): Promise<void> {
  expect((await cluster.verify()).differences).toEqual([]);
  expect((await cluster.checkSchema()).differences).toEqual([]);
}

test('the coordinator database has the rows while a local table refers to them', async () => {
  expect(await here()).toBe('');
  await cluster.query(key);
  expect(await here()).toBe('1,2,3,4,5');
  await cluster.query('CREATE TABLE shops (id int, region int)');
  await cluster.query(`INSERT INTO shops VALUES (1, 5), (2, 7)`);
  await expect(cluster.query('ALTER TABLE shops ADD FOREIGN KEY (region) REFERENCES regions')).rejects.toMatchObject({ code: '23503' });
  await cluster.query('DELETE FROM shops WHERE id = 2');
  await cluster.query('ALTER TABLE shops ADD CONSTRAINT of_region FOREIGN KEY (region) REFERENCES regions');
  await cluster.query('DROP TABLE visits');
  await expect(cluster.query('DELETE FROM regions')).rejects.toMatchObject({ code: '23503', constraint: 'of_region', table: 'shops' });
  await expectAlike();
  await cluster.query('ALTER TABLE shops DROP CONSTRAINT of_region');
  expect(await here()).toBe('');
  await cluster.query('DELETE FROM regions WHERE id = 5');
  await expectAlike();
  await cluster.query('ALTER TABLE shops ADD CHECK (region > 0), ADD COLUMN r int REFERENCES regions');
  expect(await here()).toBe('1,2,3,4');
  await cluster.query('ALTER TABLE shops DROP COLUMN r');
  expect(await here()).toBe('');
  expect((await cluster.query('SELECT count(*)::int FROM regions')).rows).toEqual([{ count: 4 }]);
});

const writes: Record<string, readonly Step[]> = {
  'what foreign keys do': [
    'CREATE TABLE visits (id int PRIMARY KEY, region int DEFAULT 5 REFERENCES regions ON DELETE SET DEFAULT ON UPDATE CASCADE, other int REFERENCES regions ON DELETE CASCADE, third int REFERENCES regions DEFERRABLE INITIALLY DEFERRED)',
    'INSERT INTO visits VALUES (1, 1, NULL), (2, 2, 3), (3, NULL, 4), (4, 4, 1)', 'INSERT INTO visits VALUES (5, 9)', 'UPDATE regions SET id = id + 10 WHERE id < 3 RETURNING id, name', 'SELECT * FROM visits ORDER BY id',
    'DELETE FROM regions WHERE id IN (3, 11) RETURNING id', 'SELECT * FROM visits ORDER BY id', 'BEGIN', 'INSERT INTO visits (id, third) VALUES (6, 77)', `INSERT INTO regions VALUES (77, 'late')`, 'COMMIT',
    'SELECT id, third FROM visits ORDER BY id', 'BEGIN', 'DELETE FROM regions WHERE id = 77', 'COMMIT', 'SELECT id, name FROM regions ORDER BY id',
  ],
  'writes of all sorts': [
    key, `INSERT INTO regions (id, name) VALUES (6, 'six'), (7, 'seven') RETURNING id, name, size`, { text: 'INSERT INTO regions (name, id) VALUES ($1, $2)', values: ['eight', 8] },
    `INSERT INTO regions (id, name) VALUES (8, 'other'), (9, 'nine') ON CONFLICT (id) DO UPDATE SET name = excluded.name || '!' RETURNING id, name`,
    `INSERT INTO regions (id, name) VALUES (20, 'nine') ON CONFLICT ON CONSTRAINT by_name DO UPDATE SET size = regions.size + 1`, `INSERT INTO regions (id, name) VALUES (1, 'x') ON CONFLICT DO NOTHING RETURNING id`,
    `INSERT INTO regions (id, name) VALUES (1, 'x')`, `INSERT INTO regions VALUES (30, 'x', -1, '2024-01-01')`, `INSERT INTO regions (id, name) SELECT id + 100, 'offer ' || price FROM offers RETURNING id`,
    `INSERT INTO regions (id, name) SELECT DISTINCT tenant_id + 200, 'tenant ' || tenant_id FROM orders ON CONFLICT ON CONSTRAINT by_name DO NOTHING`, 'INSERT INTO visits SELECT id, id FROM regions',
    'UPDATE regions r SET size = o.price FROM offers o WHERE o.region = r.id RETURNING r.id, r.size', 'UPDATE regions SET size = size + (SELECT count(*) FROM visits) WHERE id IN (SELECT region FROM visits WHERE id < 4)',
    { text: 'UPDATE regions SET name = $1 WHERE id = $2 RETURNING id, name', values: ['third', 103] }, 'DELETE FROM regions USING orders WHERE regions.id = orders.tenant_id + 200 AND orders.tenant_id = 3', 'DELETE FROM visits WHERE region > 100',
    'DELETE FROM regions USING offers WHERE regions.id = offers.id + 100 AND offers.price > 40 RETURNING regions.id',
    `MERGE INTO regions r USING offers o ON o.id = r.id WHEN MATCHED AND o.id > 4 THEN UPDATE SET size = 0 WHEN NOT MATCHED THEN INSERT (id, name) VALUES (o.id, 'merged ' || o.id)`,
    `WITH gone AS (DELETE FROM visits WHERE region = 1 RETURNING region) DELETE FROM regions USING gone WHERE id = region RETURNING id`, `WITH n AS (INSERT INTO regions (id, name) VALUES (300, 'with') RETURNING id) INSERT INTO visits SELECT id, id FROM n RETURNING *`,
    'SELECT id, name, size FROM regions ORDER BY id', 'SELECT * FROM visits ORDER BY id',
  ],
  'transaction blocks': [
    'BEGIN', `INSERT INTO regions (id, name) VALUES (6, 'six')`, key, 'INSERT INTO visits VALUES (1, 6)', 'SAVEPOINT s', 'DELETE FROM regions', 'ROLLBACK TO s', `INSERT INTO regions (id, name) VALUES (7, 'seven')`, 'INSERT INTO visits VALUES (2, 7)',
    'SELECT id FROM regions ORDER BY id FOR UPDATE', 'UPDATE regions SET id = 8 WHERE id = 1', 'COMMIT', 'SELECT id FROM regions ORDER BY id', 'BEGIN', 'DROP TABLE visits', 'DELETE FROM regions WHERE id = 7', 'SELECT id FROM regions ORDER BY id', 'ROLLBACK',
    'DELETE FROM regions WHERE id = 7', 'SELECT * FROM visits ORDER BY id',
  ],
  'changes of definitions': [
    key, `ALTER TABLE regions ADD COLUMN state text DEFAULT 'new', ADD COLUMN seen timestamptz DEFAULT '2024-01-01'`, 'UPDATE regions SET state = NULL WHERE id = 2', 'ALTER TABLE regions ALTER state SET NOT NULL', 'ALTER TABLE regions ADD CHECK (id < 5)',
    'ALTER TABLE regions ALTER size TYPE text USING size || $$!$$', 'ALTER TABLE regions RENAME name TO title', 'CREATE UNIQUE INDEX ON regions (state)', 'SELECT id, title, size, state FROM regions ORDER BY id', 'ALTER TABLE regions RENAME TO areas',
    'INSERT INTO visits VALUES (1, 1)', 'DELETE FROM areas WHERE id = 1', 'ALTER TABLE areas RENAME TO regions', 'ALTER TABLE regions DROP CONSTRAINT regions_pkey', 'ALTER TABLE regions DROP CONSTRAINT regions_pkey CASCADE', 'DELETE FROM regions WHERE id = 1 RETURNING title',
  ],
  'TRUNCATE': [key, 'INSERT INTO visits VALUES (1, 1)', 'TRUNCATE regions', 'SELECT count(*)::int FROM regions', 'TRUNCATE regions CASCADE', 'SELECT (SELECT count(*)::int FROM regions) AS r, (SELECT count(*)::int FROM visits) AS v'],
  'partitioned local tables': [
    'CREATE TABLE visits (id int, region int REFERENCES regions ON DELETE CASCADE) PARTITION BY RANGE (id)', 'CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM (0) TO (10)', 'INSERT INTO visits VALUES (1, 1), (2, 2)', 'INSERT INTO visits VALUES (1, 9)',
    'DELETE FROM regions WHERE id = 1', 'SELECT * FROM visits', 'ALTER TABLE visits DETACH PARTITION visits_1', 'DROP TABLE visits', 'DELETE FROM regions WHERE id = 2', 'SELECT * FROM visits_1', 'DROP TABLE visits_1',
  ],
};

test.each(Object.entries(writes))('as on one PostgreSQL: %s', async (_, steps) => {
  await compareSteps(pair, ...steps);
  await expectAlike();
});

test('reference tables that the table refers to come along, and go with it', async () => {
  await compareSteps(pair, 'CREATE TABLE cities (id int PRIMARY KEY, region int NOT NULL REFERENCES regions ON DELETE CASCADE, twin int REFERENCES cities)');
  await cluster.query('CREATE TABLE trips (tenant_id bigint, region int REFERENCES regions ON DELETE CASCADE)');
  await cluster.createDistributedTable('trips', 'tenant_id', { colocateWith: 'orders' });
  expect(await here()).toBe('1,2,3,4,5');
  await cluster.createReferenceTable('cities');
  expect(await here()).toBe('');
  await cluster.query('INSERT INTO trips VALUES (1, 1), (2, 2), (3, 3)');
  await compareSteps(pair, 'INSERT INTO cities VALUES (1, 1, NULL), (2, 2, 1), (3, 3, 2)', 'CREATE TABLE shops (city int REFERENCES cities ON DELETE CASCADE)', 'INSERT INTO shops VALUES (1), (3)',
    'DELETE FROM regions WHERE id = 3', 'SELECT * FROM shops', 'SELECT * FROM cities ORDER BY id', 'INSERT INTO shops VALUES (3)');
  expect([await here(), await here('cities')]).toEqual(['1,2,4,5', '1,2']);
  expect((await cluster.query('SELECT tenant_id FROM trips ORDER BY 1')).rows).toEqual([{ tenant_id: '1' }, { tenant_id: '2' }]);
  await expectAlike();
  await cluster.query('DROP TABLE shops');
  expect([await here(), await here('cities')]).toEqual(['', '']);
  await expectAlike();
  await cluster.query('DROP TABLE trips');
});

test('a table that others refer to becomes a reference table, and a local one again', async () => {
  await compareSteps(pair, key, 'INSERT INTO visits VALUES (1, 1)', 'CREATE TABLE shops (id int PRIMARY KEY, visit int REFERENCES visits, up int REFERENCES shops)', 'INSERT INTO shops VALUES (1, 1, NULL), (2, 1, 1)');
  await cluster.createReferenceTable('visits');
  await compareSteps(pair, 'INSERT INTO visits VALUES (2, 2)', 'INSERT INTO visits VALUES (3, 8)', 'INSERT INTO shops VALUES (3, 2, 2)', 'DELETE FROM visits WHERE id = 1', 'DELETE FROM regions WHERE id = 2', 'SELECT * FROM visits ORDER BY id');
  await expectAlike();
  await expect(cluster.alterDistributedTable('visits', { column: 'id' })).rejects.toMatchObject({ id: 'unsupportedTable', message: expect.stringContaining('foreign keys of local tables refer to it') as string });
  await cluster.undistributeTable('visits');
  await compareSteps(pair, 'INSERT INTO visits VALUES (4, 4)', 'INSERT INTO visits VALUES (5, 8)', 'SELECT * FROM visits ORDER BY id', 'DELETE FROM visits', 'DELETE FROM regions WHERE id = 4');
  await expectAlike();
  await cluster.undistributeTable('regions');
  await compareSteps(pair, 'SELECT id, name FROM regions ORDER BY id', 'INSERT INTO visits VALUES (6, 1)', 'DELETE FROM regions WHERE id = 1', 'DELETE FROM regions WHERE id = 5');
});

test('values that are made once are the same in all copies', async () => {
  await cluster.query(`CREATE TABLE cities (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code uuid DEFAULT gen_random_uuid(), n serial, made timestamptz DEFAULT clock_timestamp(), twice int GENERATED ALWAYS AS (n * 2) STORED, name text)`);
  await cluster.createReferenceTable('cities');
  await cluster.query(`CREATE TABLE shops (city int REFERENCES cities); INSERT INTO cities (name) VALUES ('a'), ('b')`);
  await cluster.query(`INSERT INTO cities VALUES (DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, 'c')`);
  await cluster.query(`INSERT INTO cities (name) SELECT name FROM regions WHERE id < 3; INSERT INTO cities (id, name) OVERRIDING SYSTEM VALUE VALUES (50, 'd')`);
  await cluster.query(`INSERT INTO cities (name) VALUES ($1) RETURNING id`, ['e']);
  await expect(cluster.query(`INSERT INTO cities (id) VALUES (7)`)).rejects.toMatchObject({ code: '428C9' });
  await expect(cluster.query(`MERGE INTO cities c USING regions r ON r.id = c.id WHEN NOT MATCHED THEN INSERT (name) VALUES (r.name)`)).rejects.toMatchObject({ id: 'unsupportedWrite' });
  await cluster.copyFrom('COPY cities (name) FROM STDIN', Buffer.from('f\ng\n'));
  await cluster.copyFrom('COPY cities (id, name) FROM STDIN', Buffer.from('60\tf\n61\tg\n'));
  // Whichever copy says it first: a node's name stands below it.
  await expect(cluster.copyFrom('COPY cities (id, name) FROM STDIN', Buffer.from('62\tf\n61\tg\n'))).rejects.toMatchObject({ code: '23505', constraint: 'cities_pkey', where: expect.stringMatching(/^COPY cities, line 2(\n|$)/) as string });
  expect((await cluster.query('SELECT count(*)::int, count(DISTINCT code)::int AS codes, min(twice)::int FROM cities')).rows).toEqual([{ count: 11, codes: 11, min: 2 }]);
  await expectAlike();
  await expect(cluster.query('ALTER TABLE cities ADD COLUMN token uuid DEFAULT gen_random_uuid()')).rejects.toMatchObject({ id: 'unsupportedDdl', message: expect.stringMatching(/^cannot add column "token" to reference table "cities"/) as string });
  await cluster.query('ALTER TABLE cities ADD COLUMN token uuid; ALTER TABLE cities ALTER token SET DEFAULT gen_random_uuid()');
  await expectAlike();
});

test('COPY in a transaction block, whose connection to the coordinator database makes the values and takes the rows', async () => {
  await cluster.query(key);
  const server = await serve(cluster, { port: 0, authentication: 'trust' });
  const client = await RawClient.start({ host: server.host, port: server.port, database: pair.databases.coordinator.database });
  client.send(query('BEGIN'), query('INSERT INTO visits VALUES (1, 1)'), query('COPY regions (id, name) FROM STDIN'), copyData('6\tsix\n7\tse'), copyData('ven\n'), copyDone, query('INSERT INTO visits VALUES (2, 7)'), query('COMMIT'));
  expect((await client.until('Z', 5)).filter(([type]) => type === 'C' || type === 'E').map(([, tag]) => String(tag).replace('\0', ''))).toEqual(['BEGIN', 'INSERT 0 1', 'COPY 2', 'INSERT 0 1', 'COMMIT']);
  client.send(query('BEGIN'), query('COPY regions (id, name) FROM STDIN'), copyData('8\teight\n1\tone\n'), copyDone, query('ROLLBACK'));
  expect((await client.until('Z', 3)).filter(([type]) => type === 'E')).toHaveLength(1);
  client.socket.destroy();
  await server.close();
  expect(await here()).toBe('1,2,3,4,5,6,7');
  await expectAlike();
});

test('nobody writes to the copy past the others', async () => {
  await cluster.query(`${key}; CREATE FUNCTION sneak() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('UPDATE %I SET size = 9', TG_ARGV[0]); RETURN NULL; END $$; CREATE TRIGGER sneak AFTER DELETE ON visits EXECUTE FUNCTION sneak('regions')`);
  for (const text of ['INSERT INTO regions SELECT', 'UPDATE regions SET size = 2', 'DELETE FROM regions', 'TRUNCATE regions CASCADE']) {
    await expect(coordinator.query(text)).rejects.toMatchObject({ code: '42P01', hint: 'Write to it through shardwright.' });
  }
  await cluster.query('INSERT INTO visits VALUES (1, 1)');
  await cluster.query('ALTER TABLE visits DROP CONSTRAINT visits_region_fkey, ADD FOREIGN KEY (region) REFERENCES regions ON DELETE CASCADE');
  await expect(cluster.query('DELETE FROM regions WHERE id = 1')).rejects.toMatchObject({ code: '42P01' });
  await cluster.query('DROP TRIGGER sneak ON visits; DELETE FROM regions WHERE id = 1');
  await expectAlike();
  await cluster.query('DROP FUNCTION sneak');
});

test('verify finds what is different in the copy', async () => {
  await cluster.query(key);
  await coordinator.query(`SET session_replication_role = replica; UPDATE regions SET name = 'changed' WHERE id = 2; SET session_replication_role = origin`);
  const { differences } = await cluster.verify();
  expect(differences).toMatchObject([{ kind: 'copies_differ', table: 'regions', key: '(2)' }]);
  expect(differences[0]).toHaveProperty('copies.2.shard', 'regions');
});

test('refused: circles, policies that read elsewhere, snapshots that may be old', async () => {
  await cluster.query('ALTER TABLE offers ADD FOREIGN KEY (region) REFERENCES regions NOT VALID; ALTER TABLE regions ADD COLUMN offer int REFERENCES offers');
  await expect(cluster.query(key)).rejects.toMatchObject({ id: 'unsupportedDdl', message: 'local tables cannot refer to reference table "regions"' });
  await cluster.query('ALTER TABLE regions DROP COLUMN offer; CREATE POLICY p ON regions USING (id IN (SELECT o.region FROM offers o)); ALTER TABLE regions ENABLE ROW LEVEL SECURITY');
  await expect(cluster.query(key)).rejects.toMatchObject({ id: 'unsupportedDdl', message: 'local tables cannot refer to reference table "regions" while its policy "p" reads "offers"' });
  await cluster.query('DROP POLICY p ON regions; ALTER TABLE regions DISABLE ROW LEVEL SECURITY');
  const session = await cluster.connect();
  await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await expect(session.query(key)).rejects.toMatchObject({ id: 'unsupportedDdl', hint: 'Use READ COMMITTED.' });
  await session.query('ROLLBACK');
  session.release();
  expect(await here()).toBe('');
  await cluster.query(key);
  await expect(cluster.query('CREATE POLICY p ON regions USING (id IN (SELECT o.region FROM offers o))')).rejects.toMatchObject({ id: 'unsupportedDdl' });
  await expectAlike();
});

test('roles: who owns the table makes the copy, and takes it away; policies hold for it as for the others', async () => {
  const role = `keys_${process.pid}`;
  await cluster.query(`CREATE ROLE ${role}; GRANT USAGE, CREATE ON SCHEMA public TO ${role}; GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES ON regions TO ${role}`);
  const session = await cluster.connect();
  try {
    await session.query(`SET ROLE ${role}`);
    await expect(session.query('CREATE TABLE shops (region int REFERENCES regions)')).rejects.toMatchObject({ code: '42501' });
    await cluster.query(`CREATE TABLE shops (region int REFERENCES regions ON DELETE CASCADE); ALTER TABLE shops OWNER TO ${role}`);
    await cluster.query(`CREATE POLICY p ON regions FOR ALL TO ${role} USING (size = current_setting('app.size')::int) WITH CHECK (size < 5); ALTER TABLE regions ENABLE ROW LEVEL SECURITY; UPDATE regions SET size = id`);
    await session.query(`SET app.size = 3; INSERT INTO shops VALUES (3), (4)`);
    expect((await session.query(`UPDATE regions SET name = name || '!' RETURNING id`)).rows).toEqual([{ id: 3 }]);
    await session.query('INSERT INTO regions (id, name, size) VALUES (8, $1, 3)', ['eight']);
    await expect(session.query(`INSERT INTO regions (id, name, size) VALUES (9, 'nine', 6)`)).rejects.toMatchObject({ code: '42501' });
    await session.query('DELETE FROM regions WHERE id < 8');
    expect((await cluster.query('SELECT * FROM shops')).rows).toEqual([{ region: 4 }]);
    expect(await here()).toBe('1,2,4,5,8');
    await expectAlike();
    await session.query('DROP TABLE shops');
    expect(await here()).toBe('1,2,4,5,8');
    await session.query(`UPDATE regions SET name = 'last'`);
    await expectAlike();
    await cluster.query(`${key}; DROP TABLE visits`);
    expect(await here()).toBe('');
    await expectAlike();
  } finally {
    session.release(true);
    await cluster.query(`DROP TABLE IF EXISTS shops; DROP POLICY IF EXISTS p ON regions; DROP OWNED BY ${role}`);
    await cluster.query(`DROP ROLE ${role}`);
  }
});

/** The other process hears of no change until it asks. */
async function deafen(): Promise<void> {
  await coordinator.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'listen%'`);
}

test.each(['writes for the first time', 'has a transaction open'])('a process that has not heard of the copy writes to it all the same: %s', async (when) => {
  const other = pair.another();
  const insert = (id: number): string => `INSERT INTO regions (id, name) VALUES (${id}, 'late ${id}')`;
  await other.query(insert(100));
  const session = await other.connect();
  const open = when === 'has a transaction open';
  if (open) await session.query('BEGIN; SELECT count(*) FROM offers');
  await deafen();
  await cluster.query(key);
  // In a block it cannot be run again. It may have heard in the meantime, where all takes long.
  const outcome = await session.query(insert(101)).then(() => 'written', ({ code }: { readonly code?: string }) => code);
  expect(open ? ['written', '42P01'] : ['written']).toContain(outcome);
  await session.query('ROLLBACK').catch(() => undefined);
  await session.query(insert(102));
  await other.query('INSERT INTO visits VALUES (1, 102)');
  await expectAlike();
  await deafen();
  await cluster.query('DROP TABLE visits');
  await session.query(insert(103));
  await other.query('UPDATE regions SET size = 3 WHERE id = 103');
  expect(await here()).toBe('');
  await expectAlike();
  session.release();
  await other.end();
});

test('the key waits for who writes the reference table, and has what they wrote', async () => {
  const [writer, maker] = [await cluster.connect(), await cluster.connect()];
  await writer.query(`BEGIN; INSERT INTO regions (id, name) VALUES (6, 'six')`);
  const made = maker.query(key);
  await waits();
  await writer.query('COMMIT');
  await made;
  expect(await here()).toBe('1,2,3,4,5,6');
  for (const one of [writer, maker]) one.release();
  await expectAlike();
});

async function waits(): Promise<void> {
  const waiting = `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND datname = current_database()`;
  const servers = [pair.databases.coordinator, ...pair.databases.nodes];
  await expect.poll(async () => (await Promise.all(servers.map(({ connectionString }) => ask(connectionString, waiting)))).flat().length, { timeout: 20_000 }).toBeGreaterThan(0);
}

async function ask(connectionString: string, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

/** Two sessions; the second waits for the first. Then the first commits or not, and the second is told as by one PostgreSQL. */
const races = [
  ['INSERT INTO visits VALUES (1, 3)', 'DELETE FROM regions WHERE id = 3'], ['DELETE FROM regions WHERE id = 3', 'INSERT INTO visits VALUES (1, 3)'], ['INSERT INTO visits VALUES (1, 3)', 'UPDATE regions SET id = 33 WHERE id = 3'],
  [`INSERT INTO regions (id, name) VALUES (9, 'nine')`, `INSERT INTO regions (id, name) VALUES (9, 'other')`], ['SELECT FROM regions WHERE id = 3 FOR UPDATE', 'INSERT INTO visits VALUES (1, 3)'],
  ['SELECT FROM regions WHERE id = 3 FOR UPDATE', 'UPDATE regions SET size = 4 WHERE id = 3'],
] as const;

test.each(races.flatMap(([first, second]) => [[first, second, 'COMMIT'], [first, second, 'ROLLBACK']] as const))('%s, then %s, then %s', async (first, second, end) => {
  const outcomes = [];
  for (const server of [cluster, pair.plain]) {
    await server.query(key);
    const [one, two] = [await server.connect(), await server.connect()];
    await one.query(`BEGIN; ${first}`);
    // In a block nothing is tried again: a deadlock, which one PostgreSQL has not here, would show.
    await two.query('BEGIN');
    const waiting = told(two, second);
    if (server === cluster) await waits();
    else await new Promise((resolve) => setImmediate(resolve));
    // Who holds a row goes on with it, and does not wait for who waits.
    if (/^SELECT|visits/.test(first)) await one.query('UPDATE regions SET size = size + 1 WHERE id = 3');
    await one.query(end);
    const outcome = await waiting;
    await two.query('COMMIT');
    outcomes.push([outcome, (await server.query('SELECT id, size FROM regions ORDER BY id')).rows, (await server.query('SELECT * FROM visits')).rows]);
    for (const session of [one, two]) session.release();
  }
  expect(outcomes[0]).toEqual(outcomes[1]);
  await expectAlike();
});

async function told(session: PoolClient, text: string): Promise<unknown> {
  try {
    return (await session.query(text)).rowCount;
  } catch (error) {
    const { code, message, detail, constraint } = error as { code: string; message: string; detail: string; constraint: string };
    return { code, message, detail, constraint };
  }
}

test('a node that is added gets its copy, which is written with that of the coordinator database', async () => {
  await cluster.query(`${key}; INSERT INTO visits VALUES (1, 1)`);
  const more = await createTestDatabases({ nodes: 1 });
  const { host, port, database } = at(more.nodes, 0);
  await cluster.addNode({ host, port, database });
  await cluster.query(`INSERT INTO regions (id, name) VALUES (6, 'six'); INSERT INTO visits VALUES (2, 6); UPDATE regions SET size = 7`);
  await expectAlike();
  await cluster.query('DROP TABLE visits');
  await expectAlike();
  await cluster.removeNode({ host, port, database });
  await more.drop();
});
