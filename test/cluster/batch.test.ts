import { expect, test } from 'vitest';
import { openTestNode } from './connections.ts';

const insert = (value: unknown) => ({ text: 'INSERT INTO t VALUES ($1)', values: [value], name: 'insert_t' });

test('one result per statement, in order, and one transaction', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  await connection.query({ text: 'CREATE TABLE t (a int PRIMARY KEY, x xid8 DEFAULT pg_current_xact_id())', simple: true });
  const results = await connection.batch([{ text: 'INSERT INTO t (a) VALUES (1), (2) RETURNING a' }, { text: '' }, insertOne(3), { text: 'SELECT count(*), $1::text FROM t', values: ['x'] }]);
  expect(results.map(({ command, rowCount, rows }) => ({ command, rowCount, rows }))).toEqual([
    { command: 'INSERT', rowCount: 2, rows: [['1'], ['2']] },
    { command: '', rowCount: null, rows: [] },
    { command: 'INSERT', rowCount: 1, rows: [] },
    { command: 'SELECT', rowCount: 1, rows: [['3', 'x']] },
  ]);
  expect((await connection.query({ text: 'SELECT count(DISTINCT x) FROM t' })).rows).toEqual([['1']]);
});

function insertOne(value: number) {
  return { text: 'INSERT INTO t (a) VALUES ($1)', values: [value] };
}

test('after an error the rest is skipped and nothing is kept', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  await connection.query({ text: 'CREATE TABLE t (a int PRIMARY KEY)', simple: true });
  const [bad, good] = await Promise.allSettled([connection.batch([insert(1), insert(1), insert(2)]), connection.batch([insert(7), insert(8)])]);
  expect(bad).toMatchObject({ status: 'rejected', reason: { code: '23505' } });
  expect(good).toMatchObject({ status: 'fulfilled', value: [{ rowCount: 1 }, { rowCount: 1 }] });
  expect(connection.transactionStatus).toBe('idle');
  expect((await connection.query({ text: 'SELECT a FROM t ORDER BY a' })).rows).toEqual([['7'], ['8']]);
});

test('a name whose Parse was skipped, refused or forgotten is prepared the next time', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  const named = { text: 'SELECT $1::int', values: [5], name: 'five' };
  await expect(connection.batch([{ text: 'SELECT 1 / 0' }, named])).rejects.toMatchObject({ code: '22012' });
  await expect(connection.batch([{ text: 'SELEKT', name: 'bad' }])).rejects.toMatchObject({ code: '42601' });
  await expect(connection.batch([{ text: 'SELECT 1', name: 'bad' }])).resolves.toMatchObject([{ rows: [['1']] }]);
  await expect(connection.batch([named])).resolves.toMatchObject([{ rows: [['5']] }]);
  await connection.query({ text: 'DEALLOCATE ALL' });
  await expect(connection.batch([named])).rejects.toMatchObject({ code: '26000' });
  await expect(connection.batch([named])).resolves.toMatchObject([{ rows: [['5']] }]);
});

test('a value that cannot be written fails the batch and none of its neighbours', async () => {
  await using node = await openTestNode();
  const connection = await node.acquire();
  const unwritable = { toPostgres: () => { throw new Error('no value'); } };
  const [bad, good] = await Promise.allSettled([
    connection.batch([{ text: 'SELECT $1::int', values: [1], name: 'n' }, { text: 'SELECT $1::int', values: [unwritable] }]),
    connection.batch([{ text: 'SELECT $1::int', values: [2], name: 'n' }]),
  ]);
  expect(bad).toMatchObject({ reason: { message: 'no value' } });
  expect(good).toMatchObject({ value: [{ rows: [['2']] }] });
});
