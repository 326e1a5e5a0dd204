import type { Pool, PoolClient } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type ClusterAndPlain, run, startCluster } from '../coordinator/start-cluster.ts';
import { type Step, step } from './compare-steps.ts';

let pair: ClusterAndPlain;

const tables = `
CREATE SEQUENCE numbers;
CREATE SEQUENCE downward INCREMENT -3;
CREATE TABLE things (tenant int, id int, n bigint, m bigint DEFAULT 0, note text, PRIMARY KEY (tenant, id));
CREATE TABLE others (tenant int, id int, v int);
CREATE TABLE keyed (tenant int, id serial, gen int GENERATED ALWAYS AS IDENTITY, note text);
CREATE TABLE accounts (id int PRIMARY KEY, email text, n bigint);
CREATE TABLE kinds (id int PRIMARY KEY, n bigint);
CREATE TABLE logs (id int, n bigint);
CREATE TABLE events (tenant int, day date, n bigint) PARTITION BY RANGE (day);
CREATE TABLE events_old PARTITION OF events FOR VALUES FROM (MINVALUE) TO ('2024-01-01');
CREATE TABLE events_new PARTITION OF events FOR VALUES FROM ('2024-01-01') TO (MAXVALUE)`;

const rows = `
TRUNCATE things, others, keyed, accounts, kinds, events;
DELETE FROM logs;
INSERT INTO things (tenant, id, note) SELECT t, i, 'x' FROM generate_series(1, 8) t, generate_series(1, 50) i;
INSERT INTO others SELECT i, i, i FROM generate_series(1, 8) i;
INSERT INTO keyed (tenant, note) SELECT t, 'a' FROM generate_series(1, 20) t;
INSERT INTO accounts SELECT i, 'a' || i FROM generate_series(1, 20) i;
INSERT INTO kinds VALUES (1, 1), (2, 2);
INSERT INTO logs VALUES (1, 1), (2, 2);
INSERT INTO events SELECT i % 5, date '2023-12-20' + i, 0 FROM generate_series(1, 30) i`;

/** What the tables hold, of values of sequences only how many there are, and how many of these are different. */
const contents = ['things', 'kinds', 'logs', 'events'].map((table) => `SELECT '${table}' AS of, count(*)::int AS rows, count(n)::int AS n, count(DISTINCT n)::int AS different FROM ${table}`).join(' UNION ALL ')
  + ` UNION ALL SELECT 'm', sum(m)::int, count(DISTINCT m)::int, count(DISTINCT note)::int FROM things UNION ALL SELECT 'keyed', count(*)::int, count(DISTINCT id)::int, count(DISTINCT gen)::int FROM keyed`;

beforeAll(async () => {
  pair = await startCluster();
  for (const pool of [pair.cluster, pair.plain]) await pool.query(tables);
  await pair.plain.query(`CREATE UNIQUE INDEX ON accounts (email)`);
  const { cluster } = pair;
  await cluster.createDistributedTable('things', 'tenant', { shardCount: 4 });
  await cluster.createDistributedTable('others', 'id', { shardCount: 4, colocateWith: 'none' });
  await cluster.createDistributedTable('keyed', 'tenant', { colocateWith: 'things' });
  await cluster.createDistributedTable('accounts', 'id', { shardCount: 4 });
  await cluster.createUniqueLookup('accounts', 'email');
  await cluster.createDistributedTable('events', 'tenant', { colocateWith: 'things' });
  await cluster.createReferenceTable('kinds');
}, 60_000);
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

beforeEach(async () => {
  for (const pool of [pair.cluster, pair.plain]) await pool.query(rows);
});

/** Statements whose values of sequences no column of their result shows. */
const statements: readonly Step[] = [
  `UPDATE things SET n = nextval('numbers') WHERE tenant = 1 AND id = 1`,
  `UPDATE things SET n = nextval('numbers'), m = m + 1 WHERE tenant = 1`,
  `UPDATE things SET n = nextval('numbers'), m = m + 1`,
  `UPDATE things SET n = nextval('downward'::regclass), note = pg_catalog.nextval('public.numbers')::text WHERE id < 30`,
  `UPDATE things SET n = CASE WHEN id % 2 = 0 THEN nextval('numbers') END`,
  `UPDATE things SET n = nextval('numbers') RETURNING tenant, id, n < 0`,
  `UPDATE things SET note = 'y' WHERE tenant = 3 RETURNING nextval('numbers') IS NULL, id`,
  `DELETE FROM things WHERE id = 3 RETURNING nextval('numbers') IS NULL AS nothing, tenant`,
  `UPDATE things SET n = nextval('numbers') WHERE nextval('numbers') > 0`,
  `UPDATE things SET n = (SELECT nextval('numbers')) WHERE tenant = 1`,
  `UPDATE things SET n = (SELECT nextval('numbers'))`,
  `UPDATE things t SET n = o.x FROM (SELECT id, nextval('numbers') AS x FROM others) o WHERE o.id = t.id`,
  `UPDATE things t SET n = nextval('numbers') FROM others o WHERE o.id = t.id`,
  `UPDATE things SET tenant = tenant + 100, n = nextval('numbers') WHERE id < 5`,
  `UPDATE keyed SET id = DEFAULT`,
  `UPDATE keyed SET id = DEFAULT, note = 'b' WHERE tenant = 4`,
  `UPDATE keyed SET (note, id) = ('x', DEFAULT), gen = DEFAULT`,
  `UPDATE keyed SET tenant = tenant + 50, id = DEFAULT`,
  `UPDATE events SET n = nextval('numbers')`,
  `UPDATE events SET n = nextval('numbers'), day = date '2024-02-01' WHERE tenant = 2`,
  `UPDATE things SET n = nextval('numbers') WHERE tenant = 1 AND false`,
  { text: `UPDATE things SET n = nextval('numbers'), note = $2 WHERE tenant = $1`, values: [3, 'z'] },
  { text: `UPDATE things SET n = nextval('numbers'), note = $1 || now()::date`, values: ['z'] },
  `SELECT nextval('numbers') < 0 AS p, tenant, id FROM things`,
  `SELECT nextval('numbers') < 0 AS p, tenant, id FROM things WHERE tenant = 3`,
  { text: `SELECT nextval('numbers') < 0 AS p, id FROM things WHERE tenant = $1 AND id > $2`, values: [3, 10] },
  `SELECT tenant, count(*)::int, nextval('numbers') < 0 FROM things GROUP BY tenant`,
  `SELECT count(*)::int FROM (SELECT DISTINCT nextval('numbers') FROM things) x`,
  `SELECT count(*)::int FROM things WHERE nextval('numbers') > 0`,
  `WITH x AS (SELECT nextval('numbers') AS v FROM things) SELECT count(DISTINCT v)::int FROM x`,
  `SELECT bool_and(v > before) FROM (SELECT v, lag(v) OVER (ORDER BY tenant DESC, id) AS before FROM (SELECT nextval('numbers') AS v, tenant, id FROM things ORDER BY tenant DESC, id) a) b`,
  `SELECT max(v) - min(v) AS width FROM (SELECT nextval('numbers') AS v FROM things ORDER BY id LIMIT 7) a`,
  `SELECT nextval('numbers') < 0 AS a, k.id FROM kinds k JOIN logs USING (id)`,
  `INSERT INTO things (tenant, id, n) SELECT tenant + 20, id, nextval('numbers') FROM things`,
  `INSERT INTO things (tenant, id, n) SELECT tenant, id + 100, nextval('numbers') FROM things`,
  `INSERT INTO things (tenant, id, n) SELECT tenant, id + 100, nextval('numbers') FROM things ORDER BY tenant, id`,
  `INSERT INTO things (tenant, id, n) SELECT tenant, id + 100, nextval('numbers') FROM things WHERE tenant = 2`,
  `INSERT INTO things (tenant, id) VALUES (1, 1) ON CONFLICT (tenant, id) DO UPDATE SET n = nextval('numbers')`,
  `INSERT INTO things (tenant, id) VALUES (1, 1), (2, 1), (3, 1000) ON CONFLICT (tenant, id) DO UPDATE SET n = nextval('numbers'), m = things.m + 1, note = EXCLUDED.note`,
  { text: `INSERT INTO things (tenant, id, note) VALUES ($1, $2, $3) ON CONFLICT (tenant, id) DO UPDATE SET n = nextval('numbers'), note = EXCLUDED.note || now()::date`, values: [3, 10, 'q'] },
  `INSERT INTO things (tenant, id) SELECT tenant, id FROM things ON CONFLICT (tenant, id) DO UPDATE SET n = nextval('numbers')`,
  `INSERT INTO things (tenant, id) VALUES (1, 1001), (2, 1002) RETURNING nextval('numbers') IS NULL AS v, id`,
  `INSERT INTO accounts VALUES (100, 'a3') ON CONFLICT (email) DO UPDATE SET n = nextval('numbers')`,
  `MERGE INTO things t USING others o ON t.tenant = o.id WHEN MATCHED THEN UPDATE SET n = nextval('numbers')`,
  `MERGE INTO things t USING (SELECT v + 4 AS t, id FROM others) o ON t.tenant = o.t AND t.id = o.id WHEN MATCHED THEN UPDATE SET n = nextval('numbers') WHEN NOT MATCHED THEN INSERT (tenant, id, n) VALUES (o.t, o.id, nextval('numbers'))`,
  `MERGE INTO keyed k USING (SELECT v + 18 AS t FROM others) o ON k.tenant = o.t WHEN MATCHED THEN UPDATE SET id = DEFAULT WHEN NOT MATCHED THEN INSERT (tenant, note) VALUES (o.t, 'm')`,
  `WITH x AS (UPDATE things SET n = nextval('numbers') WHERE tenant = 1 RETURNING n) SELECT count(DISTINCT n)::int FROM x`,
  `WITH x AS (UPDATE things SET n = nextval('numbers') RETURNING n) SELECT count(DISTINCT n)::int, bool_and(n <> nextval('numbers')) FROM x`,
  `WITH x AS (UPDATE things SET n = nextval('numbers') RETURNING n, id) INSERT INTO kinds SELECT nextval('numbers') + 100, nextval('numbers') FROM x`,
  `INSERT INTO kinds SELECT nextval('numbers') + 100, nextval('numbers') FROM things`,
  `UPDATE logs SET n = nextval('numbers') FROM things WHERE things.id = logs.id AND things.tenant = 2`,
  `INSERT INTO logs SELECT id, nextval('numbers') FROM things`,
  // One value for all rows.
  `INSERT INTO things (tenant, id, n) SELECT tenant, id + 100, (SELECT nextval('numbers')) FROM things`,
  `INSERT INTO things (tenant, id, n) SELECT tenant, id + 100, v FROM things, (SELECT nextval('numbers') AS v) x`,
  `WITH x AS (SELECT nextval('numbers') AS v) INSERT INTO things (tenant, id, n) SELECT tenant, id + 100, v FROM things, x`,
  `UPDATE things SET n = v FROM (SELECT nextval('numbers') AS v) x`,
  `WITH x AS (SELECT nextval('numbers') AS v) UPDATE things SET n = v FROM x`,
  `MERGE INTO things t USING (SELECT o.id, s.v FROM others o, (SELECT nextval('numbers') AS v) s) x ON t.tenant = x.id WHEN MATCHED THEN UPDATE SET n = x.v`,
  `MERGE INTO things t USING things x ON t.tenant = x.tenant AND t.id = x.id WHEN MATCHED THEN UPDATE SET n = (SELECT nextval('numbers'))`,
  `UPDATE things SET n = (SELECT max(k.m) + nextval('numbers') FROM things k WHERE k.tenant = things.tenant AND k.id = things.id)`,
  `INSERT INTO things (tenant, id) SELECT tenant, id FROM things ON CONFLICT (tenant, id) DO UPDATE SET n = nextval('numbers') WHERE things.id > 10`,
  `DELETE FROM things USING (SELECT nextval('numbers') AS v) x WHERE v > 0 AND id = 4`,
  // What PostgreSQL says.
  `UPDATE things SET n = nextval('nowhere')`,
  `UPDATE things SET n = nextval('logs') WHERE tenant = 1`,
  `UPDATE keyed SET gen = nextval('numbers') WHERE tenant = 1`,
];

test.for(statements)('%s', async (statement) => {
  const got = await Promise.all([pair.cluster, pair.plain].map((pool) => alone(pool, statement)));
  expect(got[0]).toEqual(got[1]);
});

test.for(statements)('in a block: %s', async (statement) => {
  const got = await Promise.all([pair.cluster, pair.plain].map((pool) => inBlock(pool, [`UPDATE things SET m = nextval('numbers') WHERE tenant = 1 AND id = 1`, `UPDATE things SET m = 0`, statement])));
  expect(got[0]).toEqual(got[1]);
});

async function alone(pool: Pool, statement: Step): Promise<unknown> {
  return withClient(pool, async (client) => [sorted(await step(client, statement)), await step(client, contents)]);
}

async function inBlock(pool: Pool, steps: readonly Step[]): Promise<unknown> {
  return withClient(pool, async (client) => {
    const got: unknown[] = [await step(client, 'BEGIN')];
    for (const one of steps) got.push(sorted(await step(client, one)));
    return [...got, await step(client, contents), await step(client, 'COMMIT'), await step(client, contents)];
  });
}

async function withClient<T>(pool: Pool, use: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    return await use(client);
  } finally {
    client.release(true);
  }
}

/** Rows in any order; of an error not where it stands. */
function sorted(outcome: unknown): unknown {
  if (!Array.isArray(outcome)) return { ...(outcome as object), position: undefined };
  return outcome.map((result: { rows: unknown[] }) => ({ ...result, rows: result.rows.map((row) => JSON.stringify(row)).toSorted() }));
}

test('two clusters and their sessions never have the same value', async () => {
  const other = pair.another();
  const tenants = Array.from({ length: 8 }, (_, i) => i + 1);
  await Promise.all(tenants.flatMap((tenant) => [
    (tenant % 2 === 0 ? pair.cluster : other).query(`UPDATE things SET n = nextval('numbers') WHERE tenant = ${tenant}`),
    (tenant % 2 === 0 ? other : pair.cluster).query(`INSERT INTO things (tenant, id, n) SELECT tenant, id + 500, nextval('numbers') FROM things WHERE tenant = ${tenant}`),
  ]));
  expect((await pair.cluster.query('SELECT count(n)::int AS n, count(DISTINCT n)::int AS different FROM things')).rows).toEqual([{ n: 800, different: 800 }]);
});

test('values are not taken again after a rollback, nor after a savepoint', async () => {
  const seen: unknown[] = [];
  await withClient(pair.cluster, async (client) => {
    const take = async (): Promise<void> => void seen.push(...(await client.query<{ n: string }>(`UPDATE things SET n = nextval('numbers') WHERE tenant = 2 RETURNING n`)).rows.map(({ n }) => n));
    await client.query('BEGIN');
    await take();
    await client.query('SAVEPOINT a');
    await take();
    await client.query('ROLLBACK TO SAVEPOINT a');
    await take();
    await client.query('ROLLBACK');
    await take();
  });
  expect(seen.length).toBe(200);
  expect(new Set(seen).size).toBe(200);
});

test('a sequence of the block itself, and a temporary one', async () => {
  await withClient(pair.cluster, async (client) => {
    await client.query('BEGIN');
    await client.query('CREATE SEQUENCE new_ones START 70');
    expect((await client.query(`UPDATE things SET n = nextval('new_ones') WHERE tenant = 1 AND id = 1 RETURNING n`)).rows).toEqual([{ n: '70' }]);
    await client.query('CREATE TEMPORARY SEQUENCE brief START 90');
    expect((await client.query(`UPDATE things SET n = nextval('brief') WHERE tenant = 1 AND id = 1 RETURNING n`)).rows).toEqual([{ n: '90' }]);
    await client.query('ROLLBACK');
  });
});

test('what a session has used last', async () => {
  await withClient(pair.cluster, async (client) => {
    const [row] = (await client.query<{ n: string }>(`UPDATE things SET n = nextval('numbers') WHERE tenant = 1 AND id = 1 RETURNING n`)).rows;
    expect((await client.query(`SELECT currval('numbers') AS n, lastval() AS l`)).rows).toEqual([{ n: row?.n, l: row?.n }]);
    const [key] = (await client.query<{ id: number }>(`UPDATE keyed SET id = DEFAULT WHERE tenant = 7 RETURNING id`)).rows;
    expect((await client.query(`SELECT currval('keyed_id_seq')::int AS id, lastval()::int AS l`)).rows).toEqual([{ id: key?.id, l: key?.id }]);
    expect((await client.query(`SELECT currval('numbers') AS n`)).rows).toEqual([{ n: row?.n }]);
    for (const unknown of [`UPDATE things SET n = nextval('numbers') WHERE tenant = 1`, `UPDATE things SET n = nextval('numbers')`, `DELETE FROM things WHERE id = 9 RETURNING nextval('numbers')`]) {
      await client.query(unknown);
      for (const asked of [`SELECT currval('numbers')`, 'SELECT lastval()']) await expect(client.query(asked)).rejects.toMatchObject({ code: '55000', message: expect.stringContaining('not known') });
    }
    const [again] = (await client.query<{ n: string }>(`UPDATE things SET n = nextval('numbers') WHERE tenant = 1 AND id = 1 RETURNING n`)).rows;
    expect((await client.query(`SELECT currval('numbers') AS n, lastval() AS l`)).rows).toEqual([{ n: again?.n, l: again?.n }]);
  });
});

test('the same in a block, where a connection knows other values', async () => {
  await withClient(pair.cluster, async (client) => {
    await client.query('BEGIN');
    await client.query(`SELECT nextval('numbers')`);
    const [row] = (await client.query<{ n: string }>(`UPDATE things SET n = nextval('numbers') WHERE tenant = 1 AND id = 1 RETURNING n`)).rows;
    expect((await client.query(`SELECT currval('numbers') AS n`)).rows).toEqual([{ n: row?.n }]);
    await client.query(`UPDATE things SET n = nextval('numbers') WHERE tenant = 1`);
    await expect(client.query(`SELECT currval('numbers')`)).rejects.toMatchObject({ code: '55000' });
    await client.query('ROLLBACK');
  });
});

const refused: Readonly<Record<string, { readonly detail: RegExp }>> = {
  [`UPDATE kinds SET n = nextval('numbers')`]: { detail: /reference table calls a volatile function/ },
  [`INSERT INTO kinds VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = nextval('numbers')`]: { detail: /each copy would take its own/ },
  [`INSERT INTO kinds VALUES (9, 9) RETURNING nextval('numbers')`]: { detail: /each copy would take its own/ },
  [`UPDATE things SET n = nextval('number' || 's')`]: { detail: /not named by a constant/ },
  [`UPDATE things SET n = (SELECT nextval('numbers') FROM others o WHERE o.id = things.tenant) WHERE id = 1`]: { detail: /volatile function would have to give the same rows/ },
  [`UPDATE things SET n = setval('numbers', 5)`]: { detail: /A function of sequences/ },
  [`UPDATE keyed SET tenant = tenant + 50, gen = DEFAULT`]: { detail: /identity column/ },
};

test.for(Object.entries(refused))('refused: %s', async ([sql, { detail }]) => {
  await expect(pair.cluster.query(sql)).rejects.toMatchObject({ code: '0A000', detail: expect.stringMatching(detail) });
});

test('a role needs the right to a sequence that it names, and none to that of an identity column', async () => {
  // Both may be on one server.
  const pools = [{ pool: pair.cluster, role: `numbering_${process.pid}` }, { pool: pair.plain, role: `numbering_${process.pid}_plain` }];
  for (const { pool, role } of pools) await pool.query(`CREATE ROLE ${role}; GRANT SELECT, UPDATE ON things, keyed TO ${role}`);
  try {
    for (const block of [false, true]) {
      for (const sql of [`UPDATE things SET n = nextval('numbers') WHERE tenant = 1`, `UPDATE things SET n = nextval('numbers')`, `SELECT nextval('numbers') FROM things`, 'UPDATE keyed SET gen = DEFAULT']) {
        const got = await Promise.all(pools.map(({ pool, role }) => withClient(pool, async (client) => {
          await client.query(`${block ? 'BEGIN; ' : ''}SET ROLE ${role}`);
          const outcome = await step(client, sql);
          if (block) await client.query('ROLLBACK');
          return Array.isArray(outcome) ? 'it ran' : sorted(outcome);
        })));
        expect({ sql, block, got: got[0] }).toEqual({ sql, block, got: got[1] });
      }
    }
  } finally {
    for (const { pool, role } of pools) await pool.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});

test('nodes of an older version are given what they lack', async () => {
  for (const block of [false, true]) {
    for (const { connectionString } of pair.databases.nodes) await run(connectionString, 'DROP FUNCTION shardwright.nextval(bigint[])');
    await withClient(pair.cluster, async (client) => {
      if (block) await client.query('BEGIN');
      await client.query(`UPDATE things SET n = nextval('numbers'), m = m + 1`);
      expect((await client.query('SELECT count(DISTINCT n)::int AS n, min(m)::int AS least, max(m)::int AS most FROM things')).rows).toEqual([{ n: 400, least: 1, most: 1 }]);
      if (block) await client.query('ROLLBACK');
    });
    await pair.cluster.query('UPDATE things SET m = 0');
  }
});
