import { Pool, type QueryResult, types } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ClusterAndPlain, startCluster } from './start-cluster.ts';

let pair: ClusterAndPlain;
/** Names of types and tables, which have other OIDs in each database. */
let names: { readonly cluster: ReadonlyMap<number, string>; readonly plain: ReadonlyMap<number, string> };

beforeAll(async () => {
  pair = await startCluster();
  const plain = await objectNames((text) => pair.plain.query(text));
  const cluster = await objectNames((text) => pair.cluster.query(text));
  names = { plain, cluster };
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

async function objectNames(query: (text: string) => Promise<QueryResult>): Promise<Map<number, string>> {
  const { rows } = await query(`SELECT oid, typname AS name FROM pg_catalog.pg_type WHERE oid >= 16384 AND typtype <> 'c'
    UNION ALL SELECT oid, relname FROM pg_catalog.pg_class WHERE relnamespace = 'public'::regnamespace`);
  return new Map(rows.map(({ oid, name }) => [oid, name]));
}

/** What an application can see of a result. */
function visible(result: QueryResult, known: ReadonlyMap<number, string>): unknown {
  const { command, rowCount, oid, rows, fields } = result;
  const named = (id: number): number | string => (id < 16384 ? id : (known.get(id) ?? `unknown ${id}`));
  return {
    command, rowCount, oid, rows, rowAsArray: Reflect.get(result, 'rowAsArray'),
    fields: fields.map((field) => ({ ...field, tableID: named(field.tableID), dataTypeID: named(field.dataTypeID) })),
  };
}

type Query = (...args: unknown[]) => unknown;
const both = (): { cluster: Query; plain: Query } => ({
  cluster: pair.cluster.query.bind(pair.cluster),
  plain: pair.plain.query.bind(pair.plain),
});

async function expectSame(...args: unknown[]): Promise<void> {
  const { cluster, plain } = both();
  // Twice: planned, then from the cache.
  for (const _ of [1, 2]) expect(await outcome(cluster, args, names.cluster)).toEqual(await outcome(plain, args, names.plain));
}

async function outcome(query: Query, args: readonly unknown[], known: ReadonlyMap<number, string>): Promise<unknown> {
  try {
    const result = await query(...args);
    return Array.isArray(result) ? result.map((one: QueryResult) => visible(one, known)) : visible(result as QueryResult, known);
  } catch (error) {
    return error;
  }
}

const router = 'SELECT * FROM orders WHERE tenant_id = $1 ORDER BY id';
const join = `SELECT o.tenant_id, i.name, o.mood, c.name AS country, 1 AS one FROM orders o JOIN items i ON (o.tenant_id, o.id) = (i.tenant_id, i.order_id)
  CROSS JOIN countries c WHERE o.tenant_id = $1 ORDER BY o.id, i.line, c.code`;
const fanOut = 'SELECT tenant_id, id, total, mood, at, tags FROM orders WHERE id > $1 ORDER BY tenant_id, id';

describe('results equal those of pg.Pool', () => {
  test.each([
    ['one shard group', router, [3]],
    ['one shard group, a join', join, [3]],
    ['one shard group, no rows', router, [1234]],
    ['all shard groups', fanOut, [3]],
    ['all shard groups, no rows', fanOut, [30]],
    ['an aggregate', 'SELECT mood, count(*), sum(total), max(at) FROM orders GROUP BY mood ORDER BY mood', []],
    ['a reference table', 'SELECT * FROM countries ORDER BY code', []],
    ['a local table', 'SELECT * FROM notes ORDER BY id', []],
    ['no table', 'SELECT 1 AS a, $1::text AS b, now() IS NULL AS c', ['x']],
    ['no column', 'SELECT FROM orders WHERE tenant_id = $1', [3]],
    ['no column of all shard groups', 'SELECT FROM orders', []],
    ['columns of equal names', 'SELECT id, id, tenant_id AS id FROM orders WHERE tenant_id = $1 ORDER BY 1', [3]],
  ] as const)('%s', async (_, text, values) => {
    await expectSame(text, [...values]);
    await expectSame({ text, values: [...values] });
    await expectSame({ text }, [...values]);
    await expectSame({ text, values: [...values], rowMode: 'array' });
    await expectSame({ text, values: [...values], name: `named ${text}`.slice(0, 63) });
    await expectSame({ text, values: [...values], types: { getTypeParser: () => (value: unknown) => ({ value }) } });
  });

  test.each([
    ['a text alone', 'SELECT count(*) FROM orders'],
    ['several statements', `SELECT 1 AS one; SELECT id FROM orders WHERE tenant_id = 3 ORDER BY 1; UPDATE notes SET body = 'x' WHERE id = 99`],
    ['an empty text', ''],
    ['a comment', '-- nothing'],
    ['only semicolons', ' ; ;'],
    ['a statement and semicolons', ';; SELECT 1 AS one ;;'],
    ['a transaction block', 'BEGIN; SELECT 1 AS one; COMMIT'],
    ['SHOW', 'SHOW server_version'],
    ['EXPLAIN of a local table', 'EXPLAIN (COSTS off) SELECT * FROM notes'],
    ['VALUES', `VALUES (1, 'a'), (2, 'b')`],
  ])('%s', async (_, text) => {
    await expectSame(text);
    await expectSame({ text });
    await expectSame({ text, values: [] });
    await expectSame(text, undefined);
  });

  test.each([
    ['INSERT into one shard', `INSERT INTO orders (tenant_id, id, mood) VALUES ($1, 900, 'ok') ON CONFLICT DO NOTHING`],
    ['INSERT with RETURNING', `INSERT INTO orders (tenant_id, id, mood) VALUES ($1, 901, 'ok') ON CONFLICT (tenant_id, id) DO UPDATE SET note = 'again' RETURNING *`],
    ['INSERT into several shards', `INSERT INTO orders (tenant_id, id) VALUES ($1, 902), (5, 902), (6, 902), (7, 902), (8, 902) ON CONFLICT (tenant_id, id) DO UPDATE SET note = 'again' RETURNING tenant_id, mood`],
    ['INSERT into a reference table', `INSERT INTO countries VALUES ('it', $1::bigint::text) ON CONFLICT (code) DO UPDATE SET name = excluded.name RETURNING *`],
    ['INSERT into a local table', `INSERT INTO notes VALUES (77, $1::bigint::text) ON CONFLICT (id) DO NOTHING`],
    ['UPDATE of one shard', `UPDATE orders SET note = 'x' WHERE tenant_id = $1 AND id = 2 RETURNING tenant_id, id, mood`],
    ['UPDATE of all shards', `UPDATE orders SET note = 'y' WHERE id = 3 AND tenant_id <> $1`],
    ['DELETE of nothing', 'DELETE FROM orders WHERE tenant_id = $1 AND id = -1 RETURNING mood'],
    ['DELETE of nothing in all shards', 'DELETE FROM orders WHERE id = -1 AND tenant_id <> $1 RETURNING mood'],
  ])('%s', async (_, text) => {
    await expectSame(text, [4]);
    await expectSame({ text, values: ['4'], rowMode: 'array' });
    await expectSame({ text, values: [4], name: `named ${text}`.slice(0, 63) });
  });
});

describe('callbacks', () => {
  function called(query: Query, ...args: unknown[]): Promise<{ error: unknown; rows: unknown; returned: unknown }> {
    return new Promise((resolve) => {
      const returned = query(...args, (error: unknown, result?: QueryResult) => setImmediate(() => resolve({ error: error ?? undefined, rows: result?.rows, returned })));
    });
  }

  test.each([
    ['text', ['SELECT 1 AS one']],
    ['text, values', [router, [3]]],
    ['text, undefined', ['SELECT 1 AS one', undefined]],
    ['config', [{ text: router, values: [3] }]],
    ['config, values', [{ text: router }, [3]]],
    ['an error', ['SELECT nothing FROM orders']],
  ])('%s', async (_, args) => {
    const { cluster, plain } = both();
    const expected = await called(plain, ...args);
    const actual = await called(cluster, ...args);
    expect(actual.rows).toEqual(expected.rows);
    expect(actual.returned).toBe(undefined);
    expect((actual.error as { code?: string } | undefined)?.code).toBe((expected.error as { code?: string } | undefined)?.code);
  });

  test('of an unusable call', async () => {
    const { error } = await called(both().cluster, null);
    expect(error).toBeInstanceOf(TypeError);
  });
});

test('it is a pg.Pool', () => {
  expect(pair.cluster).toBeInstanceOf(Pool);
});

test('type parsers: of the pool, of a client, global', async () => {
  const own = pair.another({ types: { getTypeParser: (oid: number) => (value: unknown) => `pool ${oid} ${String(value)}` } });
  for (const text of ['SELECT total FROM orders WHERE tenant_id = 3 AND id = 1', 'SELECT total FROM orders WHERE tenant_id IN (3, 4, 5) AND id = 1 ORDER BY 1 LIMIT 1']) {
    expect((await own.query(text)).rows).toEqual([{ total: 'pool 1700 31.00' }]);
    const client = await own.connect();
    try {
      expect((await client.query(text)).rows).toEqual([{ total: 'pool 1700 31.00' }]);
      client.setTypeParser(1700, (value: string) => `client ${value}`);
      expect((await client.query(text)).rows).toEqual([{ total: 'client 31.00' }]);
    } finally {
      client.release(true);
    }
    types.setTypeParser(1700, (value) => `global ${value}`);
    expect((await pair.cluster.query(text)).rows).toEqual([{ total: 'global 31.00' }]);
    types.setTypeParser(1700, String);
  }
});

test('a parser for a user-defined type gets it from nodes, too', async () => {
  const { rows } = await pair.cluster.query<{ oid: number }>(`SELECT 'mood'::regtype::oid AS oid`);
  const mood = rows[0]?.oid;
  const config = (text: string) => ({ text, types: { getTypeParser: (oid: number) => (value: string) => (oid === mood ? `mood ${value}` : value) } as never });
  const one = { mood: 'mood ok' };
  expect((await pair.cluster.query(config('SELECT mood FROM orders WHERE tenant_id = 9 AND id = 1'))).rows).toEqual([one]);
  expect((await pair.cluster.query(config('SELECT mood FROM orders WHERE id = 1 AND tenant_id IN (9, 10, 11)'))).rows).toEqual([one, one, one]);
  expect((await pair.cluster.query(config(`UPDATE orders SET note = '' WHERE tenant_id = 9 AND id = 1 RETURNING mood`))).rows).toEqual([one]);
  expect((await pair.cluster.query(config(`UPDATE orders SET note = '' WHERE id = 1 AND tenant_id IN (9, 10, 11) RETURNING mood`))).rows).toEqual([one, one, one]);
  expect((await pair.cluster.query(config(`INSERT INTO orders (tenant_id, id, mood) VALUES (9, 77, 'ok'), (10, 77, 'ok') RETURNING mood`))).rows).toEqual([one, one]);
});
