import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { type EmbeddedCluster, startEmbeddedCluster, volatileSettings } from '../../src/embedded.ts';
import { withServer } from '../../src/embedded/with-server.ts';
import { Cluster, type ClusterClient } from '../../src/index.ts';
import { serve } from '../../src/wire.ts';
import { until } from '../cluster/connections.ts';

let embedded: EmbeddedCluster;
/** Its queries prefer replicas, and its writes give tokens. */
let cluster: Cluster;
/** Of another process, as it were: it knows nothing of the first one's writes. */
let other: Cluster;

beforeAll(async () => {
  embedded = await startEmbeddedCluster({ nodes: 2, replicas: 1, settings: volatileSettings });
  const options = { connectionString: embedded.connectionString, reads: 'prefer-replica', readTokens: true } as const;
  cluster = new Cluster({ ...options, readTokenSecret: 'a secret' });
  other = new Cluster({ ...options, readTokenSecret: 'a secret', readTokens: false });
  await cluster.query('CREATE TABLE t (a bigint PRIMARY KEY, n int NOT NULL)');
  await cluster.createDistributedTable('t', 'a', { shardCount: 4 });
  await cluster.query('INSERT INTO t SELECT g, 0 FROM generate_series(1, 40) g');
});

afterAll(async () => {
  await Promise.all([cluster.end(), other.end()]);
  await embedded.stop();
});

async function value(which: number, sql: string): Promise<string | null | undefined> {
  return withServer(at(embedded.servers(which), 1), async (connection) => (await connection.query({ text: sql })).rows[0]?.[0]);
}

async function replay(which: number, how: 'pause' | 'resume'): Promise<void> {
  await value(which, `SELECT pg_wal_replay_${how}()`);
  if (how === 'pause') await until(async () => (await value(which, 'SELECT pg_get_wal_replay_pause_state()')) === 'paused');
}

/** On replicas that stand still, with all that was committed before. */
async function standingStill(): Promise<AsyncDisposable> {
  const token = await cluster.readToken();
  await Promise.all([replay(0, 'resume'), replay(1, 'resume')]);
  await until(async () => (await other.query({ text: 'SELECT bool_and(pg_is_in_recovery()) AS r FROM t', token })).rows[0]?.['r'] === true);
  await Promise.all([replay(0, 'pause'), replay(1, 'pause')]);
  return { [Symbol.asyncDispose]: async () => void (await Promise.all([replay(0, 'resume'), replay(1, 'resume')])) };
}

async function sum(by: Pick<Cluster, 'query'>): Promise<number> {
  return Number((await by.query<{ s: string }>('SELECT sum(n) AS s FROM t')).rows[0]?.s);
}

/** Rows of both nodes. */
const everywhere = 'UPDATE t SET n = n + 1';

const writes: Readonly<Record<string, (client: ClusterClient) => Promise<{ readonly readToken?: string | undefined }>>> = {
  'an update of one row': () => cluster.query('UPDATE t SET n = n + 40 WHERE a = $1', [1]),
  'an update of all nodes': () => cluster.query(everywhere),
  'an insert of one row': () => cluster.query('INSERT INTO t VALUES ($1, 40)', [101]),
  'an insert of rows of all nodes': () => cluster.query('INSERT INTO t SELECT g, 4 FROM generate_series(201, 210) g'),
  'values for all nodes': () => cluster.query(`INSERT INTO t VALUES ${Array.from({ length: 10 }, (_, i) => `(${301 + i}, 4)`).join(', ')}`),
  'a merge': () => cluster.query('MERGE INTO t USING (SELECT 2::bigint AS a) s ON t.a = s.a WHEN MATCHED THEN UPDATE SET n = n + 40'),
  'COPY': () => cluster.copyFrom('COPY t FROM STDIN', Array.from({ length: 10 }, (_, i) => `${401 + i}\t4\n`).join('')),
  'a text of several statements': async () => at((await cluster.query('UPDATE t SET n = n + 20 WHERE a = 3; UPDATE t SET n = n + 20 WHERE a = 4')) as unknown as { readToken?: string }[], 1),
  'a block on one node': async (client) => {
    await client.query('BEGIN');
    await client.query('UPDATE t SET n = n + 40 WHERE a = 5');
    return client.query('COMMIT');
  },
  'a block on all nodes': async (client) => {
    await client.query('BEGIN');
    await client.query(everywhere);
    return client.query('COMMIT');
  },
  'a statement of a client': (client) => client.query('UPDATE t SET n = n + 40 WHERE a = 6'),
  'the token of a client': async (client) => {
    await client.query('UPDATE t SET n = n + 20 WHERE a = 7');
    await client.query('UPDATE t SET n = n + 20 WHERE a = 8');
    return { readToken: client.readToken() };
  },
  'a client with a setting': async (client) => {
    await client.query(`SET work_mem = '8MB'`);
    return client.query('UPDATE t SET n = n + 40 WHERE a = 9');
  },
};

test('what writes gives a token, with which others see it on replicas that lag, or on the primary', async () => {
  await using _ = await standingStill();
  const before = await sum(other);
  const tokens: string[] = [];
  let total = before;
  for (const [name, write] of Object.entries(writes)) {
    const client = await cluster.connect();
    const { readToken } = await write(client).finally(() => client.release());
    total += name === 'an update of all nodes' || name === 'a block on all nodes' ? await rowCount() : 40;
    expect(readToken, name).toMatch(/^[\w-]+$/);
    tokens.push(readToken ?? '');
    expect(await seeing(tokens, () => sum(other)), name).toBe(total);
  }
  // Else it would show nothing.
  expect(await sum(other)).toBe(before);
});

function seeing<T>([token, ...others]: readonly string[], work: () => T): T {
  return token === undefined ? work() : other.withReadYourWrites(() => seeing(others, work), { token });
}

async function rowCount(): Promise<number> {
  return Number((await other.query<{ n: string }>({ text: 'SELECT count(*) AS n FROM t', reads: 'primary' })).rows[0]?.n);
}

test('a token is of the nodes that were written to, and nobody collects it for nothing', async () => {
  await using _ = await standingStill();
  const rows = Array.from({ length: 20 }, (_, i) => i + 10);
  const results = await Promise.all(rows.map((a) => cluster.query('INSERT INTO t VALUES ($1, 0)', [a + 1_000])));
  expect(results.every(({ readToken }) => readToken !== undefined)).toBe(true);
  const onReplicas = async (token: string | undefined): Promise<boolean[]> =>
    Promise.all(rows.map(async (a) => (await other.query<{ r: boolean }>({ text: 'SELECT pg_is_in_recovery() AS r FROM t WHERE a = $1', values: [a], token })).rows[0]?.r ?? false));
  const [first] = results;
  expect(new Set(await onReplicas(first?.readToken))).toEqual(new Set([true, false]));
  expect(await cluster.query('SELECT 1 AS one')).not.toHaveProperty('readToken');
  expect(await cluster.query('SELECT n FROM t WHERE a = 10')).not.toHaveProperty('readToken');
  const untold = await other.query('INSERT INTO t VALUES (2000, 0)');
  expect(untold).not.toHaveProperty('readToken');
});

test('a client that reads on replicas sees its own writes, and nobody after it has to', async () => {
  await using _ = await standingStill();
  const client = await other.connect();
  const n = async (by: Pick<Cluster, 'query'> | ClusterClient): Promise<unknown> => (await by.query('SELECT n FROM t WHERE a = 20')).rows[0]?.['n'];
  await client.query('UPDATE t SET n = 7 WHERE a = 20');
  expect(await n(client)).toBe(7);
  expect(await n(other)).not.toBe(7);
  client.release();
  const next = await other.connect();
  expect(next.readToken()).toBeUndefined();
  expect(await n(next)).not.toBe(7);
  next.release();
});

test('in withReadYourWrites every read sees every write before it, across awaits, side by side and one in another', async () => {
  await using _ = await standingStill();
  const n = async (a: number): Promise<number> => (await other.query<{ n: number }>('SELECT n FROM t WHERE a = $1', [a])).rows[0]?.n ?? -1;
  const tokens = await Promise.all([21, 22, 23].map((a) => other.withReadYourWrites(async (own) => {
    expect(own.readToken).toBeUndefined();
    await other.query('UPDATE t SET n = 8 WHERE a = $1', [a]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(await n(a)).toBe(8);
    const inner = await other.withReadYourWrites(async () => {
      expect(await n(a)).toBe(8);
      await other.transaction(async (client) => client.query('UPDATE t SET n = 9 WHERE a = $1', [a]));
      expect(await n(a)).toBe(9);
      return 'done';
    });
    expect(inner).toBe('done');
    expect(await n(a)).toBe(9);
    await other.copyFrom('COPY t FROM STDIN', `${a + 3_000}\t9\n`);
    expect(await n(a + 3_000)).toBe(9);
    return own.readToken;
  })));
  expect(await Promise.all([21, 22, 23].map(n))).not.toContain(9);
  const [token] = tokens;
  await cluster.withReadYourWrites(async (own) => {
    expect(own.readToken).toBe(token);
    expect((await cluster.query('SELECT n FROM t WHERE a = 21')).rows).toEqual([{ n: 9 }]);
  }, { token });
  for (const bad of ['x', token?.slice(0, -2), `${token ?? ''}AA`]) expect(() => other.withReadYourWrites(() => 0, { token: bad })).toThrow('no read token');
  await expect(other.query({ text: 'SELECT 1 FROM t', token: `${token ?? ''}AA` })).rejects.toMatchObject({ id: 'invalidParameter', code: '22023' });
});

test('whenever replay stops and goes on, what was written is seen with a token, and in withReadYourWrites; without it the past is', async () => {
  let stale = 0;
  for (let n = 1; n <= 30; n += 1) {
    await replay(n % 2, n % 3 === 0 ? 'resume' : 'pause');
    const a = (n % 10) + 25;
    const read = async (token?: string): Promise<unknown> => (await other.query({ text: 'SELECT n FROM t WHERE a = $1', values: [a], token })).rows[0]?.['n'];
    const { readToken } = await cluster.query('UPDATE t SET n = $2 WHERE a = $1', [a, n + 10_000]);
    if ((await read()) !== n + 10_000) stale += 1;
    expect(await read(n % 2 === 0 ? readToken : await cluster.readToken())).toBe(n + 10_000);
    await other.withReadYourWrites(async () => {
      await other.query('UPDATE t SET n = $2 WHERE a = $1', [a, n + 20_000]);
      expect(await read()).toBe(n + 20_000);
    });
  }
  expect(stale).toBeGreaterThan(0);
});

test('a client of the wire server is told its token when it asks for that, and another one reads with it', async () => {
  await using server = await serve(other, { port: 0, authentication: 'trust' });
  const clients = [1, 2].map(() => new Client({ host: '127.0.0.1', port: server.port, user: 'postgres', database: 'postgres' }));
  const [writer, reader] = [at(clients, 0), at(clients, 1)];
  const tokens: string[] = [];
  writer.connection.on('parameterStatus', ({ parameterName, parameterValue }: { parameterName: string; parameterValue: string }) => {
    if (parameterName === 'shardwright.commit_token') tokens.push(parameterValue);
  });
  await Promise.all(clients.map((client) => client.connect()));
  try {
    await writer.query(`SET shardwright.reads = 'primary'`);
    await writer.query('UPDATE t SET n = 11 WHERE a = 9');
    expect(tokens).toEqual([]);
    await expect(writer.query(`SET shardwright.read_tokens = 'perhaps'`)).rejects.toMatchObject({ code: '22023' });
    await writer.query('SET shardwright.read_tokens = on');
    await using _ = await standingStill();
    await writer.query('BEGIN');
    await writer.query('UPDATE t SET n = $1 WHERE a = 9', [12]);
    await writer.query('UPDATE t SET n = $1 WHERE a = 10', [12]);
    expect(tokens).toEqual([]);
    await writer.query('COMMIT');
    expect(tokens).toHaveLength(1);
    const read = async (): Promise<unknown> => (await reader.query('SELECT n FROM t WHERE a = 9')).rows[0]?.n;
    expect(await read()).toBe(11);
    await reader.query(`SET shardwright.read_token = '${tokens[0]}'`);
    expect(await read()).toBe(12);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
});

test('long fork: two readers see two writes in different orders, and none does with the tokens', async () => {
  await using _ = await standingStill();
  const [first = 0, second = 0] = await onDifferentNodes();
  const one = await cluster.query('UPDATE t SET n = 77 WHERE a = $1', [first]);
  const two = await cluster.query('UPDATE t SET n = 77 WHERE a = $1', [second]);
  const both = async (token?: string): Promise<number[]> => Promise.all([first, second].map(async (a) => (await other.query<{ n: number }>({ text: 'SELECT n FROM t WHERE a = $1', values: [a], token })).rows[0]?.n ?? -1));
  const before = await both();
  await replay(1, 'resume');
  await until(async () => (await both()).join() !== before.join());
  // By the replicas the second came before the first, which on the primaries nobody can have seen.
  expect(await both()).toEqual([before[0], 77]);
  const primaries = await Promise.all([first, second].map(async (a) => (await other.query<{ n: number }>({ text: 'SELECT n FROM t WHERE a = $1', values: [a], reads: 'primary' })).rows[0]?.n));
  expect(primaries).toEqual([77, 77]);
  expect(await both(two.readToken)).toEqual([before[0], 77]);
  await other.withReadYourWrites(async () => expect(await both(two.readToken)).toEqual([77, 77]), { token: one.readToken });
});

/** Two values, of the first and the second node. */
async function onDifferentNodes(): Promise<number[]> {
  const placed = await Promise.all([35, 36, 37, 38, 39, 40, 34, 33].map(async (a) => ({ a, node: (await cluster.shardOf('t', a)).nodeId })));
  return [1, 2].map((node) => at(placed.filter((one) => one.node === node), 0).a);
}
