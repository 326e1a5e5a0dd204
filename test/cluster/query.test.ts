import { Client, type QueryResult, Result } from 'pg';
import { expect, test } from 'vitest';
import { openTestNode, until } from './connections.ts';
import type { NodeNotice } from '../../src/cluster/node-connection.ts';

test('raw rows are the server\'s text', async () => {
  await using node = await openTestNode();
  const result = await node.connections.query({
    text: "SELECT $1::int8 AS a, 1.50::numeric, NULL::text, 'é\u{1F600}'::text, $2::bytea, $3::text",
    values: [9007199254740993n, Buffer.from([0, 255]), 'x'.repeat(100_000)],
  });
  expect(result.rows).toEqual([['9007199254740993', '1.50', null, 'é\u{1F600}', '\\x00ff', 'x'.repeat(100_000)]]);
  expect(result).toMatchObject({ command: 'SELECT', rowCount: 1 });
  expect(result.fields[0]).toMatchObject({ name: 'a', dataTypeID: 20 });
});

const shapes: readonly { readonly text: string; readonly values?: unknown[]; readonly rowMode?: 'array' }[] = [
  { text: "SELECT 1 AS a, 'b' AS b, NULL AS c, now()::date AS d, '{1,2}'::int[] AS e" },
  { text: 'SELECT $1::int AS a, $1::int AS a', values: [7] },
  { text: 'SELECT g, g::text FROM generate_series(1, 3) g', rowMode: 'array' },
  { text: 'CREATE TEMPORARY TABLE t (a int)' },
  { text: 'INSERT INTO t VALUES (1), (2) RETURNING a' },
  { text: 'UPDATE t SET a = $1', values: ['5'] },
  { text: 'DELETE FROM t WHERE a = 0' },
  { text: '' },
  { text: 'SELECT $1::timestamptz AS t, $2::json AS j, $3::text[] AS a', values: [new Date(0), { a: 1 }, ['x', null, '"']] },
];

test('parsed results are those of pg', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  const client = new Client(node.connectionString);
  await client.connect();
  try {
    for (const shape of shapes) {
      const expected = await client.query(shape);
      const actual = await connection.queryParsed(shape);
      expect(actual).toBeInstanceOf(Result);
      expect(visible(actual)).toEqual(visible(expected));
    }
  } finally {
    await client.end();
  }
});

function visible({ command, rowCount, oid, rows, fields }: QueryResult): object {
  return { command, rowCount, oid, rows: rows as unknown, fields: fields.map((field) => ({ ...field, tableID: undefined })) };
}

test('a parser that throws fails its own statement only', async () => {
  await using node = await openTestNode({ sharedMax: 1 });
  const types = {
    getTypeParser: () => () => {
      throw new Error('unreadable');
    },
  };
  const [bad, good] = await Promise.allSettled([
    node.connections.queryParsed({ text: 'SELECT 1', types }),
    node.connections.queryParsed({ text: 'SELECT 2 AS two' }),
  ]);
  expect(bad).toMatchObject({ status: 'rejected', reason: { message: 'unreadable' } });
  expect(good).toMatchObject({ status: 'fulfilled', value: { rows: [{ two: 2 }] } });
});

test('an error poisons no neighbour in the pipeline', async () => {
  await using node = await openTestNode({ sharedMax: 1 });
  const refuses = { toPostgres: () => { throw new Error('no value'); } };
  const settled = await Promise.allSettled(
    Array.from({ length: 300 }, (_, index) => {
      if (index % 5 === 1) return node.connections.query({ text: 'SELECT 1 / $1::int', values: [0] });
      if (index % 5 === 2) return node.connections.query({ text: 'SELEKT' });
      if (index % 5 === 3) return node.connections.query({ text: 'SELECT $1::text', values: [refuses] });
      return node.connections.query({ text: 'SELECT $1::int', values: [index], name: 'echo' });
    }),
  );
  for (const [index, outcome] of settled.entries()) {
    if (index % 5 === 1) expect(outcome).toMatchObject({ reason: { code: '22012' } });
    else if (index % 5 === 2) expect(outcome).toMatchObject({ reason: { code: '42601', position: '1' } });
    else if (index % 5 === 3) expect(outcome).toMatchObject({ reason: { message: 'no value' } });
    else expect(outcome).toMatchObject({ value: { rows: [[String(index)]] } });
  }
  expect(node.connections.counts.open).toBe(1);
});

test('a named statement is parsed once for each connection', async () => {
  await using node = await openTestNode({ sharedMax: 1 });
  const query = { text: 'SELECT $1::int', values: [1], name: 'one' };
  await node.connections.query(query);
  await node.connections.query(query);
  const { rows } = await node.connections.query({ text: "SELECT count(*), sum(generic_plans + custom_plans) FROM pg_prepared_statements WHERE name = 'one'" });
  expect(rows).toEqual([['1', '2']]);
});

test('a name that comes with another text is that from then on, for those sent behind it as well, whatever comes of it', async () => {
  await using node = await openTestNode({ sharedMax: 1 });
  const run = async (text: string): Promise<unknown> => (await node.connections.query({ text, values: [1], name: 'one' })).rows;
  const answers = await Promise.allSettled(['SELECT $1::int', 'SELECT 2, $1::int', 'SELECT 2, $1::int', 'SELECT nothing, $1::int', 'SELECT $1::int'].map(run));
  expect(answers.map((answer) => (answer.status === 'fulfilled' ? answer.value : (answer.reason as { code: string }).code))).toEqual([[['1']], [['2', '1']], [['2', '1']], '42703', [['1']]]);
});

test('a named statement whose first Parse failed works for those sent behind it', async () => {
  await using node = await openTestNode({ sharedMax: 1 });
  await node.connections.query({ text: 'CREATE TABLE late (a int)' });
  const settled = await Promise.allSettled([
    node.connections.query({ text: 'DROP TABLE late' }),
    node.connections.query({ text: 'SELECT a FROM late WHERE a = $1', values: [1], name: 'late' }),
    node.connections.query({ text: 'CREATE TABLE late (a int)' }),
    node.connections.query({ text: 'SELECT a FROM late WHERE a = $1', values: [1], name: 'late' }),
  ]);
  expect(settled[1]).toMatchObject({ status: 'rejected', reason: { code: '42P01' } });
  expect(settled[3]).toMatchObject({ status: 'fulfilled', value: { rows: [] } });
});

test('a named statement whose Parse failed is parsed again, inside a transaction block too', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  const query = { text: 'SELECT a FROM late WHERE a = $1', values: [1], name: 'late' };
  await expect(connection.query(query)).rejects.toMatchObject({ code: '42P01' });
  await connection.query({ text: 'BEGIN; CREATE TABLE late (a int)', simple: true });
  expect((await connection.query(query)).rows).toEqual([]);
  await connection.query({ text: 'ROLLBACK' });
});

test('a prepared statement whose result type changed is prepared anew', async () => {
  await using node = await openTestNode({ sharedMax: 1 });
  await node.connections.query({ text: 'CREATE TABLE t AS SELECT 1 AS a' });
  const query = { text: 'SELECT * FROM t', name: 'all' };
  await node.connections.query(query);
  await node.connections.query({ text: "ALTER TABLE t ADD b text DEFAULT 'b'" });
  expect((await node.connections.query(query)).rows).toEqual([['1', 'b']]);
  expect((await node.connections.queryParsed(query)).rows).toEqual([{ a: 1, b: 'b' }]);
});

test('all the results of one text', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  const results = await connection.queryEach('SELECT 1; SELECT 2, 3; CREATE TEMPORARY TABLE t ()');
  expect(results.map(({ rows, command }) => [command, ...rows])).toEqual([['SELECT', ['1']], ['SELECT', ['2', '3']], ['CREATE']]);
  expect((await connection.query({ text: 'SELECT 1; SELECT 2', simple: true })).rows).toEqual([['2']]);
  connection.release();
});

test('COPY FROM STDIN as a query fails instead of waiting', async () => {
  await using node = await openTestNode({ sharedMax: 1 });
  await node.connections.query({ text: 'CREATE TABLE t (a int)' });
  await expect(node.connections.query({ text: 'COPY t FROM STDIN' })).rejects.toMatchObject({ code: '57014' });
  await expect(node.connections.query({ text: 'COPY t FROM STDIN', name: 'copy' })).rejects.toMatchObject({ code: '57014' });
  expect((await node.connections.query({ text: 'SELECT 1' })).rows).toEqual([['1']]);
});

test('notices go to the statement that caused them', async () => {
  await using node = await openTestNode({ sharedMax: 1 });
  const raise = (text: string, notices: NodeNotice[]): Promise<unknown> =>
    node.connections.query({ text: `DO $$ BEGIN RAISE WARNING '${text}'; END $$` }, { onNotice: (notice) => notices.push(notice) });
  const first: NodeNotice[] = [];
  const second: NodeNotice[] = [];
  await Promise.all([raise('one', first), raise('two', second)]);
  expect([first, second]).toMatchObject([[{ message: 'one', severity: 'WARNING' }], [{ message: 'two' }]]);
});

test('text formats do not depend on the database\'s settings', async () => {
  await using node = await openTestNode();
  await node.connections.query({ text: "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET datestyle = ''German''', current_database()); END $$" });
  const connection = await node.acquire();
  const { rows } = await connection.query({ text: "SELECT '2024-02-01'::date, '1 day 2 hours'::interval, current_setting('application_name')" });
  expect(rows).toEqual([['2024-02-01', '1 day 02:00:00', 'shardwright']]);
});

test('slow statements do not hold up others', async () => {
  await using node = await openTestNode({ sharedMax: 2, exclusiveMax: 2 });
  const blocker = await node.acquire();
  await blocker.query({ text: 'SELECT pg_advisory_lock(1)' });
  const slow: Promise<unknown>[] = [];
  for (let waiting = 1; waiting <= 2; waiting += 1) {
    slow.push(node.connections.query({ text: 'SELECT pg_advisory_lock_shared(1)' }));
    await until(() =>
      node.sees(`${waiting} = (SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event = 'advisory' AND clock_timestamp() - query_start > interval '50 ms')`),
    );
  }
  // Both shared connections are held up by what only the end of this test lets go on.
  expect((await node.connections.query({ text: 'SELECT 1' })).rows).toEqual([['1']]);
  await blocker.query({ text: 'SELECT pg_advisory_unlock(1)' });
  await Promise.all(slow);
});

test('a statement that may wait gets nothing queued behind it', async () => {
  await using node = await openTestNode({ sharedMax: 1, exclusiveMax: 2 });
  const blocker = await node.acquire();
  await blocker.query({ text: 'SELECT pg_advisory_lock(1)' });
  const waiting = node.connections.query({ text: 'SELECT pg_advisory_lock_shared(1)', mayWait: true });
  expect((await node.connections.query({ text: 'SELECT 1' })).rows).toEqual([['1']]);
  await blocker.query({ text: 'SELECT pg_advisory_unlock(1)' });
  await waiting;
});
