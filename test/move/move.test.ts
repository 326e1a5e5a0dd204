import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../cluster/connections.ts';
import { describeTable } from '../ddl/describe-table.ts';
import { referencedRows, richName, richRows, richSchema, richTableOn } from '../ddl/rich-table.ts';
import { at } from '../../src/base/assert.ts';
import type { Cluster } from '../../src/index.ts';
import { openMoves } from './fault-moves.ts';
import { type MoveCluster, startMoveCluster } from './move-cluster.ts';
import { rowsThere, startLoad } from './writing-load.ts';

let servers: MoveCluster;
let cluster: Cluster;
beforeAll(async () => {
  servers = await startMoveCluster();
  cluster = servers.cluster;
}, 120_000);
afterAll(() => servers[Symbol.asyncDispose](), 60_000);

const nodeOf = async (shardId: number): Promise<number | undefined> => (await cluster.shards()).find((shard) => shard.shardId === shardId)?.nodeId;
const countOf = async (table: string): Promise<number> => Number((await cluster.query<{ count: string }>(`SELECT count(*) FROM ${table}`)).rows[0]?.count);

test('shard groups move while two processes write: nothing fails, nothing is lost, nothing is left', async () => {
  const other = servers.another();
  const load = startLoad([cluster, other], { tenants: 24, writers: 4, from: 0 });
  await until(() => load.writes() > 50);
  // Rows are where they belong at any time: those of shards on the move are looked at where they are just then.
  let isOver = false;
  let verified = 0;
  const verifying = (async () => {
    for (; ; verified += 1) {
      if (isOver) return;
      expect((await other.verify()).differences).toEqual([]);
    }
  })();
  try {
    const shards = (await cluster.shards()).filter(({ table }) => table === 'orders');
    for (let round = 0; round < 6; round += 1) {
      const { shardId, nodeId } = at((await cluster.shards()).filter(({ shardId: id }) => shards.slice(0, 2)[round % 2]?.shardId === id), 0);
      const to = (nodeId % 3) + 1;
      await (round % 2 === 0 ? cluster : other).moveShardGroup(shardId, { to });
      expect(await nodeOf(shardId)).toBe(to);
    }
  } finally {
    isOver = true;
    await verifying;
  }
  expect(verified).toBeGreaterThan(1);
  const expected = await load.stop();
  expect(load.failures).toEqual([]);
  const there = await rowsThere(cluster, 0);
  expect(there.orders).toEqual(expected);
  expect(there.orphans).toBe(0);
  expect(there.items).toBeGreaterThan(0);
  expect(await servers.remains()).toEqual([]);
}, 180_000);

describe.each([18, 15] as const)('a rich table, PostgreSQL %i', (major) => {
  test('its shard is the same on the other node, and so are its rows', async () => {
    await using own = major === 18 ? undefined : await startMoveCluster({ nodes: 2, major });
    const { cluster: here, on, place, remains } = own ?? servers;
    for (const id of [0, ...(await here.nodes()).map((node) => node.id)]) await on(id, `${'CREATE TYPE spare AS (x int); DROP TYPE spare;'.repeat(id + 1)} ${richSchema}`);
    await here.query(richTableOn(major).replace('UNLOGGED ', ''));
    await here.query(referencedRows);
    await here.createReferenceTable('country');
    await here.createDistributedTable('company', 'id', { shardCount: 2, colocateWith: 'none' });
    await on(0, richRows);
    await here.createDistributedTable(richName.sql, 'Tenant Id', { colocateWith: 'company' });
    const { shardId, name, from, to } = await place(richName.name);
    const described = (node: number): Promise<string[]> => describeTable((text) => on(node, text).then((rows) => rows), richName.schema, name);
    const rows = (node: number): Promise<unknown[][]> => on(node, `SELECT t::text FROM "${richName.schema}"."${name.replaceAll('"', '""')}" t ORDER BY 1`);
    const before = { definition: await described(from), rows: await rows(from) };
    expect(before.rows.length).toBeGreaterThan(100);
    await here.moveShardGroup(shardId, { to });
    expect({ definition: await described(to), rows: await rows(to) }).toEqual(before);
    await expect(rows(from)).rejects.toMatchObject({ code: '42P01' });
    expect((await remains()).filter((line) => !line.includes('identity of') && !line.includes('later'))).toEqual([]);
    expect((await here.checkSchema()).differences.filter(({ schema }) => schema !== 'public')).toEqual([]);
    // It lives: its keys and foreign keys are in force.
    await here.query('DELETE FROM company WHERE id BETWEEN -20 AND 40');
    expect((await here.query(`SELECT count(*) FROM ${richName.sql}`)).rows).toEqual([{ count: '0' }]);
    await expect(here.query(`INSERT INTO ${richName.sql} ("Tenant Id", big, p) VALUES (5, 'x', ROW(1, 'y'))`)).rejects.toMatchObject({ code: '23503' });
  }, 120_000);
});

describe('statements of processes that have not heard of it', () => {
  /** Processes that know the catalog as it is now, and hear of no change while the work runs: the server processes that would tell them are stopped. */
  const withDeaf = async (count: number, work: (deaf: readonly Cluster[]) => Promise<void>): Promise<void> => {
    const deaf = Array.from({ length: count }, () => servers.another());
    for (const one of deaf) await one.query('SELECT count(*) FROM orders');
    const listening = async (): Promise<number[]> => (await servers.on(0, `SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%'`)).map(([pid]) => Number(pid));
    await until(async () => (await listening()).length > count);
    const stopped = await listening();
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    try {
      await work(deaf);
    } finally {
      for (const pid of stopped) process.kill(pid, 'SIGCONT');
    }
  };

  test('find the shard where it is now, from wherever they think that it is', async () => {
    await cluster.query(`INSERT INTO orders SELECT g, 500, 0, 'deaf' FROM generate_series(0, 20) g`);
    const { shardId, name, from, to } = await servers.place('orders');
    const tenant = await tenantIn(name);
    const third = [1, 2, 3].find((id) => id !== from && id !== to) ?? 0;
    await withDeaf(4, async (deaf) => {
      await cluster.moveShardGroup(shardId, { to });
      const [first, second, streaming, copying] = deaf as [Cluster, Cluster, Cluster, Cluster];
      expect((await first.query('UPDATE orders SET total = total + 1 WHERE id = 500')).rowCount).toBe(21);
      await cluster.moveShardGroup(shardId, { to: third });
      await cluster.moveShardGroup(shardId, { to: from });
      await cluster.moveShardGroup(shardId, { to });
      expect((await second.query('SELECT sum(total)::int AS sum FROM orders WHERE id = 500')).rows).toEqual([{ sum: 21 }]);
      let streamed = 0;
      for await (const _ of streaming.stream('SELECT * FROM orders WHERE tenant = $1 AND id = 500', [tenant])) streamed += 1;
      expect(streamed).toBe(1);
      let copied = '';
      for await (const chunk of copying.copyTo(`COPY (SELECT id FROM orders WHERE tenant = ${tenant} AND id = 500) TO STDOUT`)) copied += String(chunk);
      expect(copied).toBe('500\n');
    });
  }, 60_000);

  test('in a transaction fail in a way that lets it be tried again', async () => {
    const { shardId, name, to } = await servers.place('orders');
    const tenant = await tenantIn(name);
    let attempts = 0;
    await withDeaf(1, async (deaf) => {
      await cluster.moveShardGroup(shardId, { to });
      await at(deaf, 0).transaction(async (client) => {
        attempts += 1;
        await client.query('UPDATE orders SET total = 9 WHERE tenant = $1 AND id = 500', [tenant]);
      });
    });
    expect(attempts).toBe(2);
  }, 60_000);
});

/** A tenant whose rows are in the shard. */
async function tenantIn(shardName: string): Promise<number> {
  for (let tenant = 0; ; tenant += 1) if ((await cluster.shardOf('orders', tenant)).name === shardName) return tenant;
}

test('a transaction with one snapshot that the moved rows are not in is told so', async () => {
  const { shardId, name, to } = await servers.place('orders');
  const tenant = await tenantIn(name);
  const client = await cluster.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    const elsewhere = await tenantOn(to);
    await client.query('SELECT count(*) FROM orders WHERE tenant = $1', [elsewhere]);
    await cluster.moveShardGroup(shardId, { to });
    await expect(client.query('SELECT count(*) FROM orders WHERE tenant = $1', [tenant])).rejects.toMatchObject({ code: '40001', id: 'shardMissing' });
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
});

async function tenantOn(node: number): Promise<number> {
  for (let tenant = 0; ; tenant += 1) if ((await cluster.shardOf('orders', tenant)).nodeId === node) return tenant;
}

test('a transaction that uses the shard group ends first, however long it takes, and others go on meanwhile', async () => {
  const { shardId, name, to } = await servers.place('orders');
  const tenant = await tenantIn(name);
  const client = await cluster.connect();
  await client.query('BEGIN');
  await client.query(`INSERT INTO orders VALUES ($1, 700, 1, 'open')`, [tenant]);
  // It reads a copy that does not matter; what counts is that it has begun to write before the slot is made.
  await client.query('COMMIT');
  await client.query('BEGIN');
  let isDone = false;
  let cutOvers = 0;
  const moving = cluster.moveShardGroup(shardId, {
    to, drainTimeoutMs: 60,
    onProgress: ({ state }) => {
      if (state === 'cut_over') cutOvers += 1;
    },
  }).finally(() => (isDone = true));
  await until(() => cutOvers > 0);
  await client.query('UPDATE orders SET total = 2 WHERE tenant = $1 AND id = 700', [tenant]);
  for (let i = 0; i < 20; i += 1) await cluster.query('UPDATE orders SET total = total + 1 WHERE tenant = $1 AND id = 500', [tenant]);
  expect((await client.query('UPDATE orders SET total = 3 WHERE tenant = $1 AND id = 700', [tenant])).rowCount).toBe(1);
  expect(isDone).toBe(false);
  await client.query('COMMIT');
  client.release();
  await moving;
  expect((await cluster.query('SELECT total FROM orders WHERE tenant = $1 AND id = 700', [tenant])).rows).toEqual([{ total: 3 }]);
}, 60_000);

test('old shards that cannot be dropped yet hold nobody up, and are dropped later', async () => {
  const { shardId, from, to } = await servers.place('orders');
  const reader = await new Client(at(servers.embedded.nodes, from - 1).connectionString).connect();
  await reader.query(`BEGIN; SELECT count(*) FROM plans_${(await servers.place('plans')).shardId}`);
  const { jobId } = await cluster.moveShardGroup(shardId, { to });
  expect(await cluster.jobs()).toMatchObject([{ jobId, state: 'clean_up' }]);
  expect(await nodeOf(shardId)).toBe(to);
  await reader.end();
  await cluster.resumeJob(jobId);
  expect(await servers.remains()).toEqual([]);
});

test('a table whose name leaves its types no room for names of their own', async () => {
  const name = `Long "ü" ${'x'.repeat(52)}`;
  const sql = `"${name.replaceAll('"', '""')}"`;
  await cluster.query(`CREATE TABLE ${sql} (k bigint PRIMARY KEY, v text)`);
  await cluster.createDistributedTable(sql, 'k', { shardCount: 9, colocateWith: 'none' });
  await cluster.query(`INSERT INTO ${sql} SELECT i, i FROM generate_series(1, 50) i`);
  for (const { shardId, nodeId } of (await cluster.shards()).filter(({ table }) => table === name).slice(0, 2)) {
    await cluster.moveShardGroup(shardId, { to: (nodeId % 3) + 1 });
    await cluster.moveShardGroup(shardId, { to: nodeId });
  }
  expect((await cluster.query(`SELECT count(*)::int, sum(k)::int FROM ${sql}`)).rows).toEqual([{ count: 50, sum: 1275 }]);
  expect((await cluster.checkSchema()).differences.filter(({ table }) => table === name || table === null)).toEqual([]);
  expect(await servers.remains()).toEqual([]);
  await cluster.query(`DROP TABLE ${sql}`);
}, 60_000);

test('values with OIDs in them, which differ from node to node', async () => {
  for (const id of [1, 2, 3]) await servers.on(id, 'CREATE TYPE spare AS (x int); DROP TYPE spare;'.repeat(id));
  await cluster.query('CREATE TYPE spot AS (x int, y text); CREATE TABLE spots (k int, s spot, r regtype, rs regtype[])');
  await cluster.createDistributedTable('spots', 'k', { shardCount: 1, colocateWith: 'none' });
  await cluster.query(`INSERT INTO spots VALUES (1, (1, 'a'), 'spot', '{spot,int4}'), (2, NULL, NULL, '{}')`);
  const { shardId, to } = await servers.place('spots');
  await cluster.moveShardGroup(shardId, { to });
  expect((await cluster.query('SELECT k, s::text, r::text, rs::text FROM spots ORDER BY k')).rows)
    .toEqual([{ k: 1, s: '(1,a)', r: 'spot', rs: '{spot,integer}' }, { k: 2, s: null, r: null, rs: '{}' }]);
  await cluster.query('DROP TABLE spots; DROP TYPE spot');
});

test('triggers do not fire for what is brought over, and do afterwards', async () => {
  for (const id of [0, 1, 2, 3]) await servers.on(id, `CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := NEW.note || '!'; RETURN NEW; END $$`);
  await cluster.query('CREATE TABLE marked (k int, note text); CREATE TRIGGER mark BEFORE INSERT OR UPDATE ON marked FOR EACH ROW EXECUTE FUNCTION mark()');
  await cluster.createDistributedTable('marked', 'k', { shardCount: 1, colocateWith: 'none' });
  await cluster.query(`INSERT INTO marked VALUES (1, 'copied'), (2, 'changed')`);
  const { shardGroup: group, from, to } = await servers.place('marked');
  const { moves, pools } = await openMoves(servers.embedded.connectionString, 'mover');
  let isWritten = false;
  const onStep = async (step: string): Promise<void> => {
    if (step !== 'copy:done') return;
    await cluster.query(`INSERT INTO marked VALUES (3, 'streamed')`);
    await cluster.query(`UPDATE marked SET note = note || ' twice' WHERE k = 2`);
    isWritten = true;
  };
  await moves.move({ group, from, to, limits: {} }, { onStep });
  await pools.end();
  expect(isWritten).toBe(true);
  await cluster.query(`INSERT INTO marked VALUES (4, 'later')`);
  expect((await cluster.query('SELECT note FROM marked ORDER BY k')).rows.map(({ note }) => note as string)).toEqual(['copied!', 'changed! twice!', 'streamed!', 'later!']);
});

test('by SQL, as in Citus', async () => {
  const { shardId, from, to } = await servers.place('orders');
  const nodes = await cluster.nodes();
  const [source, target] = [from, to].map((id) => nodes.find((node) => node.id === id));
  const call = 'SELECT citus_move_shard_placement($1, $2, $3, $4, $5)';
  await expect(cluster.query(call, [shardId, target?.host, target?.port, source?.host, source?.port])).rejects.toMatchObject({ id: 'moveRefused' });
  const { rows } = await cluster.query(call, [shardId, source?.host, source?.port, target?.host, target?.port]);
  expect(rows).toEqual([{ citus_move_shard_placement: '' }]);
  expect(await nodeOf(shardId)).toBe(to);
  // By ids of nodes, in both ways of naming the arguments.
  await cluster.query('SELECT citus_move_shard_placement($1, $2, $3)', [shardId, to, from]);
  expect(await nodeOf(shardId)).toBe(from);
  await cluster.query(`SELECT citus_move_shard_placement(${shardId}, target_node_id => ${to}, source_node_id => ${from}, shard_transfer_mode => 'auto')`);
  expect(await nodeOf(shardId)).toBe(to);
  await expect(cluster.query('SELECT citus_move_shard_placement($1, $2, $3, $4, $5, $6, $7)', [shardId, 1, 2, 3, 4, 5, 6])).rejects.toMatchObject({ code: '42883' });
});

describe('what cannot be moved is told with all reasons, and nothing is touched', () => {
  test.each([
    ['to where it is', (place: { from: number }) => ({ to: place.from }), 'already'],
    ['from where it is not', (place: { to: number }) => ({ from: place.to, to: place.to }), 'not on node'],
  ])('%s', async (_, wish, reason) => {
    const place = await servers.place('orders');
    await expect(cluster.moveShardGroup(place.shardId, wish(place))).rejects.toMatchObject({ id: 'moveRefused', detail: expect.stringContaining(reason) as string });
    expect(await servers.remains()).toEqual([]);
  });

  test('an unlogged table, an unknown shard, a reference table, an unknown node', async () => {
    await cluster.query('CREATE UNLOGGED TABLE fleeting (k int)');
    await cluster.createDistributedTable('fleeting', 'k', { shardCount: 1, colocateWith: 'none' });
    const { shardId, to } = await servers.place('fleeting');
    await expect(cluster.moveShardGroup(shardId, { to })).rejects.toMatchObject({ id: 'moveRefused', detail: expect.stringContaining('not logged') as string });
    await expect(cluster.moveShardGroup(1, { to })).rejects.toMatchObject({ id: 'invalidParameter' });
    await expect(cluster.moveShardGroup((await servers.place('plans')).shardId, { to })).rejects.toMatchObject({ id: 'invalidParameter' });
    await expect(cluster.moveShardGroup(shardId, { to: 99 })).rejects.toMatchObject({ id: 'undefinedNode' });
    await cluster.dropTable('fleeting');
  });

  test('what the target lacks, and a table that is changed meanwhile', async () => {
    for (const id of [0, 1, 2]) await servers.on(id, 'CREATE DOMAIN here AS int');
    await cluster.query('CREATE TABLE picky (k int, h here)');
    await cluster.query(`CREATE TABLE changing (k int, v text)`);
    await servers.on(3, 'CREATE DOMAIN here AS int');
    for (const table of ['picky', 'changing']) await cluster.createDistributedTable(table, 'k', { shardCount: 1, colocateWith: 'none' });
    const picky = await servers.place('picky');
    const lacking = picky.from === 3 ? picky.to : 3;
    await servers.on(lacking, 'ALTER DOMAIN here RENAME TO there');
    await expect(cluster.moveShardGroup(picky.shardId, { to: lacking })).rejects.toMatchObject({ id: 'moveRefused', detail: expect.stringContaining('lacks type public.here') as string });
    await servers.on(lacking, 'ALTER DOMAIN there RENAME TO here');
    const { shardId, to } = await servers.place('changing');
    const moving = cluster.moveShardGroup(shardId, { to, onProgress: ({ state }) => void (state === 'index' && servers.on(0, `COMMENT ON TABLE changing IS 'another'`)) });
    await expect(moving).rejects.toMatchObject({ id: 'moveUndone' });
    expect(await servers.remains()).toEqual([]);
  });

  test('a table that is changed by a transaction which the cut-over waits for', async () => {
    await cluster.query('CREATE TABLE held (k int, v text)');
    await cluster.createDistributedTable('held', 'k', { shardCount: 1, colocateWith: 'none' });
    await cluster.query('INSERT INTO held SELECT i FROM generate_series(1, 5) i');
    const { shardId, to } = await servers.place('held');
    const changing = await cluster.connect();
    let begun: Promise<unknown> | undefined;
    const moving = cluster.moveShardGroup(shardId, { to, onProgress: ({ state }) => void (state === 'cut_over' && (begun ??= changing.query('BEGIN; ALTER TABLE held ADD CONSTRAINT few CHECK (k < 6)'))) });
    const waiting = `SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%shardwright.cluster%'`;
    await until(async () => begun !== undefined && (await servers.on(0, waiting)).length > 0);
    await begun;
    await changing.query('COMMIT');
    changing.release();
    await expect(moving).rejects.toMatchObject({ id: 'moveUndone' });
    await expect(cluster.query('INSERT INTO held VALUES (6)')).rejects.toMatchObject({ code: '23514', constraint: 'few' });
    expect(await servers.remains()).toEqual([]);
  }, 60_000);
});

test('a job of a kind that only a newer version knows is left alone', async () => {
  const source = { group: 1, node: 1, min: -1, max: 1 };
  await servers.on(0, 'ALTER TABLE shardwright.job DROP CONSTRAINT job_kind_check');
  const [[id, ...row] = []] = await servers.on(0, `INSERT INTO shardwright.job (kind, state, sources, targets, options) VALUES ('repack', 'copy', '[${JSON.stringify(source)}]', '[${JSON.stringify({ ...source, node: 2 })}]', '{}') RETURNING job_id, state, changed_at::text`);
  const { moves, pools } = await openMoves(servers.embedded.connectionString, 'mover');
  try {
    expect(await moves.list('unfinished')).toEqual([]);
    await moves.carryOnAll();
    await expect(moves.resume(String(id), {})).rejects.toMatchObject({ id: 'moveInProgress', message: expect.stringContaining('kind "repack"') as string });
    expect(await servers.on(0, `SELECT state, changed_at::text FROM shardwright.job WHERE job_id = ${String(id)}`)).toEqual([row]);
  } finally {
    await pools.end();
    await servers.on(0, `DELETE FROM shardwright.job WHERE job_id = ${String(id)}; ALTER TABLE shardwright.job ADD CONSTRAINT job_kind_check CHECK (kind IN ('move', 'split', 'merge', 'add_node', 'distribute'))`);
  }
});

describe('rows of 100 MB', () => {
  const bytes = 100_000_000;
  test('come along, by the copy and as changes', async () => {
    await cluster.query('CREATE TABLE huge (k int PRIMARY KEY, body text, n int DEFAULT 0)');
    await cluster.createDistributedTable('huge', 'k', { shardCount: 1, colocateWith: 'none' });
    await cluster.query(`INSERT INTO huge SELECT k, repeat('copy', ${bytes / 4}) FROM generate_series(1, 2) k`);
    const { shardId, to } = await servers.place('huge');
    let writing: Promise<unknown> | undefined;
    const write = async (): Promise<void> => {
      // The first row's large value is not in the log then, the second's is.
      await cluster.query('UPDATE huge SET n = 1 WHERE k = 1');
      await cluster.query(`UPDATE huge SET body = repeat('text', ${bytes / 4}) WHERE k = 2`);
    };
    await cluster.moveShardGroup(shardId, { to, onProgress: ({ state }) => void (state === 'index' && (writing ??= write())) });
    await writing;
    expect((await cluster.query(`SELECT k, n, md5(body) = md5(repeat(CASE k WHEN 1 THEN 'copy' ELSE 'text' END, ${bytes / 4})) AS same FROM huge ORDER BY k`)).rows).toEqual([{ k: 1, n: 1, same: true }, { k: 2, n: 0, same: true }]);
    await cluster.query('DROP TABLE huge');
  }, 120_000);
});

describe('a move that is given up', () => {
  test('by its caller, or by anybody, is undone', async () => {
    const { shardId, from, to } = await servers.place('orders');
    const before = await countOf('orders');
    const giveUp = new AbortController();
    const aborted = cluster.moveShardGroup(shardId, { to, signal: giveUp.signal, onProgress: ({ state }) => state === 'index' && giveUp.abort() });
    await expect(aborted).rejects.toMatchObject({ id: 'canceled' });
    expect(await servers.remains()).toEqual([]);
    const other = servers.another();
    let cancelled: Promise<void> | undefined;
    const moving = cluster.moveShardGroup(shardId, { to, onProgress: ({ state, jobId }) => void (state === 'copy' && (cancelled ??= other.cancelJob(jobId))) });
    await expect(moving).rejects.toMatchObject({ id: 'canceled' });
    await cancelled;
    expect(await nodeOf(shardId)).toBe(from);
    expect(await servers.remains()).toEqual([]);
    expect(await countOf('orders')).toBe(before);
    const { jobId = '', state, error } = (await cluster.jobs({ all: true })).at(-1) ?? {};
    expect({ state, error }).toEqual({ state: 'undone', error: `job ${jobId} was cancelled` });
    await expect(cluster.cancelJob(jobId)).rejects.toMatchObject({ id: 'unknownJob' });
  }, 60_000);

  test('in a state of a newer version is shown and left alone, by hand and by who carries on', async () => {
    const { shardId, from, to } = await servers.place('orders');
    const { jobId } = await cluster.moveShardGroup(shardId, { to, retainMs: 3_600_000 });
    await servers.on(0, `UPDATE shardwright.job SET state = 'polish' WHERE job_id = ${jobId}`);
    const row = async (): Promise<unknown> => servers.on(0, `SELECT j::text FROM shardwright.job j WHERE job_id = ${jobId}`);
    const before = await row();
    expect(await cluster.jobs()).toMatchObject([{ jobId, state: 'polish', from, to }]);
    const refusal = { id: 'moveInProgress', message: `job ${jobId} is in state "polish", which this version of shardwright does not know` };
    for (const work of [() => cluster.resumeJob(jobId), () => cluster.cancelJob(jobId), () => cluster.undoMove(jobId)]) await expect(work()).rejects.toMatchObject(refusal);
    // What comes behind it is carried on: the retention is over at once.
    const other = at((await cluster.shards()).filter(({ table, shardId: id, nodeId }) => table === 'orders' && id !== shardId && nodeId !== to), 0);
    const { jobId: behind } = await cluster.moveShardGroup(other.shardId, { to, retainMs: 3_600_000 });
    await servers.on(0, `UPDATE shardwright.job SET state = 'clean_up' WHERE job_id = ${behind}`);
    const third = servers.another({ recoveryIntervalMs: 50 });
    await third.query('SELECT 1 FROM orders LIMIT 1');
    await until(async () => (await cluster.jobs()).length === 1);
    expect(await row()).toEqual(before);
    await third.end();
    await servers.on(0, `UPDATE shardwright.job SET state = 'retain' WHERE job_id = ${jobId}`);
    await cluster.undoMove(jobId);
    expect(await nodeOf(shardId)).toBe(from);
    expect(await servers.remains()).toEqual([]);
  }, 60_000);

  test('after the cut-over goes back, with what was written since; meanwhile the old shards are kept', async () => {
    const { shardId, name, from, to } = await servers.place('orders');
    await cluster.query(`INSERT INTO plans VALUES ('retired')`);
    await cluster.query(`INSERT INTO orders VALUES ($1, 801, 8, 'before', 'retired')`, [await tenantIn(name)]);
    const { jobId } = await cluster.moveShardGroup(shardId, { to, retainMs: 3_600_000 });
    expect(await cluster.jobs()).toMatchObject([{ jobId, state: 'retain', from, to }]);
    await expect(cluster.moveShardGroup(shardId, { to: from })).rejects.toMatchObject({ id: 'moveInProgress' });
    await expect(cluster.removeNode(from)).rejects.toMatchObject({ id: 'nodeInUse' });
    expect((await servers.remains()).filter((line) => !/^(object|job) /.test(line))).toEqual([expect.stringMatching(/^schema .*_old$/)]);
    await cluster.query(`INSERT INTO orders VALUES ($1, 800, 8, 'since')`, [await tenantIn(name)]);
    // What only the old shards refer to may go.
    await cluster.query(`UPDATE orders SET plan = NULL WHERE plan = 'retired'`);
    await cluster.query(`DELETE FROM plans WHERE code = 'retired'`);
    expect((await cluster.checkSchema()).differences.filter(({ table }) => table === null)).toEqual([]);
    await cluster.undoMove(jobId);
    expect(await nodeOf(shardId)).toBe(from);
    expect((await cluster.query('SELECT total FROM orders WHERE id = 800')).rows).toEqual([{ total: 8 }]);
    expect(await servers.remains()).toEqual([]);
  }, 60_000);
});

test('a node is drained by SQL, and the shards are spread again, by count and by size', async () => {
  const counts = async (): Promise<number[]> => {
    const groups = new Map((await cluster.shards()).flatMap(({ shardGroupId, nodeId }) => (shardGroupId === undefined ? [] : [[shardGroupId, nodeId] as const])));
    return [1, 2, 3].map((node) => [...groups.values()].filter((id) => id === node).length);
  };
  const third = at(servers.embedded.nodes, 2);
  await cluster.query('SELECT citus_drain_node($1, $2)', [third.host, third.port]);
  expect((await counts())[2]).toBe(0);
  const before = await countOf('orders');
  const plan = await cluster.rebalancePlan({ strategy: 'by_shard_count' });
  expect(plan.length).toBeGreaterThan(1);
  expect(await cluster.rebalance({ strategy: 'by_shard_count', maxMoves: 1 })).toEqual(plan.slice(0, 1));
  await cluster.rebalance({ strategy: 'by_shard_count', threshold: 0 });
  const after = await counts();
  expect(Math.max(...after) - Math.min(...after)).toBeLessThanOrEqual(1);
  expect(await cluster.rebalancePlan({ strategy: 'by_shard_count', threshold: 0 })).toEqual([]);
  const bySize = await cluster.rebalancePlan({ threshold: 0 });
  expect(bySize.every(({ cost }) => cost > 0)).toBe(true);
  expect(await countOf('orders')).toBe(before);
  expect(await servers.remains()).toEqual([]);
}, 60_000);
