import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';
import { compareSteps } from './compare-steps.ts';

let pair: ClusterAndPlain;
beforeAll(async () => {
  pair = await startCluster();
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);
beforeEach(async () => {
  for (const pool of [pair.cluster, pair.plain]) await pool.query(`DELETE FROM orders WHERE id >= 100; DELETE FROM notes WHERE id >= 100; UPDATE orders SET note = 'x'`);
});

/** Every step must give the same as on one PostgreSQL, and so must what is left in the tables. */
async function expectSameSteps(...steps: readonly string[]): Promise<void> {
  await compareSteps(pair, ...steps);
  const all = 'SELECT tenant_id, id, note FROM orders WHERE id IN (1, 100, 101, 102) ORDER BY 1, 2';
  for (const text of [all, 'SELECT * FROM notes ORDER BY id']) expect((await pair.cluster.query(text)).rows).toEqual((await pair.plain.query(text)).rows);
  await expectNothingOpen();
}

/** No server of the cluster has a session in a transaction, or a prepared one. */
async function expectNothingOpen(): Promise<void> {
  const { coordinator, nodes } = pair.databases;
  const names = [coordinator, ...nodes].map(({ database }) => database);
  for (const node of [coordinator, ...nodes]) {
    const client = new Client({ connectionString: node.connectionString });
    await client.connect();
    try {
      const { rows } = await client.query(
        `SELECT state, query FROM pg_stat_activity WHERE datname = ANY ($1) AND state LIKE 'idle in transaction%' UNION ALL SELECT 'prepared', gid FROM pg_prepared_xacts WHERE database = ANY ($1)`,
        [names],
      );
      expect(rows).toEqual([]);
    } finally {
      await client.end();
    }
  }
}

const insert = (tenant: number, id: number): string => `INSERT INTO orders (tenant_id, id, note) VALUES (${tenant}, ${id}, 'new')`;
const many = `INSERT INTO orders (tenant_id, id, note) VALUES (1, 100, 'a'), (2, 100, 'b'), (3, 100, 'c'), (4, 100, 'd'), (5, 100, 'e'), (6, 100, 'f')`;
const count = 'SELECT count(*)::int FROM orders WHERE id >= 100';

describe('blocks', () => {
  test('commit on one node', () => expectSameSteps('BEGIN', insert(1, 100), count, 'COMMIT', count));
  test('commit on several nodes', () => expectSameSteps('BEGIN', many, `UPDATE orders SET note = 'y' WHERE id = 100`, count, 'COMMIT', count));
  test('roll back several nodes and the coordinator database', () => expectSameSteps('BEGIN', many, `INSERT INTO notes VALUES (100, 'x')`, count, 'ROLLBACK', count));
  test('nodes and the coordinator database', () => expectSameSteps('BEGIN', many, `INSERT INTO notes VALUES (100, 'x')`, 'COMMIT', count));
  test('reads see own writes', () =>
    expectSameSteps('BEGIN', insert(3, 100), 'SELECT note FROM orders WHERE tenant_id = 3 AND id = 100', `UPDATE orders SET note = 'z' WHERE id = 100`, 'SELECT tenant_id, note FROM orders WHERE id = 100', 'ROLLBACK'));
  test('an error fails the block; COMMIT rolls back', () =>
    expectSameSteps('BEGIN', insert(1, 100), insert(1, 100), 'SELECT 1', count, 'COMMIT', count));
  test('an error on another node', () => expectSameSteps('BEGIN', insert(1, 100), insert(2, 1), insert(3, 100), 'ROLLBACK', count));
  test('nothing but its end is left of a failed block', () =>
    expectSameSteps('BEGIN', 'DECLARE c CURSOR FOR SELECT id FROM orders', insert(1, 100), insert(2, 1), 'ROLLBACK TO a', 'SAVEPOINT a', 'RELEASE a', 'FETCH ALL FROM c', 'SELECT 1', count, 'PREPARE p AS SELECT 1', 'EXECUTE p', `SET timezone TO 'UTC'`, 'SELEC 1', 'BEGIN', 'COMMIT AND CHAIN', count, 'ROLLBACK'));
  test('a syntax error and an unknown column', () => expectSameSteps('BEGIN', 'SELEC 1', 'SELECT 1', 'ROLLBACK', 'BEGIN', 'SELECT nothing FROM orders', 'SELECT 1', 'END'));
  test('BEGIN in a block, COMMIT and ROLLBACK outside', () => expectSameSteps('BEGIN', 'BEGIN', insert(1, 100), 'COMMIT', 'COMMIT', 'ROLLBACK', 'ABORT'));
  test('AND CHAIN', () => expectSameSteps('BEGIN ISOLATION LEVEL REPEATABLE READ', insert(1, 100), 'COMMIT AND CHAIN', 'SHOW transaction_isolation', insert(2, 100), 'ROLLBACK AND CHAIN', 'SHOW transaction_isolation', count, 'COMMIT', 'COMMIT AND CHAIN', 'ROLLBACK AND CHAIN'));
  test('START TRANSACTION', () => expectSameSteps('START TRANSACTION ISOLATION LEVEL SERIALIZABLE READ WRITE', 'SHOW transaction_isolation', insert(1, 100), 'END'));
});

describe('savepoints', () => {
  test('nodes that join before, between and after', () =>
    expectSameSteps('BEGIN', insert(1, 100), 'SAVEPOINT a', insert(2, 100), 'SAVEPOINT b', insert(3, 100), 'ROLLBACK TO a', count, insert(4, 100), insert(5, 100), 'COMMIT', count));
  test('an error in between', () =>
    expectSameSteps('BEGIN', insert(1, 100), 'SAVEPOINT a', insert(1, 100), 'SELECT 1', 'ROLLBACK TO SAVEPOINT a', insert(2, 100), 'SAVEPOINT b', insert(2, 100), 'ROLLBACK TO b', 'RELEASE a', many, 'COMMIT', count));
  test('unknown names fail the block', () =>
    expectSameSteps('BEGIN', insert(1, 100), 'ROLLBACK TO nothing', 'SELECT 1', 'ROLLBACK', 'BEGIN', 'SAVEPOINT a', 'RELEASE nothing', 'ROLLBACK TO a', insert(2, 100), insert(3, 100), 'COMMIT', count));
  test('a refused SET is not repeated on nodes that join later', () =>
    expectSameSteps('BEGIN', 'SAVEPOINT a', `SET timezone TO 'Nowhere'`, 'ROLLBACK TO a', many, 'COMMIT', count));
  test('outside a block', () => expectSameSteps('SAVEPOINT a', 'RELEASE a', 'ROLLBACK TO a', 'SELECT 1'));
});

describe('modes', () => {
  const refused = (tenant: number) => insert(tenant, 100);
  test('READ ONLY on every node', () =>
    expectSameSteps(...[1, 2, 3, 4].flatMap((tenant) => ['BEGIN READ ONLY', refused(tenant), 'ROLLBACK']), 'BEGIN READ ONLY', `UPDATE orders SET note = 'n'`, 'ROLLBACK', 'BEGIN READ ONLY', 'INSERT INTO notes VALUES (100)', 'ROLLBACK', count));
  test('SET TRANSACTION', () =>
    expectSameSteps('BEGIN', 'SET TRANSACTION READ ONLY', 'SHOW transaction_read_only', refused(1), 'ROLLBACK', 'BEGIN', 'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ', count, 'SHOW transaction_isolation', 'COMMIT', 'SET TRANSACTION READ ONLY', refused(2)));
  test('nothing of the library is lost with DEALLOCATE ALL', () => {
    const writes = ['BEGIN', 'INSERT INTO notes VALUES (100)', insert(1, 100), insert(2, 100), 'COMMIT', 'BEGIN ISOLATION LEVEL REPEATABLE READ', `UPDATE notes SET body = 'x' WHERE id = 100`, 'COMMIT', 'DELETE FROM notes WHERE id = 100', `DELETE FROM orders WHERE id = 100`];
    return expectSameSteps('SET work_mem = 8192', ...writes, 'DEALLOCATE ALL', ...writes, 'DEALLOCATE ALL', 'BEGIN', 'SELECT 1 AS a', 'DEALLOCATE ALL', ...writes.slice(1));
  });
  test('SET TRANSACTION before the first statement, which writes', () =>
    expectSameSteps(...[1, 2, 3].flatMap((tenant) => ['BEGIN', 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', insert(tenant, 100), 'SHOW transaction_isolation', 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED', 'ROLLBACK'])));
  test('SET SESSION CHARACTERISTICS and default_transaction_read_only', () =>
    expectSameSteps(
      'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY', 'BEGIN', 'SHOW transaction_read_only', refused(3), 'ROLLBACK', 'BEGIN READ WRITE', refused(3), 'COMMIT',
      'SET default_transaction_read_only TO off', 'SET default_transaction_isolation TO serializable', 'BEGIN', 'SHOW transaction_isolation', count, refused(4), 'COMMIT'));
  test('REPEATABLE READ reads one snapshot of a node', async () => {
    const client = await pair.cluster.connect();
    try {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      const before = await client.query('SELECT note FROM orders WHERE tenant_id = 1 AND id = 1');
      await pair.cluster.query(`UPDATE orders SET note = 'later' WHERE tenant_id = 1 AND id = 1`);
      expect((await client.query('SELECT note FROM orders WHERE tenant_id = 1 AND id = 1')).rows).toEqual(before.rows);
      await client.query('COMMIT');
      expect((await client.query('SELECT note FROM orders WHERE tenant_id = 1 AND id = 1')).rows).toEqual([{ note: 'later' }]);
    } finally {
      client.release();
    }
  });
});

describe('texts of several statements', () => {
  test('are one transaction', () => expectSameSteps(`${insert(1, 100)}; ${insert(2, 100)}; ${insert(2, 100)}`, count, `${insert(1, 100)}; ${insert(2, 100)}; ${count}`));
  test('BEGIN takes in what ran before it', () => expectSameSteps(`${insert(1, 100)}; BEGIN; ${insert(2, 100)}`, count, 'ROLLBACK', count));
  test('BEGIN with modes', () => expectSameSteps(`BEGIN READ ONLY; SHOW transaction_read_only; COMMIT`, `SET timezone TO 'UTC'; BEGIN READ ONLY; ${insert(2, 100)}`, 'ROLLBACK', count));
  test('COMMIT and ROLLBACK in the middle', () => expectSameSteps(`${insert(1, 100)}; COMMIT; ${insert(1, 100)}`, count, `${insert(2, 100)}; ROLLBACK; ${insert(3, 100)}`, count));
  test('a block that fails stays failed', () => expectSameSteps(`BEGIN; ${insert(1, 100)}; ${insert(1, 100)}`, 'SELECT 1', 'COMMIT', count));
  test('SAVEPOINT needs a block', () => expectSameSteps(`${insert(1, 100)}; SAVEPOINT a`, count));
  test('no parameters', async () => {
    for (const pool of [pair.cluster, pair.plain]) await expect(pool.query('SELECT 1; SELECT $1', [1])).rejects.toMatchObject({ code: '42601', message: 'cannot insert multiple commands into a prepared statement' });
  });
  test('positions count from the start of the text', () => expectSameSteps(`SELECT 'ä', 1; -- a remark: SELECT nothing\n SELECT nothing FROM orders`, `SELECT 1; SELECT nothing FROM orders WHERE tenant_id = 1`, 'SELECT 1; SELEC 1'));
});

test('what fails in a block gives back all that the block has locked, on every server, unless it has a savepoint', async () => {
  for (const pool of [pair.cluster, pair.plain]) {
    const [failing, waiting] = await Promise.all([pool.connect(), pool.connect()]);
    const locks = [`UPDATE orders SET note = 'mine'`, `INSERT INTO notes VALUES (100, 'mine')`, 'SELECT pg_advisory_xact_lock(4711)'];
    const sees = async (): Promise<string[]> => {
      await waiting.query(`BEGIN; SET LOCAL lock_timeout = 500`);
      const met = await locks.reduce<Promise<string[]>>(async (before, text) => {
        const codes = await before;
        await waiting.query('SAVEPOINT a');
        const code = await waiting.query(text).then(() => 'free', (error: unknown) => (error as { code: string }).code);
        await waiting.query('ROLLBACK TO a');
        return [...codes, code];
      }, Promise.resolve([]));
      await waiting.query('ROLLBACK');
      return met;
    };
    try {
      for (const [savepoint, expected] of [['', ['free', 'free', 'free']], ['SAVEPOINT b', ['55P03', '55P03', '55P03']]] as const) {
        for (const text of ['BEGIN', ...locks, ...(savepoint === '' ? [] : [savepoint])]) await failing.query(text);
        await expect(failing.query('SELECT 1 / (id - id) FROM orders WHERE tenant_id = 1')).rejects.toMatchObject({ code: '22012' });
        expect(await sees()).toEqual(expected);
        await expect(failing.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
        expect((await failing.query('COMMIT')).command).toBe('ROLLBACK');
        expect(await sees()).toEqual(['free', 'free', 'free']);
      }
    } finally {
      failing.release();
      waiting.release();
    }
  }
  await expectNothingOpen();
}, 30_000);

test('a failing node leaves nothing of a commit on several nodes', async () => {
  const client = await pair.cluster.connect();
  try {
    await client.query('BEGIN');
    await client.query(many);
    // The constraint is checked at the commit, after other nodes were prepared.
    await client.query(`CREATE TEMP TABLE gone (x int) ON COMMIT DROP`);
    await client.query(`INSERT INTO notes VALUES (100, 'x')`);
    await client.query('COMMIT').catch(() => undefined);
  } finally {
    client.release();
  }
  const notes = (await pair.cluster.query('SELECT * FROM notes WHERE id = 100')).rowCount === 1;
  expect((await pair.cluster.query(count)).rows).toEqual([{ count: notes ? 6 : 0 }]);
  await expectNothingOpen();
});

test('a client released inside a transaction is rolled back', async () => {
  const client = await pair.cluster.connect();
  await client.query('BEGIN');
  await client.query(many);
  await client.query(`INSERT INTO notes VALUES (100, 'x')`);
  client.release();
  const next = await pair.cluster.connect();
  try {
    expect(next).toBe(client);
    expect((await next.query(count)).rows).toEqual([{ count: 0 }]);
    await expectNothingOpen();
    await next.query('BEGIN');
    await next.query('COMMIT');
  } finally {
    next.release();
  }
});

test('queries issued at once run in order', async () => {
  const client = await pair.cluster.connect();
  try {
    const results = await Promise.all([client.query('BEGIN'), client.query(many), client.query(count), client.query('ROLLBACK'), client.query(count)]);
    expect(results.map(({ command, rows }) => [command, rows[0]])).toEqual([['BEGIN', undefined], ['INSERT', undefined], ['SELECT', { count: 6 }], ['ROLLBACK', undefined], ['SELECT', { count: 0 }]]);
  } finally {
    client.release();
  }
});

test('two-phase commit statements are refused', async () => {
  await expect(pair.cluster.query(`PREPARE TRANSACTION 'x'`)).rejects.toMatchObject({ code: '0A000' });
});

test('SET CONSTRAINTS reaches the nodes', async () => {
  const table = 'CREATE TABLE later (k bigint, v int, CONSTRAINT once UNIQUE (k, v) DEFERRABLE INITIALLY DEFERRED)';
  await Promise.all([pair.cluster.query(table), pair.plain.query(table)]);
  await pair.cluster.createDistributedTable('later', 'k', { colocateWith: 'none', shardCount: 4 });
  await expectSameSteps('INSERT INTO later VALUES (1, 1), (2, 1)', 'BEGIN', 'INSERT INTO later VALUES (1, 1)', 'DELETE FROM later WHERE k = 1', 'INSERT INTO later VALUES (1, 1)', 'COMMIT');
  await expectSameSteps('BEGIN', 'SET CONSTRAINTS ALL IMMEDIATE', 'INSERT INTO later VALUES (2, 1)', 'ROLLBACK');
  await expectSameSteps('BEGIN', 'INSERT INTO later VALUES (2, 1)', 'SET CONSTRAINTS ALL IMMEDIATE', 'SELECT 1', 'COMMIT');
  await expectSameSteps('SET CONSTRAINTS ALL DEFERRED', 'BEGIN', 'INSERT INTO later VALUES (2, 1)', 'COMMIT');
  const client = await pair.cluster.connect();
  await client.query('BEGIN');
  await expect(client.query('SET CONSTRAINTS once IMMEDIATE')).rejects.toMatchObject({ code: '0A000' });
  await client.query('ROLLBACK');
  client.release();
});
