import { text } from 'node:stream/consumers';
import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { type EmbeddedCluster, type PostgresServer, startEmbeddedCluster, volatileSettings } from '../../src/embedded.ts';
import { withServer } from '../../src/embedded/with-server.ts';
import { Cluster, type ClusterClient, type ReadOptions } from '../../src/index.ts';
import { serve } from '../../src/wire.ts';
import { until } from '../cluster/connections.ts';

let embedded: EmbeddedCluster;
let cluster: Cluster;
let replica: PostgresServer;

beforeAll(async () => {
  embedded = await startEmbeddedCluster({ nodes: 2, replicas: 1, settings: volatileSettings });
  cluster = embedded.cluster;
  await cluster.query(`
    CREATE TABLE t (a bigint PRIMARY KEY, n int NOT NULL);
    CREATE FUNCTION bump(bigint) RETURNS int LANGUAGE plpgsql AS $$ DECLARE found int; BEGIN
      EXECUTE format('UPDATE %s SET n = n + 1 WHERE a = $1 RETURNING n', (SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relname ~ '^t_\\d+$' ORDER BY oid LIMIT 1)) INTO found USING $1; RETURN 1; END $$`);
  await cluster.createDistributedTable('t', 'a', { shardCount: 2 });
  await cluster.query('INSERT INTO t SELECT g, 0 FROM generate_series(1, 20) g');
});

afterAll(() => embedded.stop());

beforeEach(replay);

/** Replicas apply what there is. */
async function replay(): Promise<void> {
  for (const which of [0, 1]) {
    replica = at(embedded.servers(which), 1);
    await value(replica, 'SELECT pg_wal_replay_resume()');
    const lsn = await value(embedded.primaryOf(which), 'SELECT pg_current_wal_lsn()');
    await until(async () => (await value(replica, `SELECT pg_last_wal_replay_lsn() >= '${lsn ?? ''}'`)) === 't');
  }
}

async function value(server: PostgresServer, text: string): Promise<string | null | undefined> {
  return withServer(server, async (connection) => (await connection.query({ text })).rows[0]?.[0]);
}

async function pauseReplay(): Promise<void> {
  for (const which of [0, 1]) await value(at(embedded.servers(which), 1), 'SELECT pg_wal_replay_pause()');
  for (const which of [0, 1]) await until(async () => (await value(at(embedded.servers(which), 1), 'SELECT pg_get_wal_replay_pause_state()')) === 'paused');
}

/** Whether the query ran on replicas, and what it saw. */
async function read(options: ReadOptions, a = 1): Promise<{ n: number; onReplica: boolean }> {
  const { rows } = await cluster.query<{ n: number; replica: boolean }>({ text: 'SELECT n, pg_is_in_recovery() AS replica FROM t WHERE a = $1', values: [a], ...options });
  return { n: at(rows, 0).n, onReplica: at(rows, 0).replica };
}

test('queries read where they say, writes and row locks on primaries', async () => {
  expect((await read({})).onReplica).toBe(false);
  expect((await read({ reads: 'prefer-replica' })).onReplica).toBe(true);
  expect((await read({ reads: 'replica' })).onReplica).toBe(true);
  const all = await cluster.query({ text: 'SELECT DISTINCT pg_is_in_recovery() AS r FROM t', reads: 'replica' });
  expect(all.rows).toEqual([{ r: true }]);
  const locking = await cluster.query({ text: 'SELECT pg_is_in_recovery() AS r FROM t WHERE a = 1 FOR UPDATE', reads: 'replica' });
  expect(locking.rows).toEqual([{ r: false }]);
  await cluster.query({ text: 'UPDATE t SET n = n + 1 WHERE a = 2', reads: 'replica' });
  await cluster.query({ text: 'INSERT INTO t SELECT a + 100, n FROM t WHERE a < 3', reads: 'replica' });
  await cluster.transaction(async (client) => {
    const { rows } = await client.query({ text: 'SELECT pg_is_in_recovery() AS r FROM t WHERE a = 1', reads: 'replica' });
    expect(rows).toEqual([{ r: false }]);
  });
  await using whole = disposable(new Cluster({ connectionString: embedded.connectionString, reads: 'prefer-replica' }));
  const client = await whole.cluster.connect();
  for (const asked of [whole.cluster, client]) expect((await asked.query('SELECT pg_is_in_recovery() AS r FROM t WHERE a = 1')).rows).toEqual([{ r: true }]);
  client.release();
  await expect(cluster.query({ text: 'SELECT FROM t', reads: 'elsewhere' as 'replica' })).rejects.toMatchObject({ id: 'invalidParameter' });
  await expect(cluster.query({ text: 'SELECT FROM t', reads: 'replica', token: 'x' })).rejects.toMatchObject({ id: 'invalidParameter' });
});

test('queries in stages read on replicas alone where they must, and on primaries where they may', async () => {
  const text = 'SELECT count(*)::int AS rows, bool_and(t.r AND u.r) AS all, bool_or(t.r OR u.r) AS any FROM (SELECT a, n, pg_is_in_recovery() AS r FROM t) t JOIN (SELECT a + 1 AS b, n, pg_is_in_recovery() AS r FROM t) u ON t.a = u.b WHERE t.a <= $1';
  const seen = async (by: Pick<Cluster, 'query'>, options: ReadOptions, last = 20): Promise<{ rows: number }> => at((await by.query<{ rows: number }>({ text, values: [last], ...options })).rows, 0);
  const client = await cluster.connect();
  await client.query(`SET work_mem = '8MB'`);
  const first = { rows: 19, all: false, any: false };
  await cluster.query('INSERT INTO t SELECT g, 0 FROM generate_series(1001, 1100) g');
  await replay();
  try {
    for (const by of [cluster, client] as const) {
      expect(await seen(by, {})).toEqual(first);
      expect(await seen(by, { reads: 'prefer-replica' })).toEqual(first);
      expect(await seen(by, { reads: 'replica' })).toEqual({ rows: 19, all: true, any: true });
      // More rows than travel as parameters of their own.
      const many = await seen(by, {}, 2000);
      expect(many.rows).toBeGreaterThan(100);
      expect(await seen(by, { reads: 'replica' }, 2000)).toEqual({ rows: many.rows, all: true, any: true });
    }
    const large = `SELECT count(*) FROM (SELECT a, repeat('x', 3000000) AS x FROM t) t JOIN (SELECT a + 1 AS b, repeat('y', 3000000) AS y FROM t) u ON t.a = u.b WHERE x <> y`;
    await expect(cluster.query({ text: large, reads: 'replica' })).rejects.toMatchObject({ id: 'resultTooLarge', hint: `Read with 'prefer-replica' or 'primary'.` });
  } finally {
    client.release();
    await cluster.query('DELETE FROM t WHERE a > 1000');
  }
  await pauseReplay();
  await cluster.query('UPDATE t SET n = n WHERE a < 5');
  const token = await cluster.readToken();
  await expect(seen(cluster, { reads: 'replica', token })).rejects.toMatchObject({ id: 'noReplica' });
});

const isReplica = 'SELECT pg_is_in_recovery() AS r FROM t WHERE a = 1';

async function readsOnReplica(by: Pick<Cluster, 'query'> | Pick<ClusterClient, 'query'>): Promise<unknown> {
  return at((await by.query<{ r: unknown }>(isReplica)).rows, 0).r;
}

test('sessions, clients and roles say where they read, the nearest to the query last', async () => {
  const client = await cluster.connect();
  const seen = async (setting: string): Promise<unknown> => {
    await client.query(setting);
    return readsOnReplica(client);
  };
  expect(await seen(`SET shardwright.reads = 'prefer-replica'`)).toBe(true);
  expect((await client.query('SHOW shardwright.reads')).rows).toEqual([{ 'shardwright.reads': 'prefer-replica' }]);
  expect((await client.query({ text: isReplica, reads: 'primary' })).rows).toEqual([{ r: false }]);
  expect(await seen('RESET shardwright.reads')).toBe(false);
  expect(await seen(`SELECT set_config('shardwright.reads', 'replica', false)`)).toBe(true);
  expect(await seen('SET shardwright.reads TO DEFAULT')).toBe(false);
  expect(await seen('SET SESSION shardwright.reads TO replica')).toBe(true);
  expect(await seen(`BEGIN; SET shardwright.reads = 'primary'; ROLLBACK`)).toBe(true);
  expect(await seen(`BEGIN; SET shardwright.reads = 'primary'; COMMIT`)).toBe(false);
  for (const [setting, hint] of [[`reads = 'nowhere'`, 'Available values: primary, prefer-replica, replica.'], ['max_lag_ms = soon', 'It is a number of milliseconds.']]) {
    await expect(client.query(`SET shardwright.${setting ?? ''}`)).rejects.toMatchObject({ id: 'invalidParameter', code: '22023', hint });
  }
  await expect(client.query(`SET shardwright.read_token = 'none'`)).rejects.toMatchObject({ id: 'invalidParameter' });
  await pauseReplay();
  await cluster.query('UPDATE t SET n = n');
  await client.query(`SET shardwright.reads = 'prefer-replica'; SET shardwright.max_lag_bytes = 0`);
  await until(async () => (await readsOnReplica(client)) === false);
  expect(await seen('DISCARD ALL')).toBe(false);
  client.release();
  const replicas = await cluster.connect({ reads: 'replica' });
  expect(await readsOnReplica(replicas)).toBe(true);
  replicas.release();
  const again = await cluster.connect();
  expect(await readsOnReplica(again)).toBe(false);
  again.release();
  await expect(cluster.connect({ reads: 'elsewhere' as 'replica' })).rejects.toMatchObject({ id: 'invalidParameter' });
  await cluster.query(`ALTER ROLE postgres SET shardwright.reads = 'replica'`);
  try {
    await using byRole = disposable(new Cluster({ connectionString: embedded.connectionString, reads: 'primary' }));
    expect(await readsOnReplica(byRole.cluster)).toBe(true);
    expect((await byRole.cluster.query({ text: isReplica, reads: 'primary' })).rows).toEqual([{ r: false }]);
  } finally {
    await cluster.query('ALTER ROLE postgres RESET shardwright.reads');
  }
});

test('read-only blocks are on replicas, each node of one on one server, and others on primaries', async () => {
  const client = await cluster.connect({ reads: 'replica' });
  const seen = async (): Promise<unknown[]> => (await client.query<{ r: boolean }>('SELECT DISTINCT pg_is_in_recovery() AS r FROM t')).rows.map(({ r }) => r);
  const inBlock = async <T>(begin: string, work: () => Promise<T>, end = 'COMMIT'): Promise<T> => {
    await client.query(begin);
    try {
      return await work();
    } finally {
      await client.query(end);
    }
  };
  for (const begin of ['BEGIN', 'BEGIN READ WRITE', 'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY', 'BEGIN READ ONLY; SET TRANSACTION READ WRITE']) expect(await inBlock(begin, seen), begin).toEqual([false]);
  for (const begin of ['BEGIN READ ONLY', 'BEGIN READ ONLY, ISOLATION LEVEL REPEATABLE READ']) expect(await inBlock(begin, seen), begin).toEqual([true]);
  await client.query('SET default_transaction_read_only = on');
  expect(await inBlock('BEGIN', seen)).toEqual([true]);
  await client.query('RESET default_transaction_read_only');
  await inBlock('BEGIN READ ONLY', async () => {
    const process = async (): Promise<unknown> => (await client.query('SELECT pg_backend_pid() FROM t WHERE a = 1')).rows;
    expect(await process()).toEqual(await process());
    await client.query('SAVEPOINT s; DECLARE c CURSOR FOR SELECT pg_is_in_recovery() AS r FROM t');
    expect((await client.query('FETCH 1 FROM c')).rows).toEqual([{ r: true }]);
    await client.query('LOCK TABLE t IN ACCESS SHARE MODE');
    for (const write of ['UPDATE t SET n = 1', 'INSERT INTO t VALUES (1, 1)', 'SELECT n FROM t WHERE a = 1 FOR UPDATE']) {
      await expect(client.query(write), write).rejects.toMatchObject({ code: '25006' });
      await client.query('ROLLBACK TO s');
    }
    expect(await seen()).toEqual([true]);
  });
  await inBlock('BEGIN READ ONLY, ISOLATION LEVEL REPEATABLE READ', async () => {
    const n = async (): Promise<unknown> => (await client.query('SELECT n FROM t WHERE a = 8')).rows;
    const before = await n();
    await cluster.query('UPDATE t SET n = 8000 WHERE a = 8');
    const token = await cluster.readToken();
    await until(async () => (await read({ reads: 'prefer-replica', token }, 8)).onReplica);
    expect(await n()).toEqual(before);
  });
  await pauseReplay();
  await client.query('UPDATE t SET n = 8001 WHERE a = 8');
  client.release();
  const own = await cluster.connect({ reads: 'prefer-replica' });
  await own.query('UPDATE t SET n = 8002 WHERE a = 8');
  await own.query('BEGIN READ ONLY');
  expect((await own.query('SELECT n, pg_is_in_recovery() AS r FROM t WHERE a = 8')).rows).toEqual([{ n: 8002, r: false }]);
  await own.query('COMMIT');
  own.release();
  const elsewhere = await cluster.transaction(async (other) => (await other.query<{ n: number }>('SELECT n FROM t WHERE a = 8')).rows, { readOnly: true, reads: 'replica' });
  expect(elsewhere).toEqual([{ n: 8000 }]);
});

test('a role of the wire server reads where ALTER ROLE says, and its sessions where they say', async () => {
  await cluster.query(`CREATE ROLE reader LOGIN; GRANT SELECT ON t TO reader; ALTER ROLE reader SET shardwright.reads = 'replica'`);
  await using server = await serve(cluster, { port: 0, authentication: 'trust' });
  const client = new Client({ host: '127.0.0.1', port: server.port, user: 'reader', database: 'postgres' });
  await client.connect();
  try {
    // The role and its rights have to come to the replica first.
    await until(async () => client.query(isReplica).then(({ rows }) => rows[0]?.r === true, () => false));
    await client.query(`SET shardwright.reads = 'primary'`);
    expect((await client.query(isReplica)).rows).toEqual([{ r: false }]);
    await client.query('RESET shardwright.reads; SET shardwright.reads TO \'prefer-replica\'');
    expect((await client.query('BEGIN READ ONLY; SELECT pg_is_in_recovery() AS r FROM t WHERE a = 1; COMMIT') as unknown as { rows: unknown[] }[])[1]?.rows).toEqual([{ r: true }]);
  } finally {
    await client.end();
  }
});

test('streams and COPY read on replicas, too, and on primaries what a replica cannot', async () => {
  const streamed = async (sql: string, options: ReadOptions): Promise<unknown[]> => {
    const rows: unknown[] = [];
    for await (const row of cluster.stream(sql, [], options)) rows.push(row);
    return rows;
  };
  const copied = (sql: string, options: ReadOptions): Promise<string> => text(cluster.copyTo(sql, options));
  expect(await streamed(isReplica, { reads: 'replica' })).toEqual([{ r: true }]);
  expect(await streamed('SELECT DISTINCT pg_is_in_recovery() AS r FROM t', { reads: 'replica' })).toEqual([{ r: true }]);
  expect(await streamed(isReplica, {})).toEqual([{ r: false }]);
  expect(await streamed(`${isReplica} FOR UPDATE`, { reads: 'replica' })).toEqual([{ r: false }]);
  expect(await copied(`COPY (${isReplica}) TO STDOUT`, { reads: 'replica' })).toBe('t\n');
  expect(await copied(`COPY (${isReplica}) TO STDOUT`, {})).toBe('f\n');
  await pauseReplay();
  await cluster.query('INSERT INTO t VALUES (9000, 1)');
  const token = await cluster.readToken();
  const [old, current] = await Promise.all([copied('COPY t TO STDOUT', { reads: 'replica' }), copied('COPY t TO STDOUT', { reads: 'prefer-replica', token })]);
  expect(old).not.toContain('9000\t1');
  expect(current).toContain('9000\t1');
  await cluster.query('ALTER TABLE t ADD COLUMN late int DEFAULT 5');
  expect(await streamed('SELECT late FROM t WHERE a = 1', { reads: 'prefer-replica' })).toEqual([{ late: 5 }]);
  expect(await copied('COPY (SELECT late FROM t WHERE a = 1) TO STDOUT', { reads: 'prefer-replica' })).toBe('5\n');
  for (const run of [streamed, copied]) {
    const sql = 'SELECT late FROM t WHERE a = 1';
    await expect(run(run === copied ? `COPY (${sql}) TO STDOUT` : sql, { reads: 'replica' })).rejects.toMatchObject({ code: expect.stringMatching(/^42(703|P01)$/) as string });
  }
  await cluster.query('DELETE FROM t WHERE a = 9000; ALTER TABLE t DROP COLUMN late');
});

test('a function that writes runs on the primary, once', async () => {
  const before = await read({}, 3);
  const { rows } = await cluster.query({ text: 'SELECT sum(bump(a)) AS calls FROM t WHERE a = 3', reads: 'prefer-replica' });
  expect(rows).toEqual([{ calls: '1' }]);
  expect((await read({}, 3)).n - before.n).toBe(1);
  await expect(cluster.query({ text: 'SELECT bump(a) FROM t WHERE a = 3', reads: 'replica' })).rejects.toMatchObject({ code: '25006' });
});

test('a token makes a reader see what was committed: without one it sees the past', async () => {
  await pauseReplay();
  await cluster.query('UPDATE t SET n = 1000 WHERE a = 4');
  const token = await cluster.readToken();
  expect(token).toMatch(/^[\w-]{20,60}$/);
  expect(await read({ reads: 'prefer-replica' }, 4)).toEqual({ n: 0, onReplica: true });
  expect(await read({ reads: 'prefer-replica', token }, 4)).toEqual({ n: 1000, onReplica: false });
  await expect(read({ reads: 'replica', token }, 4)).rejects.toMatchObject({ id: 'noReplica' });
  for (const which of [0, 1]) await value(at(embedded.servers(which), 1), 'SELECT pg_wal_replay_resume()');
  await until(async () => (await read({ reads: 'prefer-replica', token }, 4)).onReplica);
  expect(await read({ reads: 'replica', token }, 4)).toEqual({ n: 1000, onReplica: true });
});

test('limits of lag keep from replicas that are behind', async () => {
  await pauseReplay();
  expect((await read({ reads: 'prefer-replica', maxLagMs: 60_000 })).onReplica).toBe(true);
  await cluster.query('UPDATE t SET n = n + 1');
  await until(async () => !(await read({ reads: 'prefer-replica', maxLagMs: 200 })).onReplica);
  await until(async () => !(await read({ reads: 'prefer-replica', maxLagBytes: 0 })).onReplica);
  expect((await read({ reads: 'prefer-replica', maxLagBytes: 1e9 })).onReplica).toBe(true);
  await expect(read({ reads: 'replica', maxLagMs: 200 })).rejects.toMatchObject({ id: 'noReplica', code: '55000' });
});

test('a replica that is gone, or lacks a definition, is no error for who prefers one', async () => {
  await pauseReplay();
  await cluster.query('ALTER TABLE t ADD COLUMN more int DEFAULT 7');
  expect((await cluster.query({ text: 'SELECT more FROM t WHERE a = 1', reads: 'prefer-replica' })).rows).toEqual([{ more: 7 }]);
  for (const which of [0, 1]) at(embedded.servers(which), 1).kill();
  for (let i = 0; i < 20; i += 1) expect((await read({ reads: 'prefer-replica' })).n).toBeGreaterThan(-1);
  await until(() => read({ reads: 'replica' }).then(() => false, (error: { id: string }) => error.id === 'noReplica'));
});

function disposable(of: Cluster): AsyncDisposable & { readonly cluster: Cluster } {
  return { cluster: of, [Symbol.asyncDispose]: () => of.end() };
}
