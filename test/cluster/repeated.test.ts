import type { QueryResult } from 'pg';
import { expect, test } from 'vitest';
import type { NodeConnection, RawResult } from '../../src/cluster/node-connection.ts';
import { openTestNode } from './connections.ts';

interface Prepared {
  /** Texts, in order of being prepared. */
  readonly texts: readonly string[];
  readonly runs: number;
}

async function preparedOn(connection: Pick<NodeConnection, 'query'>): Promise<Prepared> {
  const text = 'SELECT statement, generic_plans + custom_plans FROM pg_prepared_statements ORDER BY prepare_time';
  const { rows } = await connection.query({ text });
  return { texts: rows.map(([statement]) => statement ?? ''), runs: rows.reduce((sum, [, runs]) => sum + Number(runs), 0) };
}

const one = { text: 'SELECT $1::int AS a', values: [1], repeats: 1 };

test('a repeated statement is prepared, and described, once for each connection', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  const results: RawResult[] = [];
  for (const value of [1, 2, 3]) results.push(await connection.query({ ...one, values: [value] }));
  expect(results.map(({ rows }) => rows)).toEqual([[['1']], [['2']], [['3']]]);
  for (const { fields } of results) expect(fields).toEqual(results[0]?.fields);
  expect(await preparedOn(connection)).toEqual({ texts: [one.text], runs: 3 });
});

test('parsed results are the same whether their columns were described or known', async () => {
  await using node = await openTestNode({ sharedMax: 1 });
  await node.connections.query({ text: `CREATE TABLE t AS SELECT 1 AS a, 'x'::text AS b; CREATE TABLE log (a int)`, simple: true });
  const queries = [
    { text: 'INSERT INTO log VALUES ($1)', values: [1] },
    { text: 'UPDATE t SET b = $1 RETURNING *', values: ['y'] },
    { text: 'SELECT a, b, a AS a FROM t WHERE a = $1', values: [1], rowMode: 'array' },
    { text: 'SELECT FROM t WHERE a = $1', values: [1] },
    { text: 'DELETE FROM t WHERE a = $1', values: [2] },
  ];
  for (const query of queries) {
    const described = visible(await node.connections.queryParsed(query));
    for (let run = 0; run < 3; run += 1) {
      const known = await node.connections.queryParsed({ ...query, repeats: 1 });
      expect(visible(known)).toEqual(described);
      // It is the caller's own.
      known.fields.length = 0;
    }
  }
});

function visible({ command, rowCount, rows, fields }: QueryResult): object {
  return { command, rowCount, rows: [...(rows as unknown[])], fields: [...fields] };
}

test('what a statement made for another version of the catalog has prepared is not run', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  await connection.query({ text: 'CREATE TABLE t AS SELECT 1 AS a' });
  const all = { text: 'SELECT * FROM t WHERE a = $1', values: [1], repeats: 1 };
  await connection.query({ text: 'BEGIN' });
  expect((await connection.query(all)).rows).toEqual([['1']]);
  await connection.query({ text: 'ALTER TABLE t ADD b int DEFAULT 2' });
  expect((await connection.query({ ...all, repeats: 2 })).rows).toEqual([['1', '2']]);
  expect((await preparedOn(connection)).texts).toEqual([all.text]);
  await connection.query({ text: 'COMMIT' });
  await connection.query({ text: 'ALTER TABLE t DROP b' });
  expect(await connection.query({ ...all, repeats: 2 })).toMatchObject({ rows: [['1']], fields: [{ name: 'a' }] });
});

test('a connection prepares no more than it may, and none that is hardly used instead of one that is', async () => {
  await using node = await openTestNode({ repeatedMax: 2 });
  const connection = await node.acquire();
  const ask = async (text: string): Promise<void> => void (await connection.query({ text: `SELECT ${text}, $1::int`, values: [1], repeats: 1 }));
  for (const text of ['1', '2', '3', '3', '1', '3']) await ask(text);
  expect((await preparedOn(connection)).texts).toEqual(['SELECT 1, $1::int', 'SELECT 2, $1::int']);
  for (let use = 0; use < 9; use += 1) await ask('1');
  await ask('3');
  expect((await preparedOn(connection)).texts).toEqual(['SELECT 1, $1::int', 'SELECT 3, $1::int']);
});

test('none, if none is wished', async () => {
  await using node = await openTestNode({ repeatedMax: 0 });
  const connection = await node.acquire();
  for (let run = 0; run < 3; run += 1) await connection.query(one);
  expect((await preparedOn(connection)).texts).toEqual([]);
});

test('a repeated statement that cannot be parsed, or bound, leaves nothing behind that the next would stumble over', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  const late = { text: 'SELECT a FROM late WHERE a = $1', values: [1], repeats: 1 };
  for (let run = 0; run < 2; run += 1) await expect(connection.query(late)).rejects.toMatchObject({ code: '42P01' });
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  await expect(connection.query({ ...one, values: [circular] })).rejects.toThrow(/circular/i);
  await connection.query({ text: 'CREATE TABLE late (a int)' });
  expect((await connection.query(late)).rows).toEqual([]);
  expect((await connection.query(one)).rows).toEqual([['1']]);
  expect((await preparedOn(connection)).texts).toEqual([late.text, one.text]);
});

test('statements of a session that has changed its settings are not those that others have prepared', async () => {
  await using node = await openTestNode({ exclusiveMax: 1 });
  const midnight = { text: `SELECT '2024-01-01 00:00'::timestamptz = $1`, values: ['2024-01-01 00:00+00'] };
  const ask = async (zone: string | undefined, query: object): Promise<unknown> => {
    const connection = await node.acquire();
    if (zone !== undefined) {
      connection.markDirty();
      await connection.query({ text: `SET TimeZone = '${zone}'`, simple: true });
    }
    const { rows } = await connection.query({ ...midnight, ...query });
    connection.release();
    return rows[0]?.[0];
  };
  for (const query of [{ repeats: 1 }, { name: 'midnight' }]) {
    for (const zone of ['UTC', 'Asia/Tokyo', 'UTC', undefined, 'Asia/Tokyo']) expect([zone, await ask(zone, query)]).toEqual([zone, zone === 'Asia/Tokyo' ? 'f' : 't']);
  }
});
