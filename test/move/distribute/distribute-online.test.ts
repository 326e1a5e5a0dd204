import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { at } from '../../../src/base/assert.ts';
import type { Cluster } from '../../../src/index.ts';
import { describeTable, withoutShardId } from '../../ddl/describe-table.ts';
import { richName, richRows, richSchema, richTableOn, referencedRows } from '../../ddl/rich-table.ts';
import { listRemains, type MoveCluster, startMoveCluster } from '../move-cluster.ts';
import { ledgerRows, ledgerTable, startLedger } from './ledger.ts';

let tested: MoveCluster;
let cluster: Cluster;
let other: Cluster;

beforeAll(async () => {
  tested = await startMoveCluster({ nodes: 2 });
  ({ cluster } = tested);
  other = tested.another();
}, 120_000);

afterAll(() => tested[Symbol.asyncDispose](), 60_000);

afterEach(async () => {
  await cluster.query('DROP TABLE IF EXISTS u; DROP TABLE IF EXISTS t');
});

const online = { online: true, shardCount: 4 } as const;
const servers = [0, 1, 2];
const remains = (): Promise<string[]> => listRemains(tested.on, servers);
const nothingRemains = (): Promise<void> => expect.poll(remains, { timeout: 10_000, interval: 50 }).toEqual([]);
/** Colocation groups without tables, and rows of shells. */
const local = (table: string): Promise<unknown[][]> => tested.on(0, `SELECT count(*)::int FROM ${table}`);
const emptyGroups = (): Promise<unknown[][]> =>
  tested.on(0, 'SELECT colocation_id FROM shardwright.colocation_group g WHERE NOT EXISTS (SELECT FROM shardwright.distributed_table t WHERE t.colocation_id = g.colocation_id)');
const kindOf = async (name: string): Promise<string | undefined> => (await cluster.tables()).find((table) => table.name === name)?.kind;

test('a table is distributed under writers and readers in two processes: none fails, and each reads what was acknowledged', async () => {
  await cluster.query(ledgerTable('ledger'));
  await cluster.query(`INSERT INTO ledger SELECT g % 23, g, 0, 'old' FROM generate_series(1, 20000) g`);
  const load = startLedger([cluster, other], 'ledger', { writers: 4 });
  await expect.poll(load.writes, { timeout: 20_000 }).toBeGreaterThan(50);
  const states = new Set<string>();
  await cluster.createDistributedTable('ledger', 'tenant', { ...online, onProgress: ({ state }) => states.add(state) });
  const before = load.writes();
  await expect.poll(() => load.writes() - before, { timeout: 20_000 }).toBeGreaterThan(200);
  const expected = await load.stop();
  expect(load.objections).toEqual([]);
  expect(await ledgerRows(cluster, 'ledger')).toEqual(expected);
  expect((await cluster.query('SELECT count(*)::int FROM ledger WHERE id < 1000000')).rows).toEqual([{ count: 20_000 }]);
  expect([...states]).toEqual(['preflight', 'register', 'create', 'copy', 'index', 'catch_up', 'verify', 'cut_over', 'constrain', 'retain', 'clean_up', 'done']);
  expect(await local('ledger')).toEqual([[0]]);
  expect(at((await cluster.jobs({ all: true })).slice(-1), 0)).toMatchObject({ kind: 'distribute', state: 'done', table: { schema: 'public', name: 'ledger' }, sources: [], from: 0 });
  expect((await cluster.verify('ledger')).differences).toEqual([]);
  expect((await cluster.checkSchema()).differences).toEqual([]);
  await nothingRemains();
}, 60_000);

test('shards have all that the table has, as when it is distributed at once, and rows to the letter', async () => {
  for (const node of servers) await tested.on(node, richSchema);
  await tested.on(0, richTableOn(18).replace('UNLOGGED ', ''));
  await tested.on(0, referencedRows);
  await cluster.createReferenceTable('country');
  await cluster.createDistributedTable('company', 'id', { shardCount: 4 });
  await tested.on(0, richRows);
  const ask = (node: number) => (text: string) => tested.on(node, text);
  const rows = await tested.on(0, `SELECT t::text FROM ${richName.sql} t ORDER BY 1`);
  const before = await describeTable(ask(0), richName.schema, richName.name);
  await cluster.createDistributedTable(richName.sql, 'Tenant Id', { online: true, colocateWith: 'company' });
  const found: unknown[][] = [];
  const shards = await cluster.shards();
  const withLogicalNames = (line: string): string => shards.reduce((text, { table, shardId }) => (table === 'country' || table === 'company' ? text.replaceAll(`${table}_${shardId}`, table) : text), line);
  for (const shard of shards.filter(({ table }) => table === richName.name)) {
    const described = await describeTable(ask(shard.nodeId), richName.schema, shard.name);
    expect(withoutShardId(described.map(withLogicalNames), shard.shardId)).toEqual(before);
    found.push(...(await tested.on(shard.nodeId, `SELECT t::text FROM "Odd schema"."${shard.name.replaceAll('"', '""')}" t`)));
  }
  expect(found.map(String).sort()).toEqual(rows.map(String).sort());
  expect((await cluster.checkSchema()).differences).toEqual([]);
  // What takes its numbers in the coordinator database goes on.
  await cluster.query(`DROP TABLE ${richName.sql}`);
  await nothingRemains();
}, 60_000);

describe('tables of all sorts, with writers', () => {
  test.each([
    { sort: 'partitioned', table: 'CREATE TABLE t (tenant bigint, id bigint, total int DEFAULT 0, note text, PRIMARY KEY (tenant, id)) PARTITION BY RANGE (id); CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (1500000); CREATE TABLE t_high PARTITION OF t DEFAULT' },
    { sort: 'without a key, whose rows are told apart by all columns', table: 'CREATE TABLE t (tenant bigint, id bigint, total int DEFAULT 0, note text)' },
    { sort: 'with identity, generated and serial columns', table: 'CREATE TABLE t (tenant bigint, id bigint, total int DEFAULT 0, note text, number int GENERATED ALWAYS AS IDENTITY, other serial, twice bigint GENERATED ALWAYS AS (id * 2) STORED, PRIMARY KEY (tenant, id))' },
    { sort: 'hashed by murmur3', table: ledgerTable('t'), options: { hash: 'murmur3' } as const },
    { sort: 'in one shard', table: ledgerTable('t'), column: null, options: { shardCount: 1 } },
    {
      sort: 'with a trigger and row security', options: {},
      table: `${ledgerTable('t')}; CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := NEW.note || ''!''; RETURN NEW; END'; CREATE TRIGGER mark BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION mark();
        ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON t USING (tenant > 0)`,
    },
  ])('$sort', async ({ table, column = 'tenant', options = {} }) => {
    await cluster.query(table);
    await cluster.query(`INSERT INTO t (tenant, id, note) SELECT g % 23, g, 'old' FROM generate_series(1, 500) g`);
    const identities = await tested.on(0, `SELECT relreplident FROM pg_class WHERE oid = 't'::regclass`);
    const load = startLedger([cluster, other], 't', { writers: 2, pauseMs: 5 });
    await cluster.createDistributedTable('t', column, { ...online, ...options });
    const expected = await load.stop();
    expect(load.objections).toEqual([]);
    expect(await ledgerRows(cluster, 't')).toEqual(expected);
    expect((await cluster.query('SELECT count(*)::int FROM t WHERE id < 1000000')).rows).toEqual([{ count: 500 }]);
    if (table.includes('TRIGGER')) expect((await cluster.query(`SELECT DISTINCT right(note, 2) AS end FROM t WHERE id < 1000000`)).rows).toEqual([{ end: 'd!' }]);
    expect(await local('t')).toEqual([[0]]);
    expect(await tested.on(0, `SELECT relreplident FROM pg_class WHERE oid = 't'::regclass`)).toEqual(identities);
    expect((await cluster.verify('t')).differences).toEqual([]);
    expect((await cluster.checkSchema()).differences).toEqual([]);
    await cluster.query('DROP TABLE t; DROP FUNCTION IF EXISTS mark');
    await nothingRemains();
    expect(await emptyGroups()).toEqual([]);
  }, 60_000);

  test('with foreign keys to reference and co-located tables, and to itself', async () => {
    await cluster.query(`CREATE TABLE t (tenant bigint, id bigint, parent bigint, plan text REFERENCES plans, note text, total bigint, PRIMARY KEY (tenant, id), FOREIGN KEY (tenant, parent) REFERENCES t, CONSTRAINT to_orders FOREIGN KEY (tenant, total) REFERENCES orders)`);
    await cluster.query(`INSERT INTO t (tenant, id, parent) SELECT 1, g, nullif(g - 1, 0) FROM generate_series(1, 100) g`);
    await cluster.createDistributedTable('t', 'tenant', { online: true, colocateWith: 'orders' });
    await cluster.query(`INSERT INTO orders (tenant, id) VALUES (1, 5)`);
    await cluster.query(`INSERT INTO t VALUES (1, 101, 100, 'pro', NULL, 5)`);
    await expect(cluster.query(`INSERT INTO t VALUES (1, 102, 100, 'none', NULL, NULL)`)).rejects.toMatchObject({ code: '23503' });
    await expect(cluster.query(`INSERT INTO t VALUES (1, 102, 100, NULL, NULL, 6)`)).rejects.toMatchObject({ code: '23503' });
    await expect(cluster.query(`DELETE FROM t WHERE tenant = 1 AND id = 50`)).rejects.toMatchObject({ code: '23503' });
    expect((await cluster.checkSchema()).differences).toEqual([]);
    await cluster.query('DROP TABLE t');
    await nothingRemains();
  });
});

test('by SQL, as in Citus', async () => {
  await cluster.query(ledgerTable('t'));
  await cluster.query(`INSERT INTO t SELECT g, g FROM generate_series(1, 100) g`);
  await cluster.query(`SELECT create_distributed_table_concurrently('t', 'tenant', colocate_with => 'none')`);
  expect(await kindOf('t')).toBe('distributed');
  expect((await cluster.query('SELECT count(*)::int FROM t')).rows).toEqual([{ count: 100 }]);
  const client = await cluster.connect();
  try {
    await client.query('BEGIN');
    await expect(client.query(`SELECT create_distributed_table_concurrently('t', 'tenant')`)).rejects.toMatchObject({ code: '25001' });
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
  await cluster.query('DROP TABLE t');
});

/** Runs work when the job comes to a state. */
async function during(state: string, work: () => Promise<unknown>): Promise<{ readonly outcome: unknown; readonly met: unknown }> {
  let met: Promise<unknown> | undefined;
  const moving = cluster.createDistributedTable('t', 'tenant', {
    ...online, colocateWith: 'none',
    onProgress: (event) => {
      if (event.state === state) met ??= work().catch((error: unknown) => error);
    },
  });
  const outcome = await moving.then(() => 'done', (error: unknown) => error);
  return { outcome, met: await met };
}

describe('what is not done leaves the table as it was', () => {
  test.each([
    { why: 'its rows are referred to', make: `${ledgerTable('t')}; CREATE TABLE u (a bigint, b bigint, FOREIGN KEY (a, b) REFERENCES t)`, error: { id: 'unsupportedTable', message: expect.stringContaining('foreign key "u_a_b_fkey"') as string } },
    { why: 'it is a partition', make: 'CREATE TABLE u (tenant bigint) PARTITION BY LIST (tenant); CREATE TABLE t PARTITION OF u DEFAULT', error: { id: 'unsupportedTable' } },
    { why: 'it is not logged', make: 'CREATE UNLOGGED TABLE t (tenant bigint); CREATE TABLE u ()', error: { id: 'moveRefused', detail: expect.stringContaining('not logged') as string, hint: expect.stringContaining('online') as string } },
    { why: 'a row has no value to place it by', make: 'CREATE TABLE t (tenant bigint); INSERT INTO t VALUES (NULL); CREATE TABLE u ()', error: { id: 'moveUndone', cause: expect.objectContaining({ id: 'distributionValueMissing' }) as unknown } },
    { why: 'its key lacks the column', make: 'CREATE TABLE t (id bigint PRIMARY KEY, tenant bigint); CREATE TABLE u ()', error: { id: 'unsupportedTable' } },
    { why: 'it is distributed', make: 'CREATE TABLE t (tenant bigint); CREATE TABLE u ()', first: `SELECT create_distributed_table('t', 'tenant', colocate_with => 'none')`, error: { id: 'alreadyDistributed' } },
  ])('$why', async ({ make, first, error }) => {
    await cluster.query(make);
    if (first !== undefined) await cluster.query(first);
    await expect(cluster.createDistributedTable('t', 'tenant', online)).rejects.toMatchObject(error);
    expect(await kindOf('t')).toBe(first === undefined ? undefined : 'distributed');
    await nothingRemains();
    await cluster.query('DROP TABLE IF EXISTS u; DROP TABLE IF EXISTS t');
    expect(await emptyGroups()).toEqual([]);
  });

  test('a row without a value that is written while rows are copied', async () => {
    await cluster.query('CREATE TABLE t (tenant bigint, id bigint)');
    const { outcome } = await during('index', () => cluster.query('INSERT INTO t VALUES (NULL, 1)'));
    expect(outcome).toMatchObject({ id: 'moveUndone', cause: expect.objectContaining({ id: 'distributionValueMissing' }) as unknown });
    expect(await local('t')).toEqual([[1]]);
    await nothingRemains();
    await cluster.query('DROP TABLE t');
  });

  test('the table is changed meanwhile', async () => {
    await cluster.query(ledgerTable('t'));
    const { outcome, met } = await during('copy', () => cluster.query('ALTER TABLE t ADD COLUMN more int'));
    expect(met).not.toBeInstanceOf(Error);
    expect(outcome).toMatchObject({ id: 'moveUndone' });
    await cluster.query('INSERT INTO t VALUES (1, 1)');
    await nothingRemains();
    expect(await emptyGroups()).toEqual([]);
    await cluster.query('DROP TABLE t');
  });

  test('it is cancelled, from another process', async () => {
    await cluster.query(ledgerTable('t'));
    const { outcome, met } = await during('index', async () => other.cancelJob(at(await other.jobs(), 0).jobId));
    expect(met).toBeUndefined();
    expect(outcome).toMatchObject({ id: 'canceled' });
    expect(await kindOf('t')).toBeUndefined();
    await nothingRemains();
    expect(await emptyGroups()).toEqual([]);
    await cluster.query('DROP TABLE t');
  });

  test('meanwhile nobody else distributes it, or moves the shard groups that it comes to', async () => {
    await cluster.query(`${ledgerTable('t')}; ${ledgerTable('u')}`);
    await cluster.createDistributedTable('u', 'tenant', { shardCount: 4, colocateWith: 'none' });
    const shard = at((await cluster.shards()).filter(({ table }) => table === 'u'), 0);
    const refused: unknown[] = [];
    const told = (error: unknown): unknown => refused.push(error);
    await cluster.createDistributedTable('t', 'tenant', {
      online: true, colocateWith: 'u',
      onProgress: ({ state }) => {
        if (state !== 'create') return;
        void other.createDistributedTable('t', 'tenant', online).catch(told);
        void other.moveShardGroup(shard.shardId, { to: shard.nodeId === 1 ? 2 : 1 }).catch(told);
      },
    });
    await expect.poll(() => refused.length).toBe(2);
    expect(refused).toEqual([expect.objectContaining({ id: 'moveInProgress' }), expect.objectContaining({ id: 'moveInProgress' })]);
    expect(await kindOf('t')).toBe('distributed');
    await cluster.query('DROP TABLE t, u');
    await nothingRemains();
  });
});

describe('processes that have not heard of it', () => {
  /** Nobody hears of changes until it has connected anew. */
  const deafen = (): Promise<unknown> => tested.on(0, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE 'listen%'`);

  test('statements of a process that has no notifications go to the shards, and none that is past the library writes to the shell', async () => {
    await cluster.query(ledgerTable('t'));
    await cluster.query('INSERT INTO t VALUES (1, 1)');
    await other.query('SELECT total FROM t WHERE tenant = 1');
    await deafen();
    await cluster.createDistributedTable('t', 'tenant', online);
    expect((await other.query('SELECT total FROM t WHERE tenant = 1')).rows).toEqual([{ total: 0 }]);
    await deafen();
    await cluster.query('INSERT INTO t VALUES (2, 2)');
    await other.query('UPDATE t SET total = 1 WHERE tenant = 1');
    expect((await cluster.query('SELECT tenant, total FROM t ORDER BY tenant')).rows).toEqual([{ tenant: '1', total: 1 }, { tenant: '2', total: 0 }]);
    await expect(tested.on(0, 'INSERT INTO t VALUES (3, 3)')).rejects.toMatchObject({ code: '42P01' });
    await cluster.query('DROP TABLE t');
  });

  test('a transaction with one snapshot from before does not read half of it', async () => {
    await cluster.query(ledgerTable('t'));
    await cluster.query('INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4)');
    const client = await other.connect();
    try {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      await client.query('SELECT count(*) FROM orders');
      await cluster.query('DELETE FROM t WHERE tenant = 4');
      await cluster.createDistributedTable('t', 'tenant', online);
      await cluster.query('UPDATE t SET total = 7 WHERE tenant = 1');
      await expect(client.query('SELECT tenant, total FROM t ORDER BY tenant')).rejects.toMatchObject({ code: '40001' });
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
    await cluster.query('DROP TABLE t');
  });
});

test('a transaction that has written to the table comes first, and who waits meanwhile goes on in between', async () => {
  await cluster.query(ledgerTable('t'));
  const client = await other.connect();
  let ending: Promise<unknown> | undefined;
  const commitLater = async (): Promise<void> => {
    // Attempts are made and given up by then.
    for (let id = 10; id < 30; id += 1) await other.query('INSERT INTO t VALUES (2, $1)', [id]);
    await client.query('INSERT INTO t VALUES (1, 2)');
    await client.query('COMMIT');
  };
  try {
    await cluster.createDistributedTable('t', 'tenant', {
      ...online, verify: false, drainTimeoutMs: 50,
      onProgress: ({ state }) => {
        if (state === 'index') void client.query('BEGIN').then(() => client.query('INSERT INTO t VALUES (1, 1)'));
        if (state === 'cut_over') ending ??= commitLater();
      },
    });
    await ending;
  } finally {
    client.release();
  }
  expect((await cluster.query('SELECT tenant, count(*)::int FROM t GROUP BY tenant ORDER BY tenant')).rows).toEqual([{ tenant: '1', count: 2 }, { tenant: '2', count: 20 }]);
  await nothingRemains();
});

test('rows that are written past the library come along, and large values that an update leaves as they are', async () => {
  await cluster.query(ledgerTable('t'));
  await cluster.query(`INSERT INTO t SELECT g, g, 0, repeat(md5(g::text), 1000) FROM generate_series(1, 50) g`);
  await tested.on(0, `ALTER TABLE t ALTER note SET STORAGE EXTERNAL`);
  const { outcome } = await during('index', () => tested.on(0, `UPDATE t SET total = total + 1; INSERT INTO t SELECT g, g FROM generate_series(51, 60) g; DELETE FROM t WHERE id = 7; TRUNCATE orders`).catch(() =>
    tested.on(0, `UPDATE t SET total = total + 1; INSERT INTO t SELECT g, g FROM generate_series(51, 60) g; DELETE FROM t WHERE id = 7`)));
  expect(outcome).toBe('done');
  expect((await cluster.query(`SELECT count(*)::int, sum(total)::int AS total, sum(length(note))::int AS length FROM t`)).rows).toEqual([{ count: 59, total: 49, length: 49 * 32_000 }]);
  await cluster.query('DROP TABLE t');
  await nothingRemains();
});
