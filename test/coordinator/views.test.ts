import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, run, startCluster } from './start-cluster.ts';

let pair: ClusterAndPlain;
let cluster: Cluster;
beforeAll(async () => {
  pair = await startCluster();
  ({ cluster } = pair);
  for (const view of views) expect(await both(view)).toEqual({ command: 'CREATE', rows: [], columns: [] });
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

const views = [
  'CREATE VIEW large AS SELECT * FROM orders WHERE total >= 40',
  'CREATE VIEW named (tenant, number, amount) AS SELECT tenant_id, id, total FROM orders',
  'CREATE OR REPLACE VIEW nested AS SELECT n.tenant, n.amount, i.name FROM named n JOIN items i ON i.tenant_id = n.tenant AND i.order_id = n.number',
  'CREATE VIEW sums AS SELECT tenant_id, count(*) AS n, sum(total) AS total FROM orders GROUP BY tenant_id',
  'CREATE VIEW moods AS SELECT mood, count(*) AS n FROM orders GROUP BY mood',
  // Its condition costs more than those of the queries below, which a planner would ask first.
  `CREATE VIEW secret WITH (security_barrier) AS SELECT * FROM orders WHERE total + 1 - 1 + 1 - 1 + 1 - 1 > 20`,
  'CREATE VIEW mixed AS SELECT n.body, c.name FROM notes n, countries c',
  `CREATE VIEW "Odd ""view""" AS SELECT tenant_id AS "T", id AS "select" FROM public.orders`,
];

interface Outcome {
  readonly command?: string;
  readonly code?: unknown;
  readonly columns?: unknown;
  readonly rows?: string[];
}

async function outcome(on: Pick<Cluster, 'query'>, sql: string, values: unknown[] = []): Promise<Outcome> {
  try {
    const { command, rows, fields } = await on.query({ text: sql, values, rowMode: 'array' });
    return { command, rows: rows.map((row) => JSON.stringify(row)).toSorted(), columns: fields.map(({ name, format }) => [name, format]) };
  } catch (error) {
    return { code: Reflect.get(error as object, 'code') };
  }
}

async function both(sql: string, values: unknown[] = []): Promise<Outcome> {
  const [found, expected] = await Promise.all([outcome(cluster, sql, values), outcome(pair.plain as unknown as Cluster, sql, values)]);
  expect(found, sql).toEqual(expected);
  return found;
}

test.each([
  ['SELECT * FROM large', []],
  ['SELECT * FROM large WHERE tenant_id = $1', [7]],
  ['SELECT l.id FROM large AS l WHERE l.tenant_id = $1 AND l.id = $2', [7, 2]],
  ['SELECT large.id, public.large.total FROM large WHERE public.large.tenant_id = 3', []],
  ['TABLE large', []],
  ['SELECT * FROM ONLY large WHERE tenant_id > 3', []],
  ['SELECT a.id, large.total FROM ONLY (public.large) a JOIN ONLY public.large ON a.tenant_id = large.tenant_id AND public.large.id = a.id', []],
  ['TABLE ONLY nested', []],
  ['SELECT count(*) FROM ONLY secret s WHERE s.id < 4', []],
  ['SELECT l.x, l.y FROM large l (x, y) WHERE y < 3', []],
  ['SELECT * FROM nested WHERE tenant = 4', []],
  ['SELECT name, count(*), sum(amount) FROM nested GROUP BY name', []],
  ['SELECT * FROM sums WHERE tenant_id IN (1, 2, 5)', []],
  ['SELECT max(n), min(total) FROM sums', []],
  ['SELECT m.mood, m.n, c.name FROM moods m LEFT JOIN countries c ON true', []],
  ['SELECT o.id FROM orders o JOIN moods m ON m.n = o.id * 20', []],
  ['SELECT * FROM orders o WHERE EXISTS (SELECT FROM sums s WHERE s.tenant_id = o.tenant_id AND s.total < 200)', []],
  ['SELECT (SELECT total FROM sums s WHERE s.tenant_id = o.tenant_id) FROM orders o WHERE tenant_id = 5', []],
  ['WITH large AS (SELECT 1 AS one) SELECT * FROM large', []],
  ['WITH x AS (SELECT * FROM large) SELECT count(*) FROM x JOIN large USING (tenant_id, id)', []],
  ['SELECT id FROM large UNION SELECT line FROM items', []],
  ['SELECT id, 1 / (total - 11) > 0 FROM secret WHERE tenant_id = 1', []],
  ['SELECT count(*) FROM secret WHERE 1 / (total - 11) < 5', []],
  ['SELECT * FROM mixed', []],
  ['SELECT "select" FROM "Odd ""view""" WHERE "T" = 2', []],
  ['SELECT row_to_json(l)::text FROM large l WHERE tenant_id = 9', []],
  ['SELECT * FROM large TABLESAMPLE BERNOULLI (50)', []],
  ['SELECT nothing FROM large', []],
  ['SELECT count(*) FROM large l, LATERAL (SELECT * FROM named n WHERE n.tenant = l.tenant_id AND n.number < l.id) x', []],
  ['SELECT id FROM large WHERE tenant_id = 5 FOR UPDATE', []],
])('%s %j', async (sql, values) => {
  await both(sql, values);
  await both(sql, values);
});

test('writes read views', async () => {
  for (const on of [cluster, pair.plain]) await on.query('CREATE TABLE view_notes (tenant_id bigint, id bigint, n numeric)');
  await cluster.createDistributedTable('view_notes', 'tenant_id');
  await both('INSERT INTO view_notes SELECT tenant_id, n, total FROM sums RETURNING *');
  await both('UPDATE view_notes v SET n = s.total + 1 FROM sums s WHERE s.tenant_id = v.tenant_id AND v.id > 0 RETURNING v.tenant_id, v.n');
  await both('UPDATE view_notes SET n = (SELECT max(n) FROM moods), id = $1 WHERE tenant_id IN (SELECT tenant FROM nested)', [5]);
  await both('DELETE FROM view_notes USING secret s WHERE s.tenant_id = view_notes.tenant_id AND s.id = 2');
  await both('MERGE INTO view_notes v USING sums s ON v.tenant_id = s.tenant_id WHEN MATCHED THEN UPDATE SET n = 0 WHEN NOT MATCHED THEN INSERT VALUES (s.tenant_id, 9, s.n)');
  await both('WITH d AS (DELETE FROM view_notes WHERE tenant_id IN (SELECT tenant FROM named WHERE number = 3) RETURNING tenant_id) SELECT count(*) FROM d');
  await both('SELECT * FROM view_notes');
});

test('a query of one tenant through views stays a router query', async () => {
  for (const sql of ['SELECT * FROM large WHERE tenant_id = $1', 'SELECT * FROM nested WHERE tenant = $1', 'SELECT * FROM sums WHERE tenant_id = $1', 'SELECT * FROM secret WHERE tenant_id = $1']) {
    expect((await cluster.explain(sql, [3])).plan.kind, sql).toBe('router');
  }
});

describe('definitions', () => {
  test('replaced, renamed, dropped: every process notices', async () => {
    const other = pair.another();
    await cluster.query('CREATE VIEW changing AS SELECT id FROM orders WHERE tenant_id = 1');
    // Another process that knows of no view yet takes the name for a local table.
    expect((await other.query('SELECT count(*)::int AS n FROM changing')).rows).toEqual([{ n: 5 }]);
    await cluster.query('CREATE OR REPLACE VIEW changing AS SELECT id FROM orders WHERE tenant_id < 3');
    expect((await cluster.query('SELECT count(*)::int AS n FROM changing')).rows).toEqual([{ n: 10 }]);
    await cluster.query('ALTER VIEW changing RENAME TO changed');
    await expect(cluster.query('SELECT FROM changing')).rejects.toMatchObject({ code: '42P01' });
    await expect(other.query('SELECT FROM changing')).rejects.toMatchObject({ code: '42P01' });
    expect((await other.query('SELECT count(*)::int AS n FROM changed')).rows).toEqual([{ n: 10 }]);
    await cluster.query('ALTER VIEW changed RENAME COLUMN id TO number');
    expect((await cluster.query('SELECT number FROM changed ORDER BY number LIMIT 1')).rows).toEqual([{ number: 1 }]);
    await cluster.query('DROP VIEW changed');
    await expect(cluster.query('SELECT FROM changed')).rejects.toMatchObject({ code: '42P01' });
    await cluster.query('CREATE TABLE changed (id int)');
    expect((await other.query('SELECT count(*)::int AS n FROM changed')).rows).toEqual([{ n: 0 }]);
    await cluster.query('DROP TABLE changed');
  });

  test('a process that has not heard of a view yet never reads empty shells', async () => {
    const other = pair.another();
    await other.query('SELECT 1');
    const streamed = async (sql: string): Promise<unknown> => {
      for await (const row of other.stream(sql)) return row;
      return undefined;
    };
    for (let i = 0; i < 10; i += 1) {
      const name = `fresh${i}`;
      await cluster.query(`CREATE VIEW ${name} AS SELECT id FROM orders`);
      const count = `SELECT count(*)::int AS n FROM ${name}`;
      const failure = (error: { code: string }): string => error.code;
      const [queried, read, copied] = await Promise.all([
        other.query(count), streamed(count).catch(failure), text(other.copyTo(`COPY (${count}) TO STDOUT`)).catch(failure),
      ]);
      expect(queried.rows).toEqual([{ n: 60 }]);
      expect(['42P01', '{"n":60}']).toContain(typeof read === 'string' ? read : JSON.stringify(read));
      expect(['42P01', '60\n']).toContain(copied);
    }
  });

  test('a process that has not heard yet that a table took the place of a view reads the table', async () => {
    const other = pair.another();
    for (let i = 0; i < 20; i += 1) {
      const count = `SELECT count(*)::int AS n FROM replaced${i}`;
      await cluster.query(`CREATE VIEW replaced${i} AS SELECT id FROM orders`);
      expect((await other.query(count)).rows).toEqual([{ n: 60 }]);
      await cluster.query(`DROP VIEW replaced${i}; CREATE TABLE replaced${i} (id int)`);
      expect((await other.query(`${count} WHERE id IS NULL`)).rows).toEqual([{ n: 0 }]);
      await cluster.query(`DROP TABLE replaced${i}`);
    }
  });

  test('in a transaction, and undone with it', async () => {
    const client = await cluster.connect();
    const count = 'SELECT count(*)::int AS n FROM fleeting';
    await client.query('BEGIN');
    await client.query('CREATE VIEW fleeting AS SELECT id FROM orders');
    expect((await client.query(count)).rows).toEqual([{ n: 60 }]);
    await client.query('SAVEPOINT s');
    await client.query('CREATE OR REPLACE VIEW fleeting AS SELECT id FROM orders WHERE tenant_id = 1');
    expect((await client.query(count)).rows).toEqual([{ n: 5 }]);
    await client.query('ROLLBACK TO s');
    expect((await client.query(count)).rows).toEqual([{ n: 60 }]);
    await client.query('ROLLBACK');
    await expect(client.query(count)).rejects.toMatchObject({ code: '42P01' });
    client.release();
    const [, counted] = await cluster.query('CREATE VIEW fleeting AS SELECT id FROM orders WHERE tenant_id = 2; SELECT count(*)::int AS n FROM fleeting') as unknown as { rows: unknown[] }[];
    expect(counted?.rows).toEqual([{ n: 5 }]);
    expect((await cluster.query(count)).rows).toEqual([{ n: 5 }]);
    await cluster.query('DROP VIEW fleeting');
  });

  test('a name that means something else', async () => {
    await cluster.query('CREATE SCHEMA hiding; CREATE TABLE hiding.large (tenant_id bigint, id int)');
    const client = await cluster.connect();
    await client.query('SET search_path = hiding, public');
    await expect(client.query('SELECT * FROM large')).rejects.toMatchObject({ id: 'unsupportedQuery' });
    expect((await client.query('SELECT * FROM hiding.large')).rows).toEqual([]);
    expect((await client.query('SELECT count(*)::int AS n FROM public.large')).rows).toEqual((await pair.plain.query('SELECT count(*)::int AS n FROM large')).rows);
    client.release(true);
    // Behind our back a table takes the name of a view.
    await cluster.query('CREATE VIEW swapped AS SELECT id FROM orders');
    await run(pair.databases.coordinator.connectionString, 'DROP VIEW swapped; CREATE TABLE swapped (id int)');
    await expect(cluster.query('SELECT * FROM swapped')).rejects.toMatchObject({ id: 'unsupportedQuery' });
    await run(pair.databases.coordinator.connectionString, 'DROP TABLE swapped');
  });

  test('a cursor reads what the view reads', async () => {
    const client = await cluster.connect();
    await client.query('BEGIN');
    await client.query('DECLARE c SCROLL CURSOR FOR SELECT count(*)::int AS n FROM large');
    expect((await client.query('FETCH c')).rows).toEqual((await cluster.query('SELECT count(*)::int AS n FROM large')).rows);
    client.release(true);
  });

  test.each([
    ['CREATE TEMP VIEW t AS SELECT * FROM orders', 'unsupportedDdl'],
    ['CREATE TEMP TABLE temps (id int); CREATE VIEW t AS SELECT o.id FROM orders o JOIN temps USING (id)', 'unsupportedDdl'],
    ['CREATE TEMP TABLE copied AS SELECT * FROM large', 'unsupportedQuery'],
    ['COPY (SELECT * FROM large) TO STDOUT', 'unsupportedQuery'],
    ['INSERT INTO large (tenant_id, id) VALUES (1, 99)', 'unsupportedWrite'],
    ['UPDATE large SET note = NULL WHERE tenant_id = 1', 'unsupportedWrite'],
    ['DELETE FROM large WHERE tenant_id = 1', 'unsupportedWrite'],
    ['SELECT l FROM large l', 'unsupportedQuery'],
    ['SELECT * FROM secret WHERE tenant_id = 1 FOR UPDATE', 'unsupportedQuery'],
  ])('refused: %s', async (sql, id) => {
    const client = await cluster.connect();
    await expect(client.query(sql)).rejects.toMatchObject({ id });
    client.release(true);
  });
});
