import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { QueryConfig } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, volatileSettings } from '../../src/embedded.ts';
import { Cluster } from '../../src/index.ts';
import { createTestDatabases } from '../support/test-databases.ts';
import { type ClusterAndPlain, run, startCluster } from './start-cluster.ts';

let pair: ClusterAndPlain;
beforeAll(async () => {
  pair = await startCluster();
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

const fields = ['code', 'message', 'detail', 'hint', 'position', 'schema', 'table', 'column', 'constraint', 'dataType', 'severity'] as const;

async function failure(query: Promise<unknown>): Promise<Record<string, unknown>> {
  const error = await query.then(
    (result) => ({ message: `answered ${JSON.stringify(result)}` }),
    (thrown: unknown) => thrown,
  );
  return Object.fromEntries(fields.map((name) => [name, Reflect.get(error as object, name)]));
}

/** Twice: planned, then from the cache. */
async function expectSameFailure(query: string | QueryConfig, code: string): Promise<void> {
  const expected = await failure(pair.plain.query(query));
  expect(expected).toMatchObject({ code });
  for (const _ of [1, 2]) expect(await failure(pair.cluster.query(query))).toEqual(expected);
  const client = await pair.cluster.connect();
  try {
    expect(await failure(client.query(query))).toEqual(expected);
  } finally {
    client.release();
  }
}

describe('PostgreSQL\'s own message, SQLSTATE and position', () => {
  test.each([
    ['a syntax error', 'SELECT * FORM orders', '42601'],
    ['a syntax error behind other characters', `SELECT 'äöü€😀', * FORM orders`, '42601'],
    ['an unknown table', 'SELECT * FROM nothing', '42P01'],
    ['an unknown table beside a distributed one', 'SELECT * FROM orders JOIN nothing USING (id) WHERE tenant_id = 1', '42P01'],
    ['an unknown column, router', `SELECT 'ä', nothing FROM orders WHERE tenant_id = 1`, '42703'],
    ['an unknown column, fan-out', `SELECT 'ä', nothing FROM orders`, '42703'],
    ['an unknown column of an alias', 'SELECT o.id, o.nothing FROM orders o WHERE o.tenant_id = 1', '42703'],
    ['an unknown column, INSERT', 'INSERT INTO orders (tenant_id, nothing) VALUES (1, 2)', '42703'],
    ['an unknown column, UPDATE', 'UPDATE orders SET nothing = 1 WHERE tenant_id = 1', '42703'],
    ['an unknown column, UPDATE of all', 'UPDATE orders SET nothing = 1', '42703'],
    ['an unknown function', 'SELECT nothing(id) FROM orders WHERE tenant_id = 1', '42883'],
    ['a wrong type, router', `SELECT id + 'x' FROM orders WHERE tenant_id = 1`, '22P02'],
    ['a wrong type, fan-out', `SELECT id FROM orders WHERE id = 'x'`, '22P02'],
    ['a wrong type of the distribution column', `SELECT id FROM orders WHERE tenant_id = 'x'`, '22P02'],
    ['a wrong type, INSERT', `INSERT INTO orders (tenant_id, id) VALUES (1, 'x')`, '22P02'],
    ['a wrong type of the distribution column, INSERT', `INSERT INTO orders (tenant_id, id) VALUES ('x', 1)`, '22P02'],
    ['an ambiguous column', 'SELECT id FROM orders a JOIN orders b USING (tenant_id) WHERE tenant_id = 1', '42702'],
    ['division by zero', 'SELECT 1 / (id - id) FROM orders WHERE tenant_id = 1', '22012'],
    ['division by zero, fan-out', 'SELECT sum(1 / (id - id)) FROM orders', '22012'],
    ['too many columns, INSERT', 'INSERT INTO orders (tenant_id, id) VALUES (1, 2, 3)', '42601'],
    ['a grouping error', 'SELECT id, count(*) FROM orders', '42803'],
  ])('%s', (_, text, code) => expectSameFailure(text, code));

  test.each([
    ['too few, router', 'SELECT id FROM orders WHERE tenant_id = $1 AND id = $2', [1], '08P01'],
    ['too many, router', 'SELECT id FROM orders WHERE tenant_id = $1', [1, 2], '08P01'],
    ['too few, fan-out', 'SELECT id FROM orders WHERE id = $1 AND total = $2', [1], '08P01'],
    ['too many, fan-out', 'SELECT id FROM orders WHERE id = $1', [1, 2], '08P01'],
    ['none, router', 'SELECT id FROM orders WHERE tenant_id = $1', [], '42P02'],
    ['none, fan-out', 'SELECT id FROM orders WHERE id = $1', undefined, '42P02'],
    ['none needed', 'SELECT id FROM orders WHERE tenant_id = 1', [1], '08P01'],
    ['one left out', 'SELECT id FROM orders WHERE tenant_id = $2', [1, 1], '42P18'],
    ['too few, INSERT', 'INSERT INTO orders (tenant_id, id) VALUES ($1, $2)', [1], '08P01'],
    ['too few, INSERT of many rows', 'INSERT INTO orders (tenant_id, id) VALUES ($1, $2), (2, $2), (3, $3)', [1, 300], '08P01'],
    ['too many, INSERT of many rows', 'INSERT INTO orders (tenant_id, id) VALUES ($1, $2), (2, $2), (3, $3)', [1, 300, 300, 300], '08P01'],
    ['too few, UPDATE of all', 'UPDATE orders SET note = $1 WHERE id = $2', ['x'], '08P01'],
    ['none, local', 'SELECT * FROM notes WHERE id = $1', [], '42P02'],
  ] as const)('number of values: %s', async (_, text, values, code) => {
    await expectSameFailure({ text, values: values === undefined ? undefined : [...values] } as QueryConfig, code);
    if (values !== undefined && values.length > 0) await expectSameFailure({ text, values: [...values], name: `${text} ${values.length}`.slice(-63) }, code);
  });
});

describe('errors of nodes speak of logical objects', () => {
  test.each([
    ['a primary key', 'INSERT INTO orders (tenant_id, id) VALUES (1, 1)', '23505', { constraint: 'orders_pkey', table: 'orders' }],
    ['a primary key, several nodes', 'INSERT INTO orders (tenant_id, id) VALUES (1, 1), (2, 2), (3, 3)', '23505', { constraint: 'orders_pkey', table: 'orders' }],
    ['a check', 'INSERT INTO orders (tenant_id, id, total) VALUES (1, 500, -1)', '23514', { constraint: 'total_is_positive', table: 'orders' }],
    ['a foreign key', `INSERT INTO items VALUES (1, 999, 1, 'x')`, '23503', { constraint: 'items_tenant_id_order_id_fkey', table: 'items' }],
    ['a foreign key from the other side', 'DELETE FROM orders WHERE tenant_id = 1 AND id = 1', '23503', { constraint: 'items_tenant_id_order_id_fkey', table: 'items' }],
    ['NOT NULL', 'INSERT INTO items VALUES (1, 1, 9)', '23502', { column: 'name', table: 'items' }],
    ['a unique column of a reference table', `INSERT INTO countries VALUES ('xx', 'France')`, '23505', { constraint: 'countries_name_key' }],
    ['a domain', `INSERT INTO countries VALUES ('X1', 'x')`, '23514', { constraint: 'code_check' }],
    ['a numeric too large', 'UPDATE orders SET total = 1e12 WHERE tenant_id = 1', '22003', {}],
  ] as const)('%s', async (_, text, code, named) => {
    const [expected, actual] = await Promise.all([pair.plain, pair.cluster].map((pool) => failure(pool.query(text))));
    expect(expected).toMatchObject({ code, ...named });
    expect(actual).toEqual(expected);
  });

  test('the shard and the node are in the context', async () => {
    const shard = await pair.cluster.shardOf('orders', 1);
    const error: unknown = await pair.cluster.query('INSERT INTO orders (tenant_id, id) VALUES (1, 1)').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ where: expect.stringContaining(`node ${shard.node}`) });
    expect(error).toMatchObject({ where: expect.stringContaining(`shard ${shard.shardId}`) });
  });

  test('names that are cut to 63 bytes on the shards', async () => {
    const table = `a_${'very_'.repeat(11)}long`;
    const text = `CREATE TABLE ${table} (k int, v int, CONSTRAINT ${'ü'.repeat(30)} CHECK (v > 0), PRIMARY KEY (k, v))`;
    await Promise.all([pair.plain.query(text), pair.cluster.query(text)]);
    await pair.cluster.createDistributedTable(table, 'k', { shardCount: 4 });
    for (const values of ['(1, -1)', '(2, 2), (2, 2)', '(3, NULL)']) {
      const insert = `INSERT INTO ${table} VALUES ${values}`;
      expect(await failure(pair.cluster.query(insert))).toEqual(await failure(pair.plain.query(insert)));
    }
  });

  test.each([
    ['NULL', 'INSERT INTO orders (tenant_id, id) VALUES (NULL, 1)', undefined],
    ['a parameter that is null', 'INSERT INTO orders (tenant_id, id) VALUES ($1, 1)', [null]],
    ['a parameter that is undefined', 'INSERT INTO orders (tenant_id, id) VALUES ($1, 1)', [undefined]],
    ['missing', 'INSERT INTO orders (id) VALUES (1)', undefined],
    ['DEFAULT', 'INSERT INTO orders (tenant_id, id) VALUES (DEFAULT, 1)', undefined],
    ['in one of many rows', 'INSERT INTO orders (tenant_id, id) VALUES (1, 600), ($1, 600), (3, 600)', [null]],
  ])('a distribution value: %s', async (_, text, values) => {
    await expect(pair.cluster.query(text, values)).rejects.toMatchObject({ code: '23502', column: 'tenant_id', table: 'orders' });
    expect((await pair.cluster.query('SELECT count(*)::int AS n FROM orders WHERE id = 600')).rows).toEqual([{ n: 0 }]);
  });
});

describe('servers that cannot be reached', () => {
  async function silentServer(): Promise<Server> {
    const server = createServer(() => undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  test.each(['refuses', 'is silent'])('a node that %s: an error naming it, and the others go on', async (how) => {
    await using databases = await createTestDatabases({ nodes: 2 });
    const silent = await silentServer();
    const { port } = silent.address() as AddressInfo;
    if (how === 'refuses') silent.close();
    const { connectionString } = databases.coordinator;
    const first = new Cluster({ connectionString });
    for (const node of databases.nodes) await first.addNode({ host: node.host, port: node.port, database: node.database });
    await first.query('CREATE TABLE t (k int PRIMARY KEY)');
    await first.createDistributedTable('t', 'k', { shardCount: 2 });
    const [one, two] = await first.shards();
    const keys = Array.from({ length: 50 }, (_, i) => i);
    const places = await Promise.all(keys.map((k) => first.shardOf('t', k)));
    const near = keys.find((_, i) => places[i]?.shardId === one?.shardId);
    const far = keys.find((_, i) => places[i]?.shardId === two?.shardId);
    await first.end();
    // The node moves to where nobody answers.
    await run(connectionString, `UPDATE shardwright.node SET host = '127.0.0.1', port = ${port} WHERE node_id = ${two?.nodeId}; UPDATE shardwright.cluster SET catalog_version = catalog_version + 1`);
    const cluster = new Cluster({ connectionString, connectTimeoutMs: 300 });
    try {
      const name = `127.0.0.1:${port}`;
      const unreachable = { id: 'nodeUnreachable', code: '08001', message: expect.stringContaining(name) };
      const [lost, found, all, written] = await Promise.allSettled([
        cluster.query('SELECT * FROM t WHERE k = $1', [far]), cluster.query('SELECT * FROM t WHERE k = $1', [near]), cluster.query('SELECT count(*) FROM t'),
        cluster.query('INSERT INTO t VALUES ($1), ($2)', [near, far]),
      ]);
      expect(lost).toMatchObject({ status: 'rejected', reason: unreachable });
      expect(found).toMatchObject({ status: 'fulfilled', value: { rows: [] } });
      expect(all).toMatchObject({ status: 'rejected', reason: unreachable });
      expect(written).toMatchObject({ status: 'rejected', reason: unreachable });
      expect((await cluster.query('SELECT * FROM t WHERE k = $1', [near])).rows).toEqual([]);
      const client = await cluster.connect();
      await client.query('BEGIN');
      await client.query('INSERT INTO t VALUES ($1)', [near]);
      await expect(client.query('INSERT INTO t VALUES ($1)', [far])).rejects.toMatchObject(unreachable);
      expect((await client.query('COMMIT')).command).toBe('ROLLBACK');
      client.release();
      expect((await cluster.query('SELECT * FROM t WHERE k = $1', [near])).rows).toEqual([]);
    } finally {
      await cluster.end();
      silent.close();
    }
  });

  test('the coordinator database down: cached queries run, others say what is missing', async () => {
    await using databases = await createTestDatabases({ nodes: 1 });
    const server = await startPostgres({ settings: volatileSettings });
    const cluster = new Cluster({ connectionString: server.connectionString, connectTimeoutMs: 1_000 });
    try {
      const [node] = databases.nodes;
      await cluster.addNode({ host: node?.host ?? '', port: node?.port ?? 0, database: node?.database ?? '' });
      await cluster.query('CREATE TABLE t (k int PRIMARY KEY, v text)');
      await cluster.createDistributedTable('t', 'k', { shardCount: 4 });
      await cluster.query(`INSERT INTO t VALUES (1, 'a'), (2, 'b')`);
      const one = 'SELECT v FROM t WHERE k = $1';
      const all = 'SELECT k, v FROM t ORDER BY k';
      await cluster.query(one, [1]);
      await cluster.query(all);
      await server.stop('immediate');
      expect((await cluster.query(one, [2])).rows).toEqual([{ v: 'b' }]);
      expect((await cluster.query(all)).rowCount).toBe(2);
      const client = await cluster.connect();
      expect((await client.query(one, [2])).rows).toEqual([{ v: 'b' }]);
      client.release();
      const missing = { id: 'coordinatorUnreachable', code: '08001', message: expect.stringContaining(`coordinator database ${server.host}:${server.port}`) };
      // The first to meet it may find that the connection has just been lost.
      await cluster.query('SELECT 1').catch(() => undefined);
      await expect(cluster.query('SELECT 1')).rejects.toMatchObject(missing);
      await expect(cluster.query('SELECT count(*), v FROM t GROUP BY v')).rejects.toMatchObject(missing);
      const fresh = new Cluster({ connectionString: server.connectionString, connectTimeoutMs: 1_000 });
      await expect(fresh.query(one, [1])).rejects.toMatchObject(missing);
      await expect(fresh.connect()).rejects.toMatchObject(missing);
      await fresh.end();
    } finally {
      await cluster.end();
      await server.stop('immediate').catch(() => undefined);
    }
  });

  test('nodes: twice, of another cluster, no such database, no such user are told apart', async () => {
    const [node] = pair.databases.nodes;
    const address = { host: node?.host ?? '', port: node?.port ?? 0, database: node?.database ?? '' };
    await expect(pair.cluster.addNode(address)).rejects.toMatchObject({ id: 'nodeExists', code: '42710' });
    await expect(pair.cluster.addNode({ ...address, host: address.host === 'localhost' ? '127.0.0.1' : 'localhost' })).rejects.toMatchObject({ id: 'nodeExists' });
    await expect(pair.cluster.addNode({ ...address, database: 'nothing_there' })).rejects.toMatchObject({ code: '3D000', hint: expect.stringContaining('nothing_there') });
    await expect(pair.cluster.addNode({ ...address, port: 1 })).rejects.toMatchObject({ id: 'nodeUnreachable' });
    await using other = await createTestDatabases({ nodes: 0 });
    const another = new Cluster({ connectionString: other.coordinator.connectionString });
    await expect(another.addNode(address)).rejects.toMatchObject({ id: 'nodeOfAnotherCluster', code: '42710' });
    await another.end();
    const stranger = new Cluster({ connectionString: pair.databases.coordinator.connectionString, nodeConfig: () => ({ user: 'nobody' }) });
    await expect(stranger.query('SELECT * FROM orders WHERE tenant_id = 1')).rejects.toMatchObject({ code: '28000', where: expect.stringContaining(`${address.host}:`) });
    await stranger.end();
  });
});
