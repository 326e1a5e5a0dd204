import type { PoolClient } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';

let pair: ClusterAndPlain;
beforeAll(async () => {
  pair = await startCluster();
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);
beforeEach(async () => {
  for (const pool of [pair.cluster, pair.plain]) await pool.query(`UPDATE orders SET note = 'x', total = tenant_id * 10 + id; UPDATE countries SET name = initcap(code)`);
});

interface Connecting {
  connect(): Promise<PoolClient>;
}

/** What one statement gave: rows, or SQLSTATE and message. */
async function outcome(client: PoolClient, text: string, values?: unknown[]): Promise<unknown> {
  try {
    return (await client.query<object>(text, values)).rows;
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return { code, message };
  }
}

/** The rows that nobody has locked: as another session finds them. */
async function unlocked(client: PoolClient, strength = 'UPDATE'): Promise<unknown[]> {
  return [
    await outcome(client, `SELECT tenant_id, id FROM orders ORDER BY tenant_id, id FOR ${strength} SKIP LOCKED`),
    await outcome(client, `SELECT tenant_id, order_id, line FROM items ORDER BY tenant_id, order_id, line FOR ${strength} SKIP LOCKED`),
    await outcome(client, `SELECT code FROM countries ORDER BY code FOR ${strength} SKIP LOCKED`),
  ];
}

/** Sessions that hold no locks afterwards, however the test ends. */
async function inSessions(work: (own: PoolClient, other: PoolClient) => Promise<void>): Promise<void> {
  const clients = [await pair.cluster.connect(), await pair.cluster.connect()] as const;
  try {
    await work(...clients);
  } finally {
    for (const client of clients) client.release(true);
  }
}

type Step = string | { readonly text: string; readonly values: unknown[] };

/** Runs the steps in one session, and lists what others still can lock; on one PostgreSQL it must be the same. */
async function expectSameLocks(steps: readonly Step[], { held = [], strength = 'UPDATE' }: { readonly held?: readonly string[]; readonly strength?: string } = {}): Promise<void> {
  const on = async (pool: Connecting): Promise<unknown> => {
    const [first, own, other] = [await pool.connect(), await pool.connect(), await pool.connect()];
    try {
      await first.query('BEGIN');
      for (const text of held) await first.query(text);
      await own.query('BEGIN');
      const outcomes = [];
      for (const step of steps) outcomes.push(typeof step === 'string' ? await outcome(own, step) : await outcome(own, step.text, step.values));
      return { outcomes, free: await unlocked(other, strength) };
    } finally {
      for (const client of [first, own, other]) {
        await client.query('ROLLBACK');
        client.release();
      }
    }
  };
  const [cluster, plain] = [await on(pair.cluster), await on(pair.plain)];
  expect(cluster).toEqual(plain);
  // Not by accident: something is locked.
  const all = { outcomes: expect.anything(), free: [expect.objectContaining({ length: 60 }), expect.objectContaining({ length: 120 }), expect.objectContaining({ length: 2 })] };
  if (held.length === 0 && steps.every((step) => typeof step !== 'string' || !/ROLLBACK TO|LIMIT 0/.test(step))) expect(cluster).not.toEqual(all);
}

const first = 'SELECT tenant_id, id, total FROM orders ORDER BY total, tenant_id';
const last = 'SELECT tenant_id, id, total FROM orders ORDER BY total DESC';

describe('the rows that are given stay locked, and no others', () => {
  test('by a condition', () => expectSameLocks(['SELECT tenant_id, id FROM orders WHERE id = 2 ORDER BY tenant_id FOR UPDATE']));
  test('all', () => expectSameLocks(['SELECT tenant_id, id FROM orders ORDER BY 1, 2 FOR UPDATE']));
  test('the first by ORDER BY', () => expectSameLocks([`${first} LIMIT 7 FOR UPDATE`]));
  test('by a column that is not selected, over parameters', () => expectSameLocks([{ text: 'SELECT tenant_id, id FROM orders WHERE id > $2 ORDER BY total DESC LIMIT $1 FOR UPDATE', values: [9, 2] }]));
  test('with OFFSET, those passed over too', () => expectSameLocks([`${first} LIMIT 3 OFFSET 4 FOR UPDATE`]));
  test('with OFFSET alone', () => expectSameLocks([`SELECT tenant_id, id FROM orders WHERE id = 1 ORDER BY tenant_id OFFSET 11 FOR UPDATE`]));
  test('LIMIT 0 and LIMIT NULL', () => expectSameLocks([`${first} LIMIT 0 FOR UPDATE`, { text: 'SELECT id, tenant_id FROM orders WHERE id < 2 ORDER BY tenant_id LIMIT $1 FOR UPDATE', values: [null] }]));
  test('more than there are', () => expectSameLocks([`SELECT tenant_id, id FROM orders WHERE id = 5 ORDER BY tenant_id LIMIT 1000 FOR UPDATE`]));
  test('a second query locks more', () => expectSameLocks([`${first} LIMIT 2 FOR UPDATE`, `${last} LIMIT 3 FOR UPDATE`]));
  test('ROLLBACK TO lets them go', () => expectSameLocks([`${first} LIMIT 2 FOR UPDATE`, 'SAVEPOINT a', `${first} LIMIT 20 FOR UPDATE SKIP LOCKED`, `SELECT id FROM orders WHERE id = 5 ORDER BY tenant_id FOR UPDATE`, 'ROLLBACK TO a']));
  test('of one table of a join', () => expectSameLocks(['SELECT o.tenant_id, o.id FROM orders o JOIN items i ON i.tenant_id = o.tenant_id AND i.order_id = o.id WHERE i.line = 1 AND o.id < 3 ORDER BY 1, 2 FOR UPDATE OF o']));
  test('of all tables of a join', () => expectSameLocks(['SELECT o.tenant_id, o.id FROM orders o JOIN items i ON i.tenant_id = o.tenant_id AND i.order_id = o.id WHERE i.line = 1 AND o.id < 3 ORDER BY 1, 2 LIMIT 5 FOR UPDATE']));
  test('beside a reference table', () => expectSameLocks([`SELECT o.tenant_id, c.name FROM orders o JOIN countries c ON c.code = 'de' WHERE o.id = 1 ORDER BY 1 FOR UPDATE OF o`]));
  test('of a reference table', () => expectSameLocks([`SELECT name FROM countries WHERE code = 'de' FOR UPDATE`]));
  test('of a common table expression: none', () => expectSameLocks(['WITH o AS MATERIALIZED (SELECT tenant_id, id FROM orders WHERE id = 1) SELECT tenant_id FROM o ORDER BY 1 FOR UPDATE', `SELECT name FROM countries WHERE code = 'fr' FOR UPDATE`]));
  test.each(['NO KEY UPDATE', 'SHARE', 'KEY SHARE'])('FOR %s', async (strength) => {
    for (const other of ['UPDATE', 'NO KEY UPDATE', 'KEY SHARE']) {
      if (strength === 'KEY SHARE' && other !== 'UPDATE') continue;
      if (strength === 'NO KEY UPDATE' && other === 'KEY SHARE') continue;
      if (strength === 'SHARE' && other === 'KEY SHARE') continue;
      await expectSameLocks([`${first} LIMIT 5 FOR ${strength}`], { strength: other });
    }
  });
});

describe('rows that others hold', () => {
  const held = [`SELECT * FROM orders WHERE total IN (11, 12, 21, 52) FOR UPDATE`];
  test('are left out by SKIP LOCKED', () => expectSameLocks([`${first} LIMIT 6 FOR UPDATE SKIP LOCKED`, 'SELECT tenant_id, id FROM orders WHERE id = 1 ORDER BY 1 FOR UPDATE SKIP LOCKED'], { held }));
  test('are an error with NOWAIT', () => expectSameLocks([`${first} LIMIT 6 FOR UPDATE NOWAIT`, 'SELECT 1'], { held }));
  test('do not matter to NOWAIT where they are not among the first', () => expectSameLocks([`${last} LIMIT 6 FOR UPDATE NOWAIT`], { held }));
  test('do not make anybody wait where they are not among the first', () => expectSameLocks([`${last} LIMIT 6 FOR UPDATE`], { held }));
  test('are an error after lock_timeout', () => expectSameLocks([`SET LOCAL lock_timeout TO '50ms'`, `${first} LIMIT 2 FOR UPDATE`], { held }));

  test.each([`${first} LIMIT 2 FOR UPDATE`, 'SELECT tenant_id, id, total FROM orders WHERE total < 13 ORDER BY total FOR UPDATE'])('are waited for, and given as they are then: %s', async (text) => {
    for (const pool of [pair.cluster, pair.plain] as Connecting[]) {
      const [writer, locker] = [await pool.connect(), await pool.connect()];
      await writer.query('BEGIN');
      await writer.query(`UPDATE orders SET note = 'changed' WHERE tenant_id = 1 AND id = 1; UPDATE orders SET total = 500 WHERE tenant_id = 1 AND id = 2`);
      let done = false;
      await locker.query('BEGIN');
      const waiting = locker.query<{ total: string }>(text.replace('id, total', 'id, total, note')).finally(() => (done = true));
      await expectWaiting(pool);
      expect(done).toBe(false);
      await writer.query('COMMIT');
      const { rows } = await waiting;
      // One PostgreSQL gives the row that was moved away meanwhile, with its new values; here it is chosen again.
      expect(rows[0]).toMatchObject({ total: '11.00', note: 'changed' });
      if (pool === pair.cluster) expect(rows.map(({ total }) => total)).toEqual(/LIMIT/.test(text) ? ['11.00', '13.00'] : ['11.00']);
      await locker.query('ROLLBACK');
      for (const client of [writer, locker]) client.release();
    }
  });
});

/** Other test files wait for locks of theirs on the same servers. */
const waits = 'SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.datname = current_database()';

/** Until some session waits for a lock. */
async function expectWaiting(pool: Connecting): Promise<void> {
  const counts = async (): Promise<number> => {
    if (pool !== (pair.cluster as Connecting)) return (await pair.plain.query(waits)).rowCount ?? 0;
    const { Client } = await import('pg');
    let sum = 0;
    for (const { connectionString } of pair.databases.nodes) {
      const client = new Client({ connectionString });
      await client.connect();
      sum += (await client.query(waits)).rowCount ?? 0;
      await client.end();
    }
    return sum;
  };
  await expect.poll(counts, { timeout: 20_000 }).toBeGreaterThan(0);
}

test('LIMIT without ORDER BY locks as many rows as it gives', () => inSessions(async (own, other) => {
  await own.query('BEGIN');
  const { rows } = await own.query('SELECT tenant_id, id FROM orders LIMIT 13 FOR UPDATE');
  expect(rows).toHaveLength(13);
  const free = (await unlocked(other))[0] as unknown[];
  expect(free).toHaveLength(47);
  for (const row of rows) expect(free).not.toContainEqual(row);
  const { rows: more } = await other.query('SELECT tenant_id, id FROM orders OFFSET 2 LIMIT 100 FOR UPDATE SKIP LOCKED');
  expect(more).toHaveLength(45);
}));

test.each(['LIMIT 3', 'ORDER BY total LIMIT 3', 'ORDER BY total', ''])('outside a block, locks end with the statement: %s', async (tail) => {
  const client = await pair.cluster.connect();
  const { rows } = await client.query(`SELECT tenant_id, id FROM orders ${tail} FOR UPDATE SKIP LOCKED`);
  expect(rows).toHaveLength(/LIMIT/.test(tail) ? 3 : 60);
  expect((await pair.cluster.query('SELECT FROM orders FOR UPDATE NOWAIT')).rowCount).toBe(60);
  client.release();
});

test('workers that take jobs with SKIP LOCKED take each once', async () => {
  const worker = async (order: string): Promise<string[]> => {
    const done: string[] = [];
    const client = await pair.cluster.connect();
    for (;;) {
      await client.query('BEGIN');
      const { rows } = await client.query<{ tenant_id: string; id: number }>(`SELECT tenant_id, id FROM orders WHERE note = 'x' ${order} LIMIT 2 FOR UPDATE SKIP LOCKED`);
      for (const { tenant_id, id } of rows) {
        await client.query(`UPDATE orders SET note = 'done' WHERE tenant_id = $1 AND id = $2`, [tenant_id, id]);
        done.push(`${tenant_id}/${id}`);
      }
      await client.query('COMMIT');
      // Others may be holding what is left.
      const left = await client.query(`SELECT FROM orders WHERE note = 'x'`);
      if (left.rowCount === 0) break;
    }
    client.release();
    return done;
  };
  const done = (await Promise.all(['', 'ORDER BY total', 'ORDER BY total DESC', ''].map(worker))).flat();
  expect(done).toHaveLength(60);
  expect(new Set(done).size).toBe(60);
}, 60_000);

test('sessions that lock all rows wait for each other instead of dying', async () => {
  const locker = async (): Promise<void> => {
    const client = await pair.cluster.connect();
    for (let i = 0; i < 8; i += 1) {
      await client.query('BEGIN');
      await client.query('SELECT id FROM orders WHERE id < 3 FOR UPDATE');
      await client.query(`SELECT id FROM orders ORDER BY total LIMIT 20 FOR UPDATE`);
      await client.query('COMMIT');
    }
    client.release();
  };
  await Promise.all([locker(), locker(), locker()]);
}, 60_000);

test('lockers of a reference table exclude each other', () => inSessions(async (own, other) => {
  await own.query('BEGIN');
  await own.query(`SELECT * FROM countries WHERE code = 'de' FOR UPDATE`);
  for (let i = 0; i < 4; i += 1) await expect(other.query(`SELECT * FROM countries WHERE code = 'de' FOR UPDATE NOWAIT`)).rejects.toMatchObject({ code: '55P03' });
  await expect(other.query(`SELECT * FROM countries FOR UPDATE NOWAIT`)).rejects.toMatchObject({ code: '55P03' });
}));

test('a query whose rows are written elsewhere locks them, too', () => expectSameLocks([
  'INSERT INTO notes SELECT 1000 + tenant_id, note FROM orders WHERE id = 2 ORDER BY total LIMIT 3 FOR UPDATE', 'CREATE TABLE taken AS SELECT tenant_id, id FROM orders WHERE id = 4 FOR UPDATE', 'SELECT count(*)::int FROM taken',
]));

describe('in subqueries', () => {
  const job = `UPDATE orders SET note = 'taken' WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM orders WHERE note = 'x' ORDER BY total LIMIT 3 FOR UPDATE SKIP LOCKED) RETURNING tenant_id, id`;
  const held = ['SELECT * FROM orders WHERE total IN (11, 13) FOR UPDATE'];
  test('of UPDATE', () => expectSameLocks([job.replace(/RETURNING.*/, ''), `SELECT tenant_id, id FROM orders WHERE note = 'taken' ORDER BY total`], { held }));
  test('of DELETE, and in WITH', () => expectSameLocks([
    'DELETE FROM items WHERE (tenant_id, order_id) IN (SELECT tenant_id, id FROM orders WHERE id = 3 ORDER BY total DESC LIMIT 2 FOR UPDATE)',
    `WITH job AS MATERIALIZED (SELECT tenant_id, id FROM orders WHERE note = 'x' ORDER BY total LIMIT 2 FOR UPDATE SKIP LOCKED) UPDATE orders o SET note = 'y' FROM job WHERE o.tenant_id = job.tenant_id AND o.id = job.id`,
    `SELECT tenant_id, id FROM orders WHERE note = 'y' ORDER BY total`,
  ], { held }));
  test('of one value', () => expectSameLocks([`UPDATE countries SET name = 'x' WHERE code = (SELECT lower(min(note)) FROM (SELECT note FROM orders ORDER BY total LIMIT 2 FOR UPDATE) o) RETURNING code`, `SELECT (SELECT total FROM orders ORDER BY total DESC LIMIT 1 FOR NO KEY UPDATE)`]));
  test('of FROM', () => expectSameLocks(['SELECT count(*)::int FROM (SELECT id FROM orders WHERE id < 3 FOR UPDATE) o', 'SELECT max(o.total) FROM (SELECT total FROM orders ORDER BY total LIMIT 5 OFFSET 20 FOR UPDATE) o JOIN notes n ON true']));

  test('workers outside of blocks take each job once', async () => {
    const worker = async (): Promise<string[]> => {
      const done: string[] = [];
      for (;;) {
        const { rows } = await pair.cluster.query<{ tenant_id: string; id: number }>(job);
        done.push(...rows.map(({ tenant_id, id }) => `${tenant_id}/${id}`));
        if (rows.length === 0 && (await pair.cluster.query(`SELECT FROM orders WHERE note = 'x'`)).rowCount === 0) return done;
      }
    };
    const done = (await Promise.all([worker(), worker(), worker(), worker()])).flat();
    expect(done).toHaveLength(60);
    expect(new Set(done).size).toBe(60);
  }, 60_000);
});

describe('of rows that are chosen by position', () => {
  const held = ['SELECT * FROM orders WHERE total IN (11, 13) FOR UPDATE'];
  const taken = `SELECT tenant_id, id, total, tags FROM orders WHERE note IN ('taken', 'again', 'mine') ORDER BY tenant_id, id`;
  test('jobs', () => expectSameLocks([
    `UPDATE orders SET note = 'taken' WHERE ctid = (SELECT ctid FROM orders WHERE note = 'x' ORDER BY total LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING *`,
    `UPDATE public.orders AS o SET note = 'again', tags = array_append(tags, 'b') WHERE o.ctid IN (SELECT p.ctid FROM orders p WHERE p.note = 'x' ORDER BY p.total LIMIT 3 FOR NO KEY UPDATE SKIP LOCKED) AND total < 1000`,
    { text: `UPDATE orders SET note = $2 WHERE ctid = ANY (ARRAY(SELECT ctid FROM orders WHERE note = $1 ORDER BY total DESC LIMIT $3 FOR UPDATE SKIP LOCKED))`, values: ['x', 'mine', 4] }, taken,
  ], { held }));
  test('batches', () => expectSameLocks([
    'DELETE FROM items WHERE ctid IN (SELECT ctid FROM items WHERE line = 1 ORDER BY tenant_id, order_id LIMIT 7)',
    'DELETE FROM items i USING orders o WHERE i.ctid = ANY(ARRAY (SELECT items.ctid FROM public.items ORDER BY tenant_id DESC, order_id, line LIMIT 10)) AND o.tenant_id = i.tenant_id AND o.id = i.order_id AND o.id < 40',
    `WITH many AS (SELECT 5 AS n) DELETE FROM items WHERE ctid = ANY (SELECT ctid FROM items WHERE name = 'item 2' AND order_id < (SELECT n FROM many) ORDER BY tenant_id, order_id FETCH FIRST 5 ROWS ONLY) AND order_id > 0`,
    'DELETE FROM items WHERE (line < 3 AND ctid IN (SELECT ctid FROM items WHERE line = 1 AND order_id = 5))',
  ]));

  test('what another has changed meanwhile stays', async () => {
    for (const pool of [pair.cluster, pair.plain] as Connecting[]) {
      const [writer, batch] = [await pool.connect(), await pool.connect()];
      await writer.query('BEGIN');
      await writer.query(`UPDATE orders SET note = 'kept' WHERE tenant_id = 1 AND id = 1`);
      const waiting = batch.query(`UPDATE orders SET note = 'lost' WHERE ctid IN (SELECT ctid FROM orders WHERE note = 'x' ORDER BY total LIMIT 3)`);
      await expectWaiting(pool);
      await writer.query('COMMIT');
      expect((await waiting).rowCount).toBeGreaterThanOrEqual(2);
      expect((await batch.query(`SELECT note FROM orders WHERE tenant_id = 1 AND id = 1`)).rows).toEqual([{ note: 'kept' }]);
      for (const client of [writer, batch]) client.release();
    }
  });

  test.each([
    ['partitions have rows at one position', `CREATE TABLE events (tenant_id bigint, id int, PRIMARY KEY (tenant_id, id)) PARTITION BY LIST (id); SELECT create_distributed_table('events', 'tenant_id', colocate_with => 'none')`, 'DELETE FROM events WHERE ctid IN (SELECT ctid FROM events LIMIT 1)'],
    ['no key', `CREATE TABLE events (tenant_id bigint, id int); SELECT create_distributed_table('events', 'tenant_id', colocate_with => 'none')`, 'DELETE FROM events WHERE ctid IN (SELECT ctid FROM events LIMIT 1)'],
    ['a key that is deferrable', `CREATE TABLE events (tenant_id bigint, id int, PRIMARY KEY (tenant_id, id) DEFERRABLE); SELECT create_distributed_table('events', 'tenant_id', colocate_with => 'none')`, 'DELETE FROM events WHERE ctid IN (SELECT ctid FROM events LIMIT 1)'],
    ['policies may hide other rows from locks', `CREATE TABLE events (tenant_id bigint, id int, PRIMARY KEY (tenant_id, id)); ALTER TABLE events ENABLE ROW LEVEL SECURITY; SELECT create_distributed_table('events', 'tenant_id', colocate_with => 'none')`, 'DELETE FROM events WHERE ctid IN (SELECT ctid FROM events LIMIT 1)'],
    ['positions of another table', 'CREATE TABLE events (x int)', 'DELETE FROM orders WHERE ctid IN (SELECT ctid FROM items LIMIT 1)'],
    ['the first of each group', 'CREATE TABLE events (x int)', 'DELETE FROM orders WHERE ctid NOT IN (SELECT min(ctid) FROM orders GROUP BY note)'],
    ['several rows may be an error', 'CREATE TABLE events (x int)', 'DELETE FROM orders WHERE ctid = (SELECT ctid FROM orders LIMIT 2)'],
    ['returned', 'CREATE TABLE events (x int)', 'DELETE FROM orders WHERE ctid IN (SELECT ctid FROM orders LIMIT 1) RETURNING ctid'],
    ['locked too weakly', 'CREATE TABLE events (x int)', 'DELETE FROM orders WHERE ctid IN (SELECT ctid FROM orders LIMIT 1 FOR KEY SHARE)'],
  ])('refused: %s', async (_why, definition, text) => {
    await pair.cluster.query(definition);
    try {
      await expect(pair.cluster.query(text)).rejects.toMatchObject({ id: 'unsupportedQuery', detail: expect.stringContaining('system column') });
    } finally {
      await pair.cluster.query('DROP TABLE events');
    }
  });
});

test('streams and cursors lock', () => inSessions(async (own, other) => {
  await own.query('BEGIN');
  await own.query('DECLARE c CURSOR FOR SELECT tenant_id, id FROM orders WHERE id = 1 ORDER BY 1 FOR UPDATE');
  expect((await own.query('FETCH ALL FROM c')).rowCount).toBe(12);
  expect((await unlocked(other))[0]).toHaveLength(48);
  for (const [kind, word] of [['WITH HOLD', 'CURSOR WITH HOLD'], ['SCROLL', 'SCROLL CURSOR'], ['INSENSITIVE', 'INSENSITIVE CURSOR']]) {
    const text = `DECLARE d ${kind === 'WITH HOLD' ? 'CURSOR WITH HOLD' : `${kind} CURSOR`} FOR SELECT id FROM orders WHERE id = 1 FOR NO KEY UPDATE`;
    await own.query('SAVEPOINT a');
    const plain = await pair.plain.connect();
    await plain.query('BEGIN');
    expect({ word, got: await outcome(own, text) }).toEqual({ word, got: await outcome(plain, text) });
    await plain.query('ROLLBACK');
    plain.release();
    await own.query('ROLLBACK TO a');
  }
  await own.query('ROLLBACK');
  let rows = 0;
  for await (const _ of pair.cluster.stream('SELECT id FROM orders WHERE id = 1 FOR UPDATE')) rows += 1;
  expect(rows).toBe(12);
}));

test.each([
  ['SELECT id FROM orders o WHERE EXISTS (SELECT FROM items i WHERE i.order_id = o.id FOR UPDATE)', /within a subquery/],
  [`UPDATE orders o SET note = 'x' WHERE EXISTS (SELECT FROM items i WHERE i.order_id = o.id FOR UPDATE)`, /in a subquery/],
  ['SELECT o.id FROM orders o JOIN notes n ON n.id = o.id FOR UPDATE OF o', /several steps/],
  [`SELECT o.id FROM orders o ORDER BY array_to_string(tags, ',') COLLATE "en-x-icu" LIMIT 1 FOR UPDATE`, /only a PostgreSQL can compare/],
  ['SELECT id FROM orders ORDER BY id FETCH FIRST 3 ROWS WITH TIES FOR UPDATE', /WITH TIES/],
  ['EXPLAIN ANALYZE SELECT id FROM orders FOR UPDATE', /would lock/],
])('refused: %s', async (text, detail) => {
  await expect(pair.cluster.query(text)).rejects.toMatchObject({ code: '0A000', detail: expect.stringMatching(detail) });
});
