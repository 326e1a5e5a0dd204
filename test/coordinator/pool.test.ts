import { once } from 'node:events';
import { Client, Pool, type PoolClient } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ClusterAndPlain, startCluster } from './start-cluster.ts';

let pair: ClusterAndPlain;
beforeAll(async () => {
  pair = await startCluster();
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

/** What happens to a pool, as its events and counters tell. */
function recorder(pool: Pool): string[] {
  const seen: string[] = [];
  for (const event of ['connect', 'acquire', 'release', 'remove', 'error'] as const) {
    pool.on(event as 'connect', () => seen.push(`${event} ${pool.totalCount}/${pool.idleCount}/${pool.waitingCount}`));
  }
  return seen;
}

async function story(pool: Pool): Promise<unknown[]> {
  const seen = recorder(pool);
  const first = await pool.connect();
  const second = await pool.connect();
  const waiting = pool.connect();
  seen.push(`full ${pool.totalCount}/${pool.idleCount}/${pool.waitingCount}`);
  first.release();
  const third = await waiting;
  seen.push(`same ${third === first}`);
  const removed = once(pool, 'remove');
  second.release(true);
  await removed;
  expect(() => third.release() ?? third.release()).toThrow('Release called on client which has already been released to the pool.');
  seen.push(`end ${pool.totalCount}/${pool.idleCount}/${pool.waitingCount}`);
  const byCallback = await new Promise<unknown>((resolve) => pool.connect((error, client, release) => {
    release();
    resolve([error ?? undefined, client === first]);
  }));
  const ended = new Promise<void>((resolve) => pool.end(() => resolve()));
  await ended;
  const errors: unknown[] = [];
  for (const call of [() => pool.query('SELECT 1'), () => pool.connect(), () => pool.end()]) {
    errors.push(await Promise.resolve(call()).then(() => 'no error', (error: Error) => error.message));
  }
  return [seen, byCallback, errors, pool.ended, pool.ending];
}

test('events, counters, release and end are those of pg.Pool', async () => {
  const plain = new Pool({ connectionString: pair.databases.coordinator.connectionString, max: 2 });
  const expected = await story(plain);
  expect(await story(pair.another({ max: 2 }) as unknown as Pool)).toEqual(expected);
});

test('an idle client is removed after the idle time-out, its server connections with it', async () => {
  const cluster = pair.another({ idleTimeoutMillis: 1 });
  const client = await cluster.connect();
  await client.query('CREATE TEMP TABLE kept (x int)');
  const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
  const removed = once(cluster, 'remove');
  client.release();
  await removed;
  expect(cluster.totalCount).toBe(0);
  await expect(cluster.query('SELECT * FROM kept')).rejects.toMatchObject({ code: '42P01' });
  expect(rows).toHaveLength(1);
});

test('a connection time-out is an error, not a crash', async () => {
  const cluster = pair.another({ max: 1, connectionTimeoutMillis: 300 });
  await cluster.query('SELECT 1').catch(() => undefined);
  await cluster.query('SELECT 1');
  const client = await cluster.connect();
  await expect(cluster.connect()).rejects.toThrow('timeout exceeded when trying to connect');
  client.release();
});

test('end() waits for running queries', async () => {
  const cluster = pair.another();
  const running = cluster.query('SELECT count(*)::int AS n, pg_sleep(0.05) IS NULL FROM orders WHERE tenant_id = 1');
  await cluster.end();
  expect((await running).rowCount).toBe(1);
});

test('more sessions in transactions than exclusive connections by default', async () => {
  const cluster = pair.another({ max: 14 });
  const clients: PoolClient[] = [];
  try {
    for (let i = 0; i < 14; i += 1) {
      const client = await cluster.connect();
      clients.push(client);
      await client.query('BEGIN');
      await client.query('SELECT 1 FROM orders WHERE tenant_id = 1');
    }
  } finally {
    for (const client of clients) client.release();
  }
});

describe('named statements', () => {
  const name = (i: number): string => `by tenant ${i} ${'long '.repeat(20)}ü`;

  test('one name over many shards, also a long one, in several sessions', async () => {
    for (const own of ['short', name(0)]) {
      for (let round = 0; round < 2; round += 1) {
        const results = await Promise.all(Array.from({ length: 12 }, (_, i) => pair.cluster.query({ name: own, text: 'SELECT tenant_id::int AS t, count(*)::int AS n FROM orders WHERE tenant_id = $1 AND id < 100 GROUP BY 1', values: [i + 1] })));
        expect(results.map(({ rows }) => rows[0])).toEqual(Array.from({ length: 12 }, (_, i) => ({ t: i + 1, n: 5 })));
      }
    }
  });

  test('names that share their first 63 bytes', async () => {
    for (const i of [1, 2, 3]) expect((await pair.cluster.query({ name: `${'x'.repeat(70)}${i}`, text: `SELECT ${i} AS i FROM orders WHERE tenant_id = $1 LIMIT 1`, values: [1] })).rows).toEqual([{ i }]);
  });

  test('another text under the same name is refused as by pg, per client', async () => {
    const texts = [`SELECT 1 AS n FROM orders WHERE tenant_id = $1 AND id = 1`, `SELECT 2 AS n FROM orders WHERE id = $1 LIMIT 1`, 'SELECT $1::int AS n'];
    const client = await pair.cluster.connect();
    const other = await pair.cluster.connect();
    const plain = await pair.plain.connect();
    try {
      await client.query({ name: 'same', text: texts[0] ?? '', values: [1] });
      await plain.query({ name: 'same', text: texts[0] ?? '', values: [1] });
      for (const text of texts.slice(1)) {
        const message = (query: Promise<unknown>) => query.then(() => 'no error', (error: Error) => error.message);
        const expected = await message(plain.query({ name: 'same', text, values: [1] }));
        expect(await message(client.query({ name: 'same', text, values: [1] }))).toBe(expected);
      }
      // Another client has names of its own, even on the same connections.
      expect((await other.query({ name: 'same', text: `SELECT 3 AS n FROM orders WHERE tenant_id = $1 AND id = 1`, values: [1] })).rows).toEqual([{ n: 3 }]);
      expect((await client.query({ name: 'same', text: texts[0] ?? '', values: [1] })).rows).toEqual([{ n: 1 }]);
    } finally {
      for (const one of [client, other, plain]) one.release();
    }
  });

  test('a name whose statement failed is free', async () => {
    await expect(pair.cluster.query({ name: 'failed', text: 'SELECT nothing FROM orders WHERE tenant_id = 1' })).rejects.toMatchObject({ code: '42703' });
    expect((await pair.cluster.query({ name: 'failed', text: 'SELECT 1 AS n' })).rows).toEqual([{ n: 1 }]);
  });
});

test.each([
  ['a number', 'SELECT $1::float8 AS v', 1.5],
  ['a bigint', 'SELECT $1::int8 AS v', 9007199254740993n],
  ['a boolean', 'SELECT $1::bool AS v', true],
  ['a date', 'SELECT $1::timestamptz AS v', new Date(1_700_000_000_123)],
  ['a buffer', 'SELECT $1::bytea AS v', Buffer.from([0, 1, 255])],
  ['a typed array', 'SELECT $1::bytea AS v', new Uint8Array([1, 2, 3])],
  ['an array', 'SELECT $1::text[] AS v', ['a', null, '"b\\', ['x'].join('')]],
  ['an array of arrays', 'SELECT $1::int[] AS v', [[1, 2], [3, 4]]],
  ['an object', 'SELECT $1::jsonb AS v', { a: [1, null, 'ü'] }],
  ['toPostgres', 'SELECT $1::text AS v', { toPostgres: () => 'own' }],
  ['null', 'SELECT $1::text AS v', null],
  ['undefined', 'SELECT $1::text AS v', undefined],
  ['an empty string', 'SELECT $1::text AS v', ''],
  ['text with NUL-free oddities', 'SELECT $1::text AS v', '\u0001\\\'"$1\n€😀'],
])('a value: %s', async (_, text, value) => {
  const expected = (await pair.plain.query(text, [value])).rows;
  for (const from of ['', ' FROM orders WHERE tenant_id = 3 AND id = 1', ' FROM orders WHERE id = 1 AND tenant_id IN (3, 4) ORDER BY tenant_id LIMIT 1', ' FROM countries LIMIT 1']) {
    expect((await pair.cluster.query(text + from, [value])).rows).toEqual(expected);
  }
});

describe('signals', () => {
  const slow = 'SELECT pg_sleep(20) FROM orders WHERE id = 1';

  /** Resolves once so many servers run something slow; and later, once none does. */
  async function running(wanted: (n: number) => boolean): Promise<void> {
    const { coordinator, nodes } = pair.databases;
    const clients = await Promise.all([coordinator, ...nodes].map(async ({ connectionString }) => {
      const client = new Client({ connectionString });
      await client.connect();
      return client;
    }));
    try {
      for (;;) {
        const counts = await Promise.all(clients.map((client) => client.query<{ n: number }>(`SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE '%pg_sleep(20)%' AND pid <> pg_backend_pid()`)));
        if (wanted(counts.filter(({ rows }) => (rows[0]?.n ?? 0) > 0).length)) return;
      }
    } finally {
      await Promise.all(clients.map((client) => client.end()));
    }
  }

  const calls: [string, (signal: AbortSignal) => Promise<unknown>, number][] = [
    ['query, one node', (signal) => pair.cluster.query({ text: `${slow} AND tenant_id = 3`, signal }), 1],
    ['query, all nodes', (signal) => pair.cluster.query({ text: slow, signal }), 2],
    ['query, local', (signal) => pair.cluster.query({ text: 'SELECT pg_sleep(20) FROM notes', signal }), 1],
    ['stream', async (signal) => { for await (const row of pair.cluster.stream(slow, [], { signal })) expect(row).toBe('no row'); }, 1],
    ['stream, one node', async (signal) => { for await (const row of pair.cluster.stream(`${slow} AND tenant_id = 3`, [], { signal })) expect(row).toBe('no row'); }, 1],
    ['UPDATE of one shard', (signal) => pair.cluster.query({ text: `UPDATE orders SET note = 'slept' || pg_sleep(20)::text WHERE id = 1 AND tenant_id = 3`, signal }), 1],
  ];
  test.each(calls)('%s', async (_, call, servers) => {
    const controller = new AbortController();
    const settled = call(controller.signal).then(() => 'done', (error: unknown) => error);
    await running((n) => n >= servers);
    controller.abort();
    expect(await settled).toMatchObject({ id: 'canceled', code: '57014' });
    await running((n) => n === 0);
    expect((await pair.cluster.query('SELECT count(*)::int AS n FROM orders WHERE id = 1')).rows).toEqual([{ n: 12 }]);
  });

  test.each(calls)('%s, aborted before', async (_, call) => {
    await expect(call(AbortSignal.abort())).rejects.toMatchObject({ code: '57014' });
  });

  test('in a session: the block fails, the client goes on', async () => {
    const client = await pair.cluster.connect();
    try {
      await client.query('BEGIN');
      const controller = new AbortController();
      const settled = client.query({ text: `${slow} AND tenant_id = 3`, signal: controller.signal }).catch((error: unknown) => error);
      await running((n) => n === 1);
      controller.abort();
      expect(await settled).toMatchObject({ code: '57014' });
      await expect(client.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
      await client.query('ROLLBACK');
      expect((await client.query('SELECT 1 AS one FROM orders WHERE tenant_id = 3 AND id = 1')).rows).toEqual([{ one: 1 }]);
    } finally {
      client.release();
    }
  });

  test('copyFrom, copyTo and explain, aborted before', async () => {
    const signal = AbortSignal.abort();
    await expect(pair.cluster.copyFrom('COPY orders FROM STDIN', '', { signal })).rejects.toMatchObject({ code: '57014' });
    await expect(pair.cluster.copyTo('COPY orders TO STDOUT', { signal }).toArray()).rejects.toMatchObject({ code: '57014' });
    await expect(pair.cluster.explain('SELECT * FROM orders', [], { signal })).rejects.toMatchObject({ code: '57014' });
  });
});

describe('streams', () => {
  const texts = [
    ['one node', 'SELECT id FROM orders WHERE tenant_id = 3 AND id < $1 ORDER BY id', [1, 2, 3, 4, 5]],
    ['many nodes, in order', 'SELECT id FROM orders WHERE id < $1 AND tenant_id IN (1, 2, 3) ORDER BY id, tenant_id', [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5]],
    ['local', 'SELECT id FROM notes WHERE id < $1 ORDER BY id', [1, 2]],
  ] as const;

  test.each(texts)('%s', async (_, text, ids) => {
    const seen: number[] = [];
    for await (const { id } of pair.cluster.stream<{ id: number }>(text, [50], { batchRows: 1 })) seen.push(id);
    expect(seen).toEqual(ids);
    await expect(pair.cluster.stream(text, []).next()).rejects.toMatchObject({ code: '42P02' });
    await expect(pair.cluster.stream(text, [1, 2]).next()).rejects.toMatchObject({ code: '08P01' });
  });

  test.each(texts)('%s, left early, and with a consumer that throws', async (_, text) => {
    for await (const row of pair.cluster.stream(text, [50], { batchRows: 1 })) {
      expect(row).toEqual({ id: 1 });
      break;
    }
    const thrown = (async () => {
      for await (const row of pair.cluster.stream(text, [50], { batchRows: 1 })) throw new Error(`consumer ${JSON.stringify(row)}`);
    })();
    await expect(thrown).rejects.toThrow('consumer {"id":1}');
    expect(pair.cluster.connectionCounts().filter(({ open, idle }) => open !== idle)).toEqual([]);
  });

  test('an error in the middle', async () => {
    const rows: unknown[] = [];
    const reading = (async () => {
      for await (const row of pair.cluster.stream('SELECT 10 / (3 - id) AS x FROM orders WHERE id < 6 ORDER BY id', [], { batchRows: 1 })) rows.push(row);
    })();
    await expect(reading).rejects.toMatchObject({ code: '22012' });
    expect(pair.cluster.connectionCounts().filter(({ open, idle }) => open !== idle)).toEqual([]);
  });
});
