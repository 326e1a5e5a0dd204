import type { PoolClient } from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';
import { compareSteps, step } from './compare-steps.ts';

let pair: ClusterAndPlain;
beforeAll(async () => {
  pair = await startCluster();
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);
afterEach(() => deleteNew());

async function deleteNew(): Promise<void> {
  for (const pool of [pair.cluster, pair.plain]) await pool.query(`DELETE FROM orders WHERE id >= 100; DELETE FROM notes WHERE id >= 100`);
}

const insert = (t: number, id: number): string => `INSERT INTO orders (tenant_id, id, note) VALUES (${t}, ${id}, 'new')`;
const many = `INSERT INTO orders (tenant_id, id, note) VALUES (1, 100, 'a'), (2, 100, 'b'), (3, 100, 'c'), (4, 100, 'd'), (5, 100, 'e'), (6, 100, 'f')`;
const count = 'SELECT count(*)::int FROM orders WHERE id >= 100';
const clean = 'DELETE FROM orders WHERE id >= 100';
/** Each is run in a session of the cluster and in one of a plain PostgreSQL. */
const sessions: Record<string, string[]> = {
  'AND CHAIN keeps the modes': ['BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE', 'SHOW transaction_deferrable', 'COMMIT AND CHAIN', 'SHOW transaction_isolation', 'SHOW transaction_read_only', 'SHOW transaction_deferrable', insert(1, 100), 'ROLLBACK AND CHAIN', 'SHOW transaction_read_only', 'COMMIT AND NO CHAIN', 'SHOW transaction_read_only'],
  'AND CHAIN after an error': ['BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT 1/0', 'COMMIT AND CHAIN', 'SHOW transaction_isolation', insert(1, 100), 'ROLLBACK AND CHAIN', 'SHOW transaction_isolation', 'ROLLBACK', count],
  'AND CHAIN keeps what SET TRANSACTION said': ['BEGIN', 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'SET TRANSACTION READ ONLY', 'COMMIT AND CHAIN', 'SHOW transaction_isolation', 'SHOW transaction_read_only', insert(1, 100), 'ROLLBACK'],
  'AND CHAIN in a text': [`BEGIN; ${insert(1, 100)}; COMMIT AND CHAIN; ${insert(2, 100)}`, 'ROLLBACK', count, clean, `SELECT 1; COMMIT AND CHAIN`, `BEGIN READ ONLY; COMMIT AND CHAIN; SHOW transaction_read_only`, 'ROLLBACK'],
  'when SET TRANSACTION may be said': ['BEGIN', 'SELECT count(*)::int FROM orders WHERE tenant_id = 1', 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'ROLLBACK', 'BEGIN', 'SELECT 1', 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'ROLLBACK', 'BEGIN', count, 'SET TRANSACTION READ ONLY', insert(1, 100), 'ROLLBACK', 'BEGIN READ ONLY', count, 'SET TRANSACTION READ WRITE', 'ROLLBACK', 'BEGIN', 'SAVEPOINT a', 'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'ROLLBACK', 'BEGIN READ ONLY', 'SAVEPOINT a', 'SET TRANSACTION READ WRITE', 'ROLLBACK', 'BEGIN', 'SAVEPOINT a', 'SET TRANSACTION READ ONLY', insert(1, 100), 'ROLLBACK TO a', insert(1, 100), 'ROLLBACK'],
  'modes of BEGIN within a block': ['BEGIN', 'BEGIN ISOLATION LEVEL SERIALIZABLE', 'SHOW transaction_isolation', count, 'START TRANSACTION READ ONLY', insert(1, 100), 'ROLLBACK', 'BEGIN', 'SELECT 1', 'BEGIN ISOLATION LEVEL READ COMMITTED', 'BEGIN ISOLATION LEVEL SERIALIZABLE', 'BEGIN READ ONLY', 'ROLLBACK', 'BEGIN', insert(1, 100), 'BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY', 'COMMIT', count, 'BEGIN READ ONLY', count, 'START TRANSACTION READ WRITE', 'ROLLBACK', 'BEGIN', 'SAVEPOINT a', 'BEGIN READ ONLY', insert(1, 100), 'ROLLBACK TO a', insert(1, 100), 'ROLLBACK', 'BEGIN', 'BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE', 'SHOW transaction_deferrable', 'COMMIT AND CHAIN', 'SHOW transaction_isolation', 'SHOW transaction_read_only', 'ROLLBACK', `${insert(1, 100)}; BEGIN; BEGIN READ ONLY; ${insert(2, 100)}`, 'ROLLBACK', count],
  'modes as settings': ['BEGIN', 'SET LOCAL transaction_isolation TO serializable', 'SHOW transaction_isolation', count, 'COMMIT', 'BEGIN', 'SET transaction_read_only TO on', insert(1, 100), 'ROLLBACK', 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE'],
  'READ ONLY refuses every kind of write': ['BEGIN READ ONLY', `INSERT INTO countries VALUES ('es', 'Spain')`, 'ROLLBACK', 'BEGIN READ ONLY', `UPDATE orders SET note = 'x'`, 'ROLLBACK', 'BEGIN READ ONLY', `DELETE FROM orders WHERE tenant_id = 1`, 'ROLLBACK', 'BEGIN READ ONLY', many, 'ROLLBACK', 'BEGIN READ ONLY', 'TRUNCATE items', 'ROLLBACK', 'BEGIN READ ONLY', `SELECT id FROM orders FOR UPDATE`, 'ROLLBACK', 'BEGIN READ ONLY', `SELECT * FROM countries FOR SHARE`, 'ROLLBACK', 'BEGIN READ ONLY', 'CREATE TABLE t (x int)', 'ROLLBACK', 'BEGIN READ ONLY', 'CREATE TEMP TABLE tt (x int)', 'INSERT INTO tt VALUES (1)', 'ROLLBACK'],
  'default_transaction_read_only outside of blocks': ['SET default_transaction_read_only TO on', insert(1, 100), many, `UPDATE orders SET note = 'x'`, `INSERT INTO countries VALUES ('es', 'Spain')`, `INSERT INTO notes VALUES (100, 'x')`, `${insert(1, 100)}; ${insert(2, 100)}`, 'RESET default_transaction_read_only', insert(1, 100), clean],
  'savepoints of one name': ['BEGIN', insert(1, 100), 'SAVEPOINT a', insert(2, 100), 'SAVEPOINT a', insert(3, 100), 'ROLLBACK TO a', 'RELEASE a', 'ROLLBACK TO a', count, 'RELEASE a', 'RELEASE a', 'ROLLBACK', count],
  'savepoints with odd names': ['BEGIN', 'SAVEPOINT "A b"', insert(1, 100), 'ROLLBACK TO "A b"', 'SAVEPOINT A', 'RELEASE a', 'ROLLBACK'],
  'savepoints after errors': ['BEGIN', 'SAVEPOINT a', 'SELECT 1/0', insert(1, 100), 'SAVEPOINT b', 'RELEASE a', 'ROLLBACK TO a', insert(1, 100), 'SELECT nothing', 'ROLLBACK TO a', count, 'COMMIT'],
  'SET behind savepoints': ['BEGIN', `SET TimeZone TO 'Asia/Tokyo'`, 'SAVEPOINT a', `SET TimeZone TO 'America/New_York'`, `SELECT at FROM orders WHERE tenant_id = 1 ORDER BY id`, 'ROLLBACK TO a', 'SHOW TimeZone', `SELECT at::text FROM orders WHERE tenant_id = 2 ORDER BY id`, `SET LOCAL TimeZone TO 'UTC'`, 'SHOW TimeZone', 'COMMIT', 'SHOW TimeZone', `SELECT at::text FROM orders WHERE tenant_id = 3 ORDER BY id`, 'BEGIN', 'RESET TimeZone', 'SHOW TimeZone', 'ROLLBACK', 'SHOW TimeZone', `SELECT at::text FROM orders ORDER BY at LIMIT 2`],
  'SET LOCAL, then SET': ['BEGIN', `SET LOCAL TimeZone TO 'Asia/Tokyo'`, `SET TimeZone TO 'UTC'`, 'SHOW TimeZone', 'COMMIT', 'SHOW TimeZone', 'BEGIN', `SET TimeZone TO 'Asia/Tokyo'`, `SET LOCAL TimeZone TO 'UTC'`, 'SAVEPOINT a', `SET LOCAL TimeZone TO 'Europe/Berlin'`, 'RELEASE a', 'SHOW TimeZone', `SELECT at::text FROM orders WHERE tenant_id = 3 AND id = 1`, 'COMMIT', 'SHOW TimeZone', `SELECT at::text FROM orders WHERE tenant_id = 3 AND id = 1`],
  'SET LOCAL outside of blocks, and other forms of SET': [`SET LOCAL TimeZone TO 'Asia/Tokyo'`, 'SHOW TimeZone', `SET LOCAL nothing TO 1`, 'RESET ALL', 'SHOW TimeZone', `SET nothing TO 1`, `SET TimeZone TO DEFAULT`, 'SHOW TimeZone', `SET TIME ZONE 'Asia/Tokyo'`, `SELECT at::text FROM orders WHERE tenant_id = 3 AND id = 1`, `SET TIME ZONE LOCAL`, 'SHOW TimeZone', `SET NAMES 'UTF8'`, `SET SESSION TimeZone = 'UTC'`],
  'RESET ALL in a block': [`SET TimeZone TO 'Asia/Tokyo'`, 'BEGIN', 'RESET ALL', 'SHOW TimeZone', `SELECT at::text FROM orders WHERE tenant_id = 3 AND id = 1`, 'ROLLBACK', 'SHOW TimeZone', `SELECT at::text FROM orders WHERE tenant_id = 3 AND id = 1`],
  'in a failed block only its end is allowed': ['BEGIN', 'SELECT 1/0', 'SELECT 1', count, insert(1, 100), 'SHOW TimeZone', `SET TimeZone TO 'UTC'`, 'BEGIN', 'DECLARE c CURSOR FOR SELECT 1', 'FETCH c', 'PREPARE p AS SELECT 1', 'EXECUTE p', 'NOTIFY a', 'LISTEN a', 'SAVEPOINT a', 'RELEASE a', 'ROLLBACK TO a', 'DISCARD ALL', 'COMMIT', 'SELECT 1'],
  'statements of one shard that fail': ['BEGIN', insert(1, 100), insert(1, 100), count, insert(2, 100), 'COMMIT', count, 'BEGIN', insert(1, 100), 'SAVEPOINT a', insert(1, 100), 'ROLLBACK TO a', insert(2, 100), 'COMMIT', count, 'BEGIN', `SELECT note::int FROM orders WHERE tenant_id = 1 AND id = 100`, 'SELECT 1', 'COMMIT', clean],
  'a block fails by a syntax error': ['BEGIN', 'SELEC', 'COMMIT', 'BEGIN', 'SELECT 1; SELEC', 'SELECT 1', 'END'],
  'texts of several statements': [`${insert(1, 100)}; ${insert(2, 100)}; SELECT 1/0; ${insert(3, 100)}`, count, `${insert(1, 100)}; BEGIN; ${insert(2, 100)}; COMMIT; ${insert(3, 100)}; SELECT 1/0`, count, clean, `BEGIN; ${insert(1, 100)}; COMMIT; BEGIN; ${insert(2, 100)}; ROLLBACK; ${insert(3, 100)}`, count, clean, `${insert(1, 100)}; ROLLBACK; SELECT 1`, count, `BEGIN; BEGIN; COMMIT; COMMIT`, `SAVEPOINT a; SELECT 1`, `SELECT 1; SAVEPOINT a`, `BEGIN; SAVEPOINT a; ${insert(1, 100)}; ROLLBACK TO a; COMMIT`, count, `;;`, ` `, `SELECT 1;;SELECT 2`],
  'SET in texts of several statements': [`SET TimeZone TO 'Asia/Tokyo'; SELECT 1/0`, 'SHOW TimeZone', `SET TimeZone TO 'Asia/Tokyo'; SHOW TimeZone`, 'SHOW TimeZone', `SET LOCAL TimeZone TO 'UTC'; SHOW TimeZone`, 'SHOW TimeZone', `BEGIN; SET LOCAL TimeZone TO 'UTC'; COMMIT; SHOW TimeZone`],
  'what cannot run in a block': [`SELECT 1; VACUUM notes`, `VACUUM notes`, 'BEGIN', 'VACUUM notes', 'ROLLBACK', 'CREATE DATABASE postgres; SELECT 1'],
  'cursors that scroll': ['BEGIN', 'DECLARE c SCROLL CURSOR FOR SELECT tenant_id, id FROM orders ORDER BY 1, 2', 'FETCH 2 FROM c', 'FETCH BACKWARD 1 FROM c', 'FETCH LAST FROM c', 'FETCH ABSOLUTE 3 FROM c', 'FETCH RELATIVE -1 FROM c', 'MOVE 2 FROM c', 'FETCH NEXT c', 'MOVE ALL IN c', 'FETCH PRIOR FROM c', 'CLOSE c', 'FETCH c', 'ROLLBACK', 'DECLARE c CURSOR FOR SELECT id FROM orders', 'CLOSE c', 'FETCH c', 'CLOSE ALL'],
  'cursors that do not': ['BEGIN', 'DECLARE c NO SCROLL CURSOR FOR SELECT tenant_id, id FROM orders ORDER BY 1, 2', 'FETCH 2 FROM c', 'FETCH BACKWARD 1 FROM c', 'ROLLBACK'],
  'cursors and savepoints': ['BEGIN', 'SAVEPOINT a', 'DECLARE c CURSOR FOR SELECT tenant_id, id FROM orders ORDER BY 1, 2', 'FETCH c', 'ROLLBACK TO a', 'FETCH c', 'ROLLBACK', 'BEGIN', 'DECLARE c CURSOR FOR SELECT tenant_id, id FROM orders ORDER BY 1, 2', 'SAVEPOINT a', 'FETCH c', 'ROLLBACK TO a', 'FETCH c', 'SELECT 1/0', 'ROLLBACK TO a', 'FETCH c', 'COMMIT', 'FETCH c'],
  'cursors WITH HOLD': ['BEGIN', 'DECLARE c CURSOR WITH HOLD FOR SELECT tenant_id, id FROM orders ORDER BY 1, 2', 'FETCH c', 'COMMIT', 'FETCH c', 'FETCH 2 FROM c', 'CLOSE c', 'BEGIN', 'DECLARE c CURSOR WITH HOLD FOR SELECT id FROM notes ORDER BY 1', 'FETCH c', 'COMMIT', 'FETCH c', 'CLOSE c', 'DECLARE c CURSOR WITH HOLD FOR SELECT tenant_id, id FROM orders ORDER BY 1, 2', 'FETCH c', 'CLOSE c', 'BEGIN', 'DECLARE c CURSOR WITH HOLD FOR SELECT tenant_id FROM orders', 'ROLLBACK', 'FETCH c'],
  'WHERE CURRENT OF': ['BEGIN', 'DECLARE c CURSOR FOR SELECT * FROM notes ORDER BY id FOR UPDATE', 'FETCH c', `UPDATE notes SET body = 'q' WHERE CURRENT OF c`, 'SELECT * FROM notes ORDER BY id', 'ROLLBACK'],
  'a cursor ends with its block': ['BEGIN', 'DECLARE c CURSOR FOR SELECT * FROM orders WHERE tenant_id = 1', 'FETCH c', 'ROLLBACK'],
  'advisory locks beside writes on several nodes': ['BEGIN', 'SELECT pg_advisory_xact_lock(9)', insert(1, 100), insert(2, 100), `INSERT INTO notes VALUES (100, 'x')`, 'SELECT pg_try_advisory_lock(9)', 'COMMIT', 'SELECT pg_advisory_unlock(9)', 'SELECT pg_advisory_unlock(9)', clean, 'DELETE FROM notes WHERE id = 100', 'SELECT pg_advisory_unlock_all()', `SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()`],
  'statement_timeout': [`SET statement_timeout TO '50ms'`, `SELECT pg_sleep(5)`, `SELECT pg_sleep(5), id FROM orders WHERE tenant_id = 1`, `SELECT pg_sleep(5), id FROM orders`, `UPDATE orders SET note = pg_sleep(1)::text`, 'RESET statement_timeout', `SELECT 1`, 'BEGIN', `SET LOCAL statement_timeout TO '50ms'`, `SELECT pg_sleep(5), id FROM orders`, 'ROLLBACK'],
  'SET SESSION CHARACTERISTICS': ['SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE', 'SHOW default_transaction_isolation', 'BEGIN', 'SHOW transaction_isolation', 'SHOW transaction_deferrable', 'COMMIT', 'SHOW transaction_isolation', insert(1, 100), 'BEGIN READ WRITE', insert(1, 100), 'ROLLBACK', 'RESET ALL', 'SHOW default_transaction_isolation', 'SHOW default_transaction_read_only'],
  'modes of BEGIN': ['BEGIN ISOLATION LEVEL READ UNCOMMITTED', 'SHOW transaction_isolation', 'COMMIT', 'BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE READ WRITE NOT DEFERRABLE', 'SHOW transaction_isolation', 'COMMIT', 'BEGIN ISOLATION LEVEL SERIALIZABLE ISOLATION LEVEL READ COMMITTED', 'SHOW transaction_isolation', 'COMMIT', 'BEGIN /* c */ READ ONLY -- x', 'SHOW transaction_read_only', 'COMMIT', 'BEGIN; ', 'COMMIT;'],
  'a block of one write': ['BEGIN', insert(1, 100), 'ROLLBACK'],
  'AND CHAIN of a chained block': ['BEGIN ISOLATION LEVEL SERIALIZABLE', 'COMMIT AND CHAIN', 'SELECT 1/0', 'COMMIT AND CHAIN', 'SHOW transaction_isolation', 'SAVEPOINT a', 'SELECT 1/0', 'ROLLBACK AND CHAIN', 'SHOW transaction_isolation', 'ROLLBACK', 'BEGIN ISOLATION LEVEL SERIALIZABLE', 'SAVEPOINT a', 'SELECT 1/0', 'COMMIT AND CHAIN', 'SHOW transaction_isolation', 'ROLLBACK'],
  'a temporary table in a block': ['BEGIN', 'CREATE TEMP TABLE tt (x int)', 'INSERT INTO tt VALUES (1)', 'DROP TABLE tt', 'COMMIT'],
  'SET behind a savepoint that fails': ['BEGIN', 'SAVEPOINT a', `SET TimeZone TO 'Asia/Tokyo'`, 'SELECT 1/0', 'ROLLBACK TO a', 'SHOW TimeZone', `SELECT at::text FROM orders WHERE tenant_id = 3 AND id = 1`, 'COMMIT', 'SHOW TimeZone'],
  'set_config': ['BEGIN', `SELECT set_config('TimeZone', 'Asia/Tokyo', true)`, `SELECT at::text FROM orders WHERE tenant_id = 3 AND id = 1`, 'SAVEPOINT a', `SELECT set_config('TimeZone', 'UTC', false)`, 'ROLLBACK TO a', 'SHOW TimeZone', 'COMMIT', 'SHOW TimeZone'],
  'no write, no transaction id': ['BEGIN', 'SELECT pg_current_xact_id_if_assigned() IS NULL', insert(1, 100), 'ROLLBACK'],
  'lock_timeout': [`SET lock_timeout TO '1s'`, 'SHOW lock_timeout', 'BEGIN', `SET LOCAL lock_timeout TO '2s'`, 'SHOW lock_timeout', insert(1, 100), 'ROLLBACK', 'SHOW lock_timeout'],
  'LISTEN and UNLISTEN': ['NOTIFY', 'LISTEN', `NOTIFY a, 'x'`, 'BEGIN', 'LISTEN a', 'UNLISTEN *', 'COMMIT', 'UNLISTEN a', `SELECT pg_notify('a', 'b')`, `SELECT * FROM pg_listening_channels()`, 'LISTEN b', `SELECT * FROM pg_listening_channels()`, 'BEGIN', 'LISTEN c', 'ROLLBACK', `SELECT * FROM pg_listening_channels()`, 'UNLISTEN *'],
  'what cannot be prepared, with writes on several nodes': [
    'BEGIN', 'CREATE TEMP TABLE tt (x int)', 'INSERT INTO tt VALUES (1)', many, 'COMMIT', 'SELECT * FROM tt', count, clean, 'BEGIN', many, 'SELECT * FROM tt', 'COMMIT', count, clean, 'BEGIN', 'DROP TABLE tt', many, 'ROLLBACK', count,
    'BEGIN', many, `DECLARE c CURSOR WITH HOLD FOR SELECT id FROM notes ORDER BY id`, 'COMMIT', 'FETCH ALL FROM c', count, clean,
    'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT pg_export_snapshot() IS NOT NULL AS exported', many, 'COMMIT', count, clean,
    'SELECT pg_advisory_lock(3)', 'BEGIN', 'SELECT pg_advisory_xact_lock(3)', many, 'COMMIT', count, clean, 'SELECT pg_advisory_unlock(3)',
    'LISTEN a', 'BEGIN', 'LISTEN b', many, `NOTIFY a, 'x'`, 'UNLISTEN a', 'COMMIT', count, clean,
  ],
  'roles': ['SET ROLE NONE', 'RESET ROLE', 'SET SESSION AUTHORIZATION DEFAULT'],
};
test.each(Object.entries(sessions))('%s', async (_, steps) => {
  await compareSteps(pair, ...steps);
  await deleteNew();
  // All texts are planned now.
  await compareSteps(pair, ...steps);
});

test('NOTIFY is heard when its transaction has committed, and not before', async () => {
  const on = async (pool: { connect(): Promise<PoolClient> }): Promise<unknown> => {
    const [listener, notifier] = [await pool.connect(), await pool.connect()];
    const heard: unknown[] = [];
    listener.on('notification', ({ channel, payload }) => heard.push([channel, payload]));
    const told = (payload: string): Promise<void> => expect.poll(() => heard.some((one) => Array.isArray(one) && one[1] === payload), { timeout: 20_000 }).toBe(true);
    await listener.query('LISTEN news');
    for (const text of ['BEGIN', `NOTIFY news, 'rolled back'`, many, 'ROLLBACK', 'BEGIN', many, `SELECT pg_notify('news', 'committed')`, `NOTIFY other, 'unheard'`, 'SAVEPOINT a', `NOTIFY news, 'undone'`, 'ROLLBACK TO a']) await step(notifier, text);
    const before = heard.length;
    await step(notifier, 'COMMIT');
    await told('committed');
    await step(listener, `BEGIN; ${insert(1, 200)}; NOTIFY news, 'own'; COMMIT`);
    await told('own');
    for (const client of [listener, notifier]) client.release(true);
    await pool.connect().then(async (client) => {
      await client.query(clean);
      client.release();
    });
    return { before, heard };
  };
  const plain = await on(pair.plain);
  expect(await on(pair.cluster)).toEqual(plain);
  expect(plain).toEqual({ before: 0, heard: [['news', 'committed'], ['news', 'own']] });
});

test.each([`SELECT pg_notify('a', note) FROM orders WHERE tenant_id = 1`, 'SELECT pg_advisory_xact_lock(id) FROM orders', `INSERT INTO orders (tenant_id, id, note) VALUES (1, 300, set_config('a.b', 'c', false))`, `UPDATE orders SET note = 'x' WHERE tenant_id = 1 AND pg_try_advisory_lock(id)`])('refused: %s', async (text) => {
  await expect(pair.cluster.query(text)).rejects.toMatchObject({ code: '0A000', detail: expect.stringMatching(/session of a node/) });
});

test('SET TRANSACTION SNAPSHOT is refused: a snapshot is one server\'s', async () => {
  const [own, other] = [await pair.cluster.connect(), await pair.cluster.connect()];
  await other.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  const { rows } = await other.query<{ name: string }>('SELECT pg_export_snapshot() AS name');
  await own.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await expect(own.query(`SET TRANSACTION SNAPSHOT '${rows[0]?.name ?? ''}'`)).rejects.toMatchObject({ code: '0A000' });
  await expect(own.query(count)).rejects.toMatchObject({ code: '25P02' });
  for (const client of [own, other]) client.release(true);
});

test('a block takes values of sequences that it has begun anew, for which anybody else would wait', async () => {
  for (const pool of [pair.cluster, pair.plain]) await pool.query('CREATE TABLE counted (k int, n serial)');
  await pair.cluster.createDistributedTable('counted', 'k');
  const one = 'INSERT INTO counted (k) VALUES (1) RETURNING n';
  await compareSteps(pair, one, one, 'BEGIN', 'TRUNCATE counted RESTART IDENTITY', one, one, 'ALTER SEQUENCE counted_n_seq RESTART WITH 50', one, 'COMMIT', one, 'BEGIN', 'ALTER SEQUENCE counted_n_seq RESTART WITH 70', one, 'ROLLBACK', 'SELECT k, n FROM counted ORDER BY n');
  for (const pool of [pair.cluster, pair.plain]) await pool.query('DROP TABLE counted');
});

test('a session is never told what others have taken from a sequence', async () => {
  await pair.cluster.query('CREATE TABLE tickets (id serial PRIMARY KEY, note text)');
  const clients = [await pair.cluster.connect(), await pair.cluster.connect()] as const;
  const [one, other] = clients;
  const take = `INSERT INTO tickets (note) VALUES ('x')`;
  const last = async (client: PoolClient): Promise<unknown> => (await client.query(`SELECT currval('tickets_id_seq')::int AS of_it, lastval()::int AS of_all`)).rows;
  const unknown = { code: '55000', message: 'currval of sequence "tickets_id_seq" is not yet defined in this session', hint: expect.stringMatching(/RETURNING/) };
  try {
    await one.query(take);
    await other.query(take);
    const third = await pair.cluster.connect();
    // In a block, and by itself.
    await third.query('BEGIN');
    await expect(last(third)).rejects.toMatchObject(unknown);
    await third.query('ROLLBACK');
    await expect(last(third)).rejects.toMatchObject(unknown);
    third.release(true);
    expect([await last(one), await last(other)]).toEqual([[{ of_it: 1, of_all: 1 }], [{ of_it: 2, of_all: 2 }]]);
    await expect(pair.cluster.query('SELECT lastval()')).rejects.toMatchObject({ code: '55000', hint: unknown.hint });
    await other.query(`BEGIN; ${take}`);
    await one.query(take);
    expect([await last(one), await last(other)]).toEqual([[{ of_it: 4, of_all: 4 }], [{ of_it: 3, of_all: 3 }]]);
    await other.query('COMMIT');
  } finally {
    for (const client of clients) client.release();
    await pair.cluster.query('DROP TABLE tickets');
  }
});
