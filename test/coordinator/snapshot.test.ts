import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import type { ClusterClient } from '../../src/index.ts';
import { type ClusterAndPlain, run, startCluster } from './start-cluster.ts';

let pair: ClusterAndPlain;
/** On different nodes. */
let here: number;
let there: number;
beforeAll(async () => {
  pair = await startCluster();
  const byNode = new Map<unknown, number>();
  for (let tenant = 1; tenant <= 12; tenant += 1) byNode.set((await pair.cluster.shardOf('orders', tenant)).node, tenant);
  const tenants = [...byNode.values()];
  [here, there] = [at(tenants, 0), at(tenants, 1)];
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);
beforeEach(() => pair.cluster.query('UPDATE orders SET total = 100'));

async function totalOf(client: Pick<ClusterClient, 'query'>, tenant: number): Promise<unknown> {
  const { rows } = await client.query({ text: 'SELECT total::int FROM orders WHERE tenant_id = $1 AND id = 1', values: [tenant], rowMode: 'array' });
  return rows[0]?.[0];
}

/** By another process. */
async function transfer(): Promise<void> {
  const other = pair.another();
  await other.transaction(async (tx) => {
    await tx.query('UPDATE orders SET total = total - 10 WHERE tenant_id = $1 AND id = 1', [here]);
    await tx.query('UPDATE orders SET total = total + 10 WHERE tenant_id = $1 AND id = 1', [there]);
  });
  await other.end();
}

/** What a session reads on one node, and then, after a transfer has committed, on the other. */
async function readAround(client: ClusterClient): Promise<unknown[]> {
  const first = await totalOf(client, here);
  await transfer();
  return [first, await totalOf(client, there)];
}

/** With a session that has run the statements. */
async function withSession<T>(statements: readonly string[], work: (client: ClusterClient) => Promise<T>): Promise<T> {
  const client = await pair.cluster.connect();
  try {
    for (const text of statements) await client.query(text);
    return await work(client);
  } finally {
    client.release(true);
  }
}

describe('a transfer between two nodes is seen', () => {
  test('wholly or not at all in a snapshot', async () => {
    expect(await pair.cluster.snapshot(readAround)).toEqual([100, 100]);
    expect(await pair.cluster.snapshot(readAround)).toEqual([90, 110]);
    expect(await pair.cluster.snapshot(readAround, { readOnly: false })).toEqual([80, 120]);
  });

  const on = 'SET shardwright.consistent_snapshots = on';
  test.each([
    ['BEGIN', [on, 'BEGIN ISOLATION LEVEL REPEATABLE READ']],
    ['a serializable one', [on, 'BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY']],
    ['a default', [on, `SET default_transaction_isolation = 'repeatable read'`, 'BEGIN']],
    ['SET TRANSACTION', [on, 'BEGIN', 'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ']],
    ['BEGIN in a text', [on, 'SET application_name = x; BEGIN ISOLATION LEVEL REPEATABLE READ']],
    ['set_config', [`SELECT set_config('shardwright.consistent_snapshots', 'true', false)`, 'BEGIN ISOLATION LEVEL REPEATABLE READ']],
    ['settings that are made by a query', [on, `SELECT set_config('search_path', 'public', false)`, 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SET LOCAL lock_timeout = 1000']],
    ['a chain', [on, 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'COMMIT AND CHAIN']],
  ])('wholly or not at all with the setting on: %s', async (_, statements) => {
    expect(await withSession(statements, readAround)).toEqual([100, 100]);
  });

  test.each([
    ['without the setting', ['BEGIN ISOLATION LEVEL REPEATABLE READ']],
    ['with the setting off again', [on, 'SET shardwright.consistent_snapshots TO off', 'BEGIN ISOLATION LEVEL REPEATABLE READ']],
    ['with the setting reset', [on, 'RESET shardwright.consistent_snapshots', 'BEGIN ISOLATION LEVEL REPEATABLE READ']],
    ['with READ COMMITTED', [on, 'BEGIN']],
  ])('by halves %s', async (_, statements) => {
    expect(await withSession(statements, readAround)).toEqual([100, 110]);
  });
});

test('a role that may not touch the library\'s tables', async () => {
  const text = 'DO $$ BEGIN IF to_regrole(\'snapshot_reader\') IS NULL THEN CREATE ROLE snapshot_reader; END IF; END $$';
  for (const { connectionString } of [pair.databases.coordinator, ...pair.databases.nodes]) await run(connectionString, text);
  const role = await withSession(['SET ROLE snapshot_reader', 'SET shardwright.consistent_snapshots = on', 'BEGIN ISOLATION LEVEL REPEATABLE READ'], async (client) => {
    return (await client.query({ text: 'SELECT current_user::text', rowMode: 'array' })).rows[0]?.[0];
  });
  expect(role).toBe('snapshot_reader');
});

describe('snapshot()', () => {
  test('is read only unless asked', async () => {
    const write = (client: ClusterClient): Promise<unknown> => client.query('UPDATE orders SET total = 1 WHERE id = 1');
    await expect(pair.cluster.snapshot(write)).rejects.toMatchObject({ code: '25006' });
    await pair.cluster.snapshot(write, { readOnly: false });
    expect(await totalOf(pair.cluster, there)).toBe(1);
  });

  test('gives what the work gives, and rolls back what it throws', async () => {
    expect(await pair.cluster.snapshot(() => Promise.resolve('given'))).toBe('given');
    const failing = pair.cluster.snapshot(async (client) => {
      await client.query('UPDATE orders SET total = 2');
      throw new TypeError('mine');
    }, { readOnly: false });
    await expect(failing).rejects.toThrow(new TypeError('mine'));
    expect(await totalOf(pair.cluster, here)).toBe(100);
    expect(pair.cluster.idleCount).toBe(pair.cluster.totalCount);
  });

  test('all kinds of tables', async () => {
    const counted = await pair.cluster.snapshot(async (client) => {
      await pair.cluster.query(`INSERT INTO notes VALUES (50, 'x')`);
      await pair.cluster.query(`INSERT INTO countries VALUES ('it', 'Italy')`);
      await pair.cluster.query('DELETE FROM items WHERE tenant_id = 1');
      const text = 'SELECT (SELECT count(*) FROM notes)::int, (SELECT count(*) FROM countries)::int, (SELECT count(*) FROM items)::int, (SELECT count(*) FROM orders JOIN notes USING (id))::int';
      return (await client.query({ text, rowMode: 'array' })).rows;
    });
    expect(counted).toEqual([[2, 2, 120, 24]]);
  });

  test('aborted by its signal', async () => {
    await expect(pair.cluster.snapshot(() => Promise.resolve(), { signal: AbortSignal.abort() })).rejects.toMatchObject({ id: 'canceled' });
  });
});

test.each(['on', 'TRUE', 't', 'yes', '1', 'off', 'f', 'no', '0', 'of', 'maybe', 'o', '2', `''`])('the setting takes what PostgreSQL takes for a boolean: %s', async (word) => {
  const value = /^[\d']/.test(word) ? word : `'${word}'`;
  const outcome = (client: Pick<ClusterClient, 'query'>, name: string): Promise<string> => client.query(`SET ${name} = ${value}`).then(() => 'taken', (error: { code: string; message: string }) => `${error.code}: ${error.message.replace(name, '')}`);
  const plain = await outcome(pair.plain, 'enable_seqscan');
  expect(await outcome(pair.cluster, 'shardwright.consistent_snapshots')).toBe(plain);
});

test('a deferrable transaction is refused', async () => {
  await withSession(['SET shardwright.consistent_snapshots = on'], async (client) => {
    await expect(client.query('BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE')).rejects.toMatchObject({ id: 'unsupportedQuery' });
    await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, NOT DEFERRABLE');
    expect((await client.query({ text: 'SHOW transaction_isolation', rowMode: 'array' })).rows).toEqual([['serializable']]);
  });
});

test('the coordinator database as a node', async () => {
  const { host, port, database } = pair.databases.coordinator;
  await pair.cluster.addNode({ host, port, database });
  try {
    expect(await pair.cluster.snapshot(readAround)).toEqual([100, 100]);
  } finally {
    await pair.cluster.removeNode({ host, port, database });
  }
});
