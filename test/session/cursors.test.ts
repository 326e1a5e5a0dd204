import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import type { PoolClient } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';

let pair: ClusterAndPlain;
beforeAll(async () => {
  pair = await startCluster();
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

async function outcome(client: PoolClient, text: string): Promise<unknown> {
  try {
    const { command, rowCount, rows, fields } = await client.query(text);
    return { command, rowCount, rows, fields: fields.map(({ name, dataTypeID }) => [name, dataTypeID]) };
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return { code, message };
  }
}

/** Every step gives the same in a session of the cluster and in one of a plain PostgreSQL. */
async function expectSame(...steps: readonly string[]): Promise<void> {
  const cluster = await pair.cluster.connect();
  const plain = await pair.plain.connect();
  try {
    for (const text of steps) expect({ text, got: await outcome(cluster, text) }).toEqual({ text, got: await outcome(plain, text) });
  } finally {
    cluster.release(true);
    plain.release(true);
  }
}

const queries = {
  router: 'SELECT id, note FROM orders WHERE tenant_id = 3 ORDER BY id',
  merged: 'SELECT tenant_id, id, total FROM orders ORDER BY tenant_id, id',
  aggregated: 'SELECT tenant_id % 3 AS rest, sum(total) FROM orders GROUP BY 1 ORDER BY 1',
  staged: 'SELECT o.tenant_id, c.code FROM orders o JOIN countries c ON true JOIN items i ON i.line = o.id WHERE i.tenant_id = 2 AND i.order_id = 1 ORDER BY 1, 2',
  local: 'SELECT id, body FROM notes ORDER BY id',
};

describe.each(Object.entries(queries))('a cursor over a %s query', (_, query) => {
  test('forward', () =>
    expectSame('BEGIN', `DECLARE c CURSOR FOR ${query}`, 'FETCH c', 'FETCH 2 FROM c', 'MOVE 1 IN c', 'FETCH NEXT FROM c', 'FETCH FORWARD ALL IN c', 'FETCH c', 'CLOSE c', 'FETCH c', 'ROLLBACK'));
  test('with SCROLL', () =>
    expectSame('BEGIN', `DECLARE c SCROLL CURSOR FOR ${query}`, 'FETCH LAST FROM c', 'FETCH PRIOR FROM c', 'FETCH ABSOLUTE 2 FROM c', 'FETCH RELATIVE -1 FROM c', 'FETCH 0 FROM c', 'FETCH BACKWARD ALL FROM c',
      'FETCH PRIOR FROM c', 'FETCH 2 FROM c', 'MOVE BACKWARD 1 IN c', 'FETCH ABSOLUTE -1 FROM c', 'FETCH ABSOLUTE 99 FROM c', 'FETCH BACKWARD 2 FROM c', 'FETCH ABSOLUTE 0 FROM c', 'FETCH NEXT FROM c', 'CLOSE ALL', 'COMMIT'));
  test('with HOLD', () =>
    expectSame('BEGIN', `DECLARE c CURSOR WITH HOLD FOR ${query}`, 'FETCH 1 FROM c', 'COMMIT', 'FETCH 2 FROM c', 'CLOSE c', 'BEGIN', `DECLARE c CURSOR WITH HOLD FOR ${query}`, 'ROLLBACK', 'FETCH c',
      `DECLARE c CURSOR WITH HOLD FOR ${query}`, 'FETCH 1 FROM c', 'CLOSE ALL', 'FETCH c'));
  test('ends with its transaction', () => expectSame('BEGIN', `DECLARE c CURSOR FOR ${query}`, 'FETCH c', 'COMMIT', 'FETCH c', 'BEGIN', `DECLARE "C ü" CURSOR FOR ${query}`, 'FETCH "C ü"', 'ROLLBACK', 'CLOSE "C ü"'));
});

describe('cursors', () => {
  test('what cannot be', () =>
    expectSame(`DECLARE c CURSOR FOR ${queries.merged}`, 'BEGIN', `DECLARE c CURSOR FOR ${queries.merged}`, `DECLARE c CURSOR FOR ${queries.router}`, 'ROLLBACK', 'BEGIN', 'DECLARE c CURSOR FOR SELECT nothing FROM orders', 'ROLLBACK'));
  test('backward without SCROLL', () => expectSame('BEGIN', `DECLARE c NO SCROLL CURSOR FOR ${queries.merged}`, 'FETCH 2 FROM c', 'FETCH PRIOR FROM c', 'ROLLBACK'));
  test('does not see what is written after it was opened, nor blocks it', () =>
    expectSame('BEGIN', `DECLARE c CURSOR FOR ${queries.merged}`, 'FETCH 1 FROM c', 'UPDATE orders SET total = total + 1', 'FETCH 3 FROM c', 'DELETE FROM items', 'FETCH ALL FROM c', 'SELECT sum(total) FROM orders', 'ROLLBACK'));
});

test('several at a time', () => {
  const names = Object.keys(queries) as (keyof typeof queries)[];
  const each = (step: (name: string) => string): string[] => names.flatMap((name) => [step(name), step(`${name}2`)]);
  return expectSame('BEGIN', ...names.flatMap((name) => ['', '2'].map((which) => `DECLARE ${name}${which} CURSOR FOR ${queries[name]}`)), ...each((name) => `FETCH 2 FROM ${name}`), ...each((name) => `FETCH 3 FROM ${name}`), 'CLOSE router', ...each((name) => `FETCH ALL FROM ${name === 'router' ? 'merged' : name}`), 'COMMIT');
});

describe('objects that other packages submit', () => {
  const text = 'SELECT tenant_id, id FROM orders WHERE id > $1 ORDER BY tenant_id, id';

  test('pg-cursor reads in batches, and holds back later statements until it is closed', async () => {
    const client = await pair.cluster.connect();
    try {
      const cursor = client.query(new Cursor<{ tenant_id: string; id: number }>(text, [3]));
      const order: string[] = [];
      const later = client.query('SELECT 1').then(() => order.push('later'));
      expect(await cursor.read(3)).toEqual([{ tenant_id: '1', id: 4 }, { tenant_id: '1', id: 5 }, { tenant_id: '2', id: 4 }]);
      expect((await cursor.read(2)).length).toBe(2);
      order.push('closing');
      await cursor.close();
      await later;
      expect(order).toEqual(['closing', 'later']);
    } finally {
      client.release();
    }
  });

  test('pg-cursor to its end, by callbacks, and its errors', async () => {
    const client = await pair.cluster.connect();
    try {
      const cursor = client.query(new Cursor(text, [4]));
      const rows = await new Promise<unknown[]>((resolve, reject) => cursor.read(100, (error, found) => (error === undefined || error === null ? resolve(found) : reject(error))));
      expect(rows.length).toBe(12);
      expect(await cursor.read(5)).toEqual([]);
      const failing = client.query(new Cursor('SELECT 1 / (id - id) FROM orders', []));
      await expect(failing.read(1)).rejects.toMatchObject({ code: '22012' });
      expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    } finally {
      client.release();
    }
  });

  test('pg-query-stream', async () => {
    const client = await pair.cluster.connect();
    try {
      const stream = client.query(new QueryStream(text, [2], { batchSize: 7 }));
      const seen: unknown[] = [];
      for await (const row of stream) seen.push(row);
      expect(seen).toEqual((await pair.plain.query(text, [2])).rows);
      for await (const row of client.query(new QueryStream(text, [2]))) {
        expect(row).toEqual({ tenant_id: '1', id: 3 });
        break;
      }
      expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    } finally {
      client.release();
    }
  });
});
