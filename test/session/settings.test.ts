import type { PoolClient, QueryConfig } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, run, startCluster } from '../coordinator/start-cluster.ts';

let pair: ClusterAndPlain;
beforeAll(async () => {
  pair = await startCluster();
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

async function inSession<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pair.cluster.connect();
  try {
    return await work(client);
  } finally {
    client.release(true);
  }
}

/** The time zone as each of these sees it: the coordinator database, a node of one tenant, all nodes together. */
async function zones(client: Pick<PoolClient, 'query'>): Promise<unknown[]> {
  const texts = [
    `SELECT current_setting('timezone') AS zone`,
    `SELECT DISTINCT current_setting('timezone') AS zone FROM orders WHERE tenant_id = 5`,
    `SELECT DISTINCT at::text LIKE '%+05:30' AS indian FROM orders`,
    `SELECT DISTINCT at::text LIKE '%+05:30' AS indian FROM orders WHERE tenant_id = 7`,
  ];
  const results: unknown[] = [];
  for (const text of texts) for (const row of (await client.query(text)).rows) results.push(Object.values(row as object)[0]);
  return results;
}

const indian = ['Asia/Kolkata', 'Asia/Kolkata', true, true];

test.each([
  ['SET', [`SET timezone TO 'Asia/Kolkata'`]],
  ['SET TIME ZONE', [`SET TIME ZONE 'Asia/Kolkata'`]],
  ['set_config', [`SELECT set_config('timezone', 'Asia/Kolkata', false)`]],
  ['set_config with parameters', [{ text: 'SELECT set_config($1, $2, $3)', values: ['TimeZone', 'Asia/Kolkata', false] }]],
  ['SET in a block that commits', ['BEGIN', `SET timezone TO 'Asia/Kolkata'`, 'COMMIT']],
  ['SET in a block, others undone', ['BEGIN', `SET timezone TO 'Asia/Kolkata'`, 'SAVEPOINT a', `SET timezone TO 'UTC'`, 'ROLLBACK TO a', 'COMMIT']],
  ['SET LOCAL in a block', ['BEGIN', `SET LOCAL timezone TO 'Asia/Kolkata'`]],
  ['set_config, local, in a block', ['BEGIN', `SELECT set_config('timezone', 'Asia/Kolkata', true)`]],
  ['SET before a block', [`SET timezone TO 'Asia/Kolkata'`, 'BEGIN']],
  ['SET in a block that nodes have joined', ['BEGIN', 'SELECT count(*) FROM orders', `SET timezone TO 'Asia/Kolkata'`]],
] as [string, (string | QueryConfig)[]][])('%s reaches every server', async (_, steps) => {
  await inSession(async (client) => {
    for (const text of steps) await client.query(text);
    expect(await zones(client)).toEqual(indian);
  });
  expect(await zones(pair.cluster)).not.toContain('Asia/Kolkata');
});

test.each([
  ['RESET', [`SET timezone TO 'Asia/Kolkata'`, 'RESET timezone']],
  ['RESET ALL', [`SET timezone TO 'Asia/Kolkata'`, 'RESET ALL']],
  ['DISCARD ALL', [`SET timezone TO 'Asia/Kolkata'`, 'DISCARD ALL']],
  ['ROLLBACK', ['BEGIN', `SET timezone TO 'Asia/Kolkata'`, 'ROLLBACK']],
  ['ROLLBACK TO', ['BEGIN', 'SAVEPOINT a', `SET timezone TO 'Asia/Kolkata'`, 'ROLLBACK TO a', 'COMMIT']],
  ['the end of the block of a SET LOCAL', ['BEGIN', `SET LOCAL timezone TO 'Asia/Kolkata'`, 'COMMIT']],
  ['the end of the block of a local set_config', ['BEGIN', `SELECT set_config('timezone', 'Asia/Kolkata', true)`, 'COMMIT']],
  ['a failed text', [`SET timezone TO 'Asia/Kolkata'; SELECT nothing`]],
  ['the end of a failed block', ['BEGIN', `SET timezone TO 'Asia/Kolkata'`, 'SELECT nothing', 'COMMIT']],
])('%s undoes it on every server', async (_, steps) => {
  const before = await zones(pair.cluster);
  await inSession(async (client) => {
    for (const text of steps) await client.query(text).catch(() => undefined);
    expect(await zones(client)).toEqual(before);
  });
});

test('a SET per statement does not pile up', async () => {
  await inSession(async (client) => {
    for (let i = 0; i < 50; i += 1) await client.query(`SET my.tenant TO '${i}'`);
    const { rows } = await client.query(`SELECT DISTINCT current_setting('my.tenant') AS tenant FROM orders WHERE tenant_id = 5`);
    expect(rows).toEqual([{ tenant: '49' }]);
  });
});

test('the search path decides which tables are meant, in blocks and after them', async () => {
  await pair.cluster.query(`CREATE SCHEMA other; CREATE TABLE other.orders (tenant_id bigint, word text); INSERT INTO other.orders VALUES (1, 'local')`);
  await pair.cluster.query('CREATE TABLE other.parts (k int PRIMARY KEY, v text)');
  await pair.cluster.createDistributedTable('other.parts', 'k', { shardCount: 4 });
  await pair.cluster.query(`INSERT INTO other.parts VALUES (1, 'one'), (2, 'two'), (3, 'three')`);
  await inSession(async (client) => {
    const parts = async (): Promise<unknown> => (await client.query('SELECT k, v FROM parts ORDER BY k').catch((error: { code: string }) => ({ rows: error.code }))).rows;
    const all = [{ k: 1, v: 'one' }, { k: 2, v: 'two' }, { k: 3, v: 'three' }];
    expect(await parts()).toBe('42P01');
    await client.query('BEGIN');
    await client.query('SET LOCAL search_path TO other');
    expect(await parts()).toEqual(all);
    expect((await client.query('SELECT v FROM parts WHERE k = $1', [2])).rows).toEqual([{ v: 'two' }]);
    await client.query('COMMIT');
    expect(await parts()).toBe('42P01');
    await client.query('SET search_path TO other, public');
    expect(await parts()).toEqual(all);
    expect((await client.query('SELECT count(*)::int AS n FROM countries')).rows).toEqual([{ n: 2 }]);
    await client.query('BEGIN');
    await client.query('RESET search_path');
    await client.query('ROLLBACK');
    expect(await parts()).toEqual(all);
    await client.query('RESET search_path');
    expect(await parts()).toBe('42P01');
  });
  await inSession(async (client) => {
    await expect(client.query('SELECT * FROM parts')).rejects.toMatchObject({ code: '42P01' });
  });
});

test('what a server session keeps stays with the session: temporary tables, locks, prepared statements, made inside and outside blocks', async () => {
  for (const block of [true, false]) {
    await inSession(async (client) => {
      if (block) await client.query('BEGIN');
      await client.query('CREATE TEMP TABLE mine (x int)');
      await client.query('INSERT INTO mine VALUES (1), (2)');
      await client.query('SELECT pg_advisory_lock(4711)');
      await client.query('PREPARE two AS SELECT 2 AS two');
      if (block) await client.query('COMMIT');
      const other = await pair.cluster.connect();
      try {
        await expect(other.query('SELECT * FROM mine')).rejects.toMatchObject({ code: '42P01' });
        expect((await other.query('SELECT pg_try_advisory_lock(4711) AS got')).rows).toEqual([{ got: false }]);
        expect((await client.query('SELECT count(*)::int AS n FROM mine')).rows).toEqual([{ n: 2 }]);
        expect((await client.query('EXECUTE two')).rows).toEqual([{ two: 2 }]);
        expect((await client.query('SELECT pg_advisory_unlock(4711) AS freed')).rows).toEqual([{ freed: true }]);
      } finally {
        other.release(true);
      }
    });
    await inSession(async (client) => {
      await expect(client.query('SELECT * FROM mine')).rejects.toMatchObject({ code: '42P01' });
    });
  }
});

test('LISTEN gives the client its notifications', async () => {
  await inSession(async (client) => {
    await client.query('LISTEN news');
    const heard = new Promise((resolve) => client.once('notification', resolve));
    await pair.cluster.query(`NOTIFY news, 'hello'`);
    expect(await heard).toMatchObject({ channel: 'news', payload: 'hello', processId: expect.any(Number) });
    await client.query('UNLISTEN *');
  });
});

test('a lost connection to the coordinator database is replaced, with the settings', async () => {
  await inSession(async (client) => {
    await client.query(`SET timezone TO 'Asia/Kolkata'`);
    const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
    await pair.cluster.query('SELECT pg_terminate_backend($1)', [(rows[0] as { pid: number }).pid]);
    await client.query('SELECT 1').catch(() => undefined);
    expect(await zones(client)).toEqual(indian);
  });
});

test('nodes begin with what ALTER DATABASE says on the coordinator database', async () => {
  const { coordinator, nodes } = pair.databases;
  await run(coordinator.connectionString, `ALTER DATABASE ${coordinator.database} SET timezone TO 'Asia/Kolkata';
    ALTER DATABASE ${coordinator.database} SET my.tenant TO 'all'; ALTER DATABASE ${coordinator.database} SET search_path TO "$user", public, pg_temp`);
  for (const node of nodes) await run(node.connectionString, `ALTER DATABASE ${node.database} SET timezone TO 'America/Lima'; ALTER DATABASE ${node.database} SET datestyle TO 'SQL, DMY'`);
  const own = pair.another();
  expect(await zones(own)).toEqual(indian);
  for (const where of ['tenant_id = 1', 'tenant_id = 2', 'tenant_id = 3', 'true']) {
    const { rows } = await own.query(`SELECT DISTINCT current_setting('my.tenant') AS tenant, '03/02/2024'::text::date::text AS day, current_setting('search_path') AS path FROM orders WHERE ${where}`);
    expect(rows).toEqual([{ tenant: 'all', day: '2024-03-02', path: '"$user", public, pg_temp' }]);
  }
});

test('strings with escapes in plain quotes are refused, however they are asked for', async () => {
  const refused = { code: '0A000', message: '"standard_conforming_strings" cannot be off' };
  const asked = [
    'SET standard_conforming_strings = off', 'SET LOCAL standard_conforming_strings TO 0', `SELECT 1; SET SESSION Standard_Conforming_Strings TO 'No'`, `SELECT set_config('standard_conforming_strings', 'off', false)`,
    'ALTER ROLE CURRENT_USER SET standard_conforming_strings = false', `ALTER DATABASE ${pair.databases.coordinator.database} SET standard_conforming_strings = off`, 'ALTER SYSTEM SET standard_conforming_strings = off',
    'CREATE FUNCTION off() RETURNS int LANGUAGE sql SET standard_conforming_strings = off AS $$ SELECT 1 $$',
    { text: 'SELECT set_config($1, $2, false)', values: ['standard_conforming_strings', 'off'] }, `UPDATE pg_settings SET setting = 'off' WHERE name LIKE 'standard%'`, `DO $$ BEGIN PERFORM set_config('standard_' || 'conforming_strings', 'off', false); END $$`,
  ];
  for (const text of asked) {
    await inSession(async (client) => {
      await expect(client.query(text), JSON.stringify(text)).rejects.toMatchObject(refused);
      // What only the server could see has cost the connection.
      await client.query('SELECT 1').catch(() => undefined);
      expect((await client.query(`SELECT 'a\\b' AS kept, current_setting('standard_conforming_strings') AS strings`)).rows).toEqual([{ kept: 'a\\b', strings: 'on' }]);
    });
  }
  await inSession(async (client) => {
    for (const text of ['SET standard_conforming_strings = on', 'RESET standard_conforming_strings', 'SET backslash_quote = off']) await client.query(text);
    await expect(client.query(`SELECT E'a\\'b' AS quoted FROM orders WHERE tenant_id = 5`)).rejects.toMatchObject({ code: '22P06' });
  });
});

test('a database whose sessions begin so is none of a cluster', async () => {
  const { connectionString, database } = pair.databases.coordinator;
  const begun = new Cluster({ connectionString, options: '-c standard_conforming_strings=off' });
  await expect(begun.query('SELECT 1')).rejects.toMatchObject({ code: '0A000', detail: expect.stringContaining(`/${database} begin so`) as string });
  await begun.end();
});
