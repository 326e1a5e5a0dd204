import { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keepInStep } from '../../examples/warehouse.ts';
import { at } from '../../src/base/assert.ts';
import { type Change, type ChangesOptions, type ChangeStream, Cluster } from '../../src/index.ts';
import { until } from '../cluster/connections.ts';
import { createTestDatabases, type TestDatabases } from '../support/test-databases.ts';

/** Everything but moves: `feed-moves.test.ts` has those. */
describe.each([18, 15] as const)('PostgreSQL %i', (major) => {
  let databases: TestDatabases;
  let cluster: Cluster;

  beforeAll(async () => {
    databases = await createTestDatabases({ major, nodes: 2 });
    cluster = new Cluster({ connectionString: databases.coordinator.connectionString, recoveryIntervalMs: 0 });
    for (const { host, port, database } of databases.nodes) await cluster.addNode({ host, port, database });
    await cluster.query(`
      CREATE TYPE mood AS ENUM ('sad', 'näh'); CREATE DOMAIN amount AS numeric(8, 2); CREATE TYPE pair AS (a int, b text);
      CREATE TABLE plans (code text PRIMARY KEY, price amount);
      CREATE TABLE notes (tenant bigint, id int, body text, twice int GENERATED ALWAYS AS (id * 2) STORED, m mood, ms mood[], p pair, price amount, at timestamptz, on_day date, j jsonb, b bytea, f float8, tags text[], "Odd ""name" text,
        PRIMARY KEY (tenant, id));
      CREATE TABLE lines (tenant text, line int); ALTER TABLE lines REPLICA IDENTITY FULL;
      CREATE TABLE bare (tenant bigint, line int); CREATE TABLE parted (tenant bigint, id int) PARTITION BY LIST (id);`);
    await cluster.query('ALTER TABLE notes ALTER body SET STORAGE EXTERNAL; ALTER TABLE lines ADD body text; ALTER TABLE lines ALTER body SET STORAGE EXTERNAL');
    await cluster.createReferenceTable('plans');
    await cluster.createDistributedTable('notes', 'tenant', { shardCount: 4 });
    await cluster.createDistributedTable('lines', 'tenant', { shardCount: 4, hash: 'murmur3' });
    await cluster.createDistributedTable('bare', 'tenant', { shardCount: 4 });
    await cluster.createDistributedTable('parted', 'tenant', { shardCount: 4 });
  }, 120_000);

  afterAll(async () => {
    for (const { name } of await cluster.feeds()) await cluster.dropFeed(name);
    await cluster.end();
    await databases.drop();
  });

  /** Pulls until so many have come. */
  async function pull(changes: ChangeStream, count: number): Promise<Change[]> {
    const taken: Change[] = [];
    while (taken.length < count) {
      const { value, done } = await changes.next();
      if (done === true) throw new Error('the stream has ended');
      taken.push(value);
    }
    return taken;
  }

  const onNode = async (node: number, text: string): Promise<unknown[][]> => {
    const other = new Cluster({ connectionString: at(databases.nodes, node - 1).connectionString });
    try {
      return (await other.query({ text, rowMode: 'array' })).rows;
    } finally {
      await other.end();
    }
  };

  test('the example keeps a warehouse in step: each change counts once, also when it breaks off', async () => {
    await cluster.query('CREATE TABLE orders (tenant_id bigint, id bigint, total numeric, PRIMARY KEY (tenant_id, id)); ALTER TABLE orders REPLICA IDENTITY FULL');
    await cluster.createDistributedTable('orders', 'tenant_id', { shardCount: 4 });
    await cluster.query('INSERT INTO orders SELECT g % 8, g, g FROM generate_series(1, 20) g');
    const warehouse = new Pool({ connectionString: databases.coordinator.connectionString });
    const totals = 'SELECT tenant_id::int, sum(total)::int AS total FROM orders GROUP BY 1 ORDER BY 1';
    const inStep = async (): Promise<boolean> => {
      const wanted = JSON.stringify((await cluster.query(totals)).rows);
      const there = await Promise.all(['order_copy', 'tenant_total'].map((table) => warehouse.query(totals.replace('orders', table))));
      return there.every(({ rows }) => JSON.stringify(rows) === wanted);
    };
    try {
      for (let round = 1; round <= 3; round += 1) {
        await cluster.query('INSERT INTO orders SELECT g % 8, g, g FROM generate_series($1::int, $1::int + 4) g', [round * 100]);
        await cluster.query('UPDATE orders SET total = total + 1 WHERE id % 3 = $1', [round % 3]);
        await cluster.query('DELETE FROM orders WHERE id = $1', [round]);
        // The cursor cannot be stored, so nothing of it may have counted.
        if (round > 1) await warehouse.query('ALTER TABLE feed_cursor ADD CONSTRAINT full_disk CHECK (false) NOT VALID');
        if (round > 1) await expect(keepInStep(cluster, warehouse, new AbortController().signal)).rejects.toMatchObject({ code: '23514' });
        if (round > 1) await warehouse.query('ALTER TABLE feed_cursor DROP CONSTRAINT full_disk');
        const over = new AbortController();
        const running = keepInStep(cluster, warehouse, over.signal).catch((error: unknown) => error);
        await until(() => inStep().catch(() => false));
        over.abort();
        expect(await running).toMatchObject({ id: 'canceled' });
      }
    } finally {
      await warehouse.end();
      await cluster.dropFeed('warehouse');
    }
  });

  const slots = async (): Promise<number> => (await Promise.all([1, 2].map((node) => onNode(node, `SELECT slot_name FROM pg_replication_slots WHERE database = current_database() UNION ALL SELECT pubname FROM pg_publication`)))).flat().length;

  const streaming = (name: string, state = 'streaming'): Promise<void> => until(async () => (await cluster.feeds()).some((feed) => feed.name === name && feed.state === state));

  const open = (tables: string | string[], options: ChangesOptions): ChangeStream => cluster.changes(tables, options);

  test('values of rows, of a snapshot and of changes, are those of queries', async () => {
    const wide = `INSERT INTO notes (tenant, id, body, m, ms, p, price, at, on_day, j, b, f, tags, "Odd ""name") VALUES ($1, 1, 'ünï\\', 'näh', '{sad,NULL}', '(1,"x, y")', 1.5, '2024-02-29 12:00:00.123456+02', '0044-01-01 BC', '{"a": 1.10}', '\\x00ff', 0.1, '{a,NULL,"b c"}', '')`;
    await cluster.query(wide, [1]);
    await cluster.query(`INSERT INTO plans VALUES ('free', 0)`);
    await using changes = open(['notes', 'plans'], { name: 'values', snapshot: true });
    const snapshot = await pull(changes, 4);
    expect(snapshot.map(({ kind }) => kind)).toEqual(['snapshot_begin', 'insert', 'insert', 'snapshot_end']);
    await cluster.query(wide, [2]);
    await cluster.query(`INSERT INTO plans VALUES ('pro', 12.3)`);
    const later = await pull(changes, 2);
    const { rows } = await cluster.query('SELECT * FROM notes ORDER BY tenant');
    const wanted = rows.map((row: Record<string, unknown>) => Object.fromEntries(Object.entries(row).filter(([name]) => name !== 'twice')));
    const inserts = [...snapshot, ...later].flatMap((change) => (change.kind === 'insert' ? [change] : []));
    const ofNotes = inserts.filter(({ table }) => table === 'notes');
    expect(ofNotes.map(({ row }) => row)).toEqual(wanted);
    expect(ofNotes.map(({ snapshot: isOld, key, hash, schema }) => ({ isOld, key, hash: typeof hash, schema }))).toEqual([
      { isOld: true, key: { tenant: '1', id: 1 }, hash: 'number', schema: 'public' }, { isOld: false, key: { tenant: '2', id: 1 }, hash: 'number', schema: 'public' },
    ]);
    const { min = 0, max = 0 } = await cluster.shardOf('notes', 2);
    expect(at(ofNotes, 1).hash).toBeGreaterThanOrEqual(min);
    expect(at(ofNotes, 1).hash).toBeLessThanOrEqual(max);
    expect(inserts.filter(({ table }) => table === 'plans').map(({ row, hash }) => ({ ...row, hash }))).toEqual([{ code: 'free', price: '0.00', hash: undefined }, { code: 'pro', price: '12.30', hash: undefined }]);
  });

  test('updates say what they have: keys before and after, whole rows, large values that stay', async () => {
    await using changes = open(['lines', 'notes'], { name: 'updates', autoConfirm: true });
    const begun = changes.next();
    await streaming('updates');
    await cluster.query(`INSERT INTO notes (tenant, id, body) VALUES (5, 1, repeat('x', 5000))`);
    await begun;
    await cluster.transaction(async (client) => {
      await client.query(`UPDATE notes SET f = 1 WHERE tenant = 5`);
      await client.query(`UPDATE notes SET id = 2, body = 'short' WHERE tenant = 5`);
      await client.query(`DELETE FROM notes WHERE tenant = 5`);
    });
    const [kept, keyed, gone] = await pull(changes, 3);
    expect(kept).toMatchObject({ kind: 'update', unchanged: ['body'], key: { tenant: '5', id: 1 }, row: { f: 1 }, old: undefined, endsTransaction: false });
    expect(kept?.kind === 'update' && 'body' in kept.row).toBe(false);
    expect(keyed).toMatchObject({ kind: 'update', unchanged: [], key: { tenant: '5', id: 1 }, row: { tenant: '5', id: 2, body: 'short' }, endsTransaction: false });
    expect(gone).toMatchObject({ kind: 'delete', key: { tenant: '5', id: 2 }, old: undefined, endsTransaction: true });
    const transaction = kept !== undefined && 'transaction' in kept ? kept.transaction : '';
    expect([kept, keyed, gone].map((change) => change?.id)).toEqual([`${transaction}/0`, `${transaction}/1`, `${transaction}/2`]);

    await cluster.query(`INSERT INTO lines VALUES ('ä', 1, repeat('y', 5000))`);
    await cluster.query(`UPDATE lines SET line = 2 WHERE tenant = 'ä'`);
    await cluster.query(`DELETE FROM lines WHERE tenant = 'ä'`);
    const [, whole, all] = await pull(changes, 3);
    const body = 'y'.repeat(5000);
    expect(whole).toMatchObject({ kind: 'update', unchanged: [], key: { tenant: 'ä', line: 1, body }, row: { tenant: 'ä', line: 2, body }, old: { tenant: 'ä', line: 1, body } });
    expect(all).toMatchObject({ kind: 'delete', key: { tenant: 'ä', line: 2, body }, old: { tenant: 'ä', line: 2, body } });
  });

  test('TRUNCATE comes for each shard, with its hashes; a changed table and column by their new names', async () => {
    await using changes = open('notes', { name: 'truncates', autoConfirm: true });
    const pulled = pull(changes, 6);
    await streaming('truncates');
    await cluster.query('TRUNCATE notes');
    await cluster.query('ALTER TABLE notes RENAME COLUMN "Odd ""name" TO odd');
    await cluster.query(`INSERT INTO notes (tenant, id, odd) VALUES (1, 9, 'o')`);
    await cluster.query('ALTER TABLE notes RENAME TO papers');
    await cluster.query('ALTER TABLE papers ADD COLUMN extra pair');
    await cluster.query(`INSERT INTO papers (tenant, id, extra) VALUES (1, 10, '(1,)')`);
    const events = await pulled;
    const truncates = events.flatMap((change) => (change.kind === 'truncate' ? [change.hashes] : []));
    const shards = (await cluster.shards()).filter(({ table }) => table === 'papers').map(({ min, max }) => ({ min, max }));
    expect(truncates.toSorted((a, b) => (a?.min ?? 0) - (b?.min ?? 0))).toEqual(shards);
    expect(events.flatMap((change) => (change.kind === 'insert' ? [[change.row['odd'], change.row['extra']]] : []))).toEqual([['o', undefined], [null, '(1,)']]);
    await changes.return();
    await cluster.query('ALTER TABLE papers DROP COLUMN extra; ALTER TABLE papers RENAME TO notes; ALTER TABLE notes RENAME COLUMN odd TO "Odd ""name"');
  });

  test('a transaction larger than what may wait comes piece by piece, and goes on in its middle', async () => {
    const first = open('notes', { name: 'large' });
    const begun = first.next();
    await streaming('large');
    await cluster.query(`INSERT INTO notes (tenant, id, body) SELECT 3, g, repeat('z', 3000) FROM generate_series(1, 6000) g`);
    const ids: unknown[] = [];
    const take = ({ value }: IteratorResult<Change, undefined>): string | undefined => {
      if (value?.kind === 'insert') ids.push(value.row['id']);
      return value?.cursor;
    };
    let cursor = take(await begun);
    for (let i = 0; i < 2_499; i += 1) cursor = take(await first.next());
    await first.return();
    await using second = open('notes', { name: 'large', from: cursor });
    for (let i = 0; i < 3_500; i += 1) take(await second.next());
    expect(ids).toEqual(Array.from({ length: 6_000 }, (_, i) => i + 1));
    await cluster.query('TRUNCATE notes');
  });

  test('it goes on behind what was confirmed, or what a cursor says; not before', async () => {
    const insert = (id: number): Promise<unknown> => cluster.query(`INSERT INTO notes (tenant, id) VALUES (1, $1)`, [id]);
    const idOf = (change: Change | undefined): unknown => (change?.kind === 'insert' ? change.row['id'] : change?.kind);
    const first = open('notes', { name: 'again' });
    const begun = first.next();
    await streaming('again');
    for (const id of [1, 2, 3]) await insert(id);
    const [one, two, three] = [(await begun).value, ...(await pull(first, 2))];
    expect([one, two, three].map(idOf)).toEqual([1, 2, 3]);
    expect(() => first.confirm((three?.cursor ?? '').replace(/\.[^.,]*(?=,|$)/, '.FFFFFFFFFF'))).toThrow('not given yet');
    first.confirm(two?.cursor ?? '');
    await first.return();
    expect(await first.next()).toEqual({ done: true, value: undefined });
    const second = open('notes', { name: 'again' });
    const [again] = await pull(second, 1);
    expect(again).toEqual(three);
    await second.return();
    await expect(open('notes', { name: 'again', from: one?.cursor }).next()).rejects.toMatchObject({ id: 'invalidParameter', message: 'the cursor lies before what was confirmed' });
    const third = open('notes', { name: 'again', from: three?.cursor });
    await insert(4);
    expect(idOf((await pull(third, 1))[0])).toBe(4);
    await third.return();
    await expect(open(['notes', 'plans'], { name: 'again' }).next()).rejects.toMatchObject({ id: 'invalidParameter', message: 'change feed "again" is of other tables' });
    await cluster.dropFeed('again');
    await expect(open('notes', { name: 'again', from: three?.cursor }).next()).rejects.toMatchObject({ id: 'unknownFeed' });
    const fresh = open('notes', { name: 'again' });
    const waiting = fresh.next();
    await streaming('again');
    await expect(open('notes', { name: 'again' }).next()).rejects.toMatchObject({ id: 'feedInUse' });
    await fresh.return();
    expect(await waiting).toEqual({ done: true, value: undefined });
    await expect(open('notes', { name: 'again', from: three?.cursor }).next()).rejects.toMatchObject({ id: 'invalidParameter', message: 'the cursor is of another change feed' });
  }, 30_000);

  test('a slot stays before what was given and not confirmed, whatever else the server sends', async () => {
    await cluster.query('CREATE TABLE unfed (tenant bigint); TRUNCATE notes');
    await cluster.createDistributedTable('unfed', 'tenant', { shardCount: 4 });
    const keyOn = async (node: number): Promise<number> => {
      for (let tenant = 1; ; tenant += 1) if ((await cluster.shardOf('notes', tenant)).nodeId === node) return tenant;
    };
    const lsnOn = async (node: number): Promise<unknown> => at(at(await onNode(node, 'SELECT pg_current_wal_lsn()'), 0), 0);
    const holds = async (node: number, what: string): Promise<boolean> => {
      const rows = await onNode(node, `SELECT ${what} FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid WHERE s.database = current_database()`);
      expect(rows).toHaveLength(1);
      return at(at(rows, 0), 0) === true;
    };
    for (const { name } of await cluster.feeds()) await cluster.dropFeed(name);
    const changes = open('notes', { name: 'waiting' });
    const begun = changes.next();
    await streaming('waiting');
    const [kept, confirmed] = [await keyOn(1), await keyOn(2)];
    await cluster.query('INSERT INTO notes (tenant, id) VALUES ($1, 1)', [confirmed]);
    changes.confirm((await begun).value?.cursor ?? '');
    await cluster.query('INSERT INTO notes (tenant, id) VALUES ($1, 1)', [kept]);
    const [given] = await pull(changes, 1);
    const givenAt = String(await lsnOn(1));
    // Everything on the first node is with the reader, then all that is on the second one is let go: the places of both slots are judged at once.
    await cluster.query('INSERT INTO unfed SELECT generate_series(1, 100)');
    const sent = String(await lsnOn(1));
    await until(() => holds(1, `r.sent_lsn >= '${sent}'`));
    await cluster.query('INSERT INTO unfed SELECT generate_series(1, 100)');
    const passed = String(await lsnOn(2));
    await until(() => holds(2, `s.confirmed_flush_lsn >= '${passed}'`));
    expect(await holds(1, `s.confirmed_flush_lsn < '${givenAt}'`)).toBe(true);
    await changes.return();
    await using again = open('notes', { name: 'waiting' });
    expect(await pull(again, 1)).toEqual([given]);
    await cluster.query('DROP TABLE unfed; TRUNCATE notes');
  });

  test('a snapshot that was not confirmed begins again, with what is there then', async () => {
    await cluster.query('TRUNCATE notes');
    await cluster.query('INSERT INTO notes (tenant, id) SELECT g, g FROM generate_series(1, 20) g');
    const first = open('notes', { name: 'snap', snapshot: true });
    await pull(first, 7);
    await first.return();
    await cluster.query('DELETE FROM notes WHERE tenant <= 10');
    const second = open('notes', { name: 'snap', snapshot: true });
    const all = await pull(second, 12);
    expect(all.map(({ kind }) => kind)).toEqual(['snapshot_begin', ...Array.from({ length: 10 }, () => 'insert'), 'snapshot_end']);
    second.confirm(at(all, 11).cursor ?? '');
    await second.return();
    const third = open('notes', { name: 'snap', snapshot: true });
    await cluster.query('DELETE FROM notes WHERE tenant = 11');
    expect((await pull(third, 1))[0]).toMatchObject({ kind: 'delete', key: { tenant: '11', id: 11 } });
    await third.return();
    await cluster.query('TRUNCATE notes');
  });

  test('aborting ends a pull, and the end of the cluster too', async () => {
    const stopping = new AbortController();
    const changes = open('plans', { name: 'aborted', signal: stopping.signal });
    const waiting = changes.next();
    await streaming('aborted');
    stopping.abort();
    await expect(waiting).rejects.toMatchObject({ id: 'canceled' });
    const other = new Cluster({ connectionString: databases.coordinator.connectionString });
    const pulling = other.changes('plans', { name: 'aborted' }).next();
    await until(async () => (await cluster.feeds()).some(({ name, slots: [slot] }) => name === 'aborted' && slot?.active === true));
    await Promise.all([expect(pulling).rejects.toMatchObject({ id: 'clusterClosed' }), other.end()]);
  });

  test('an abort between two pulls is told by the second, once', async () => {
    const stopping = new AbortController();
    const changes = open('plans', { name: 'aborted', signal: stopping.signal });
    const pulled = pull(changes, 1);
    await streaming('aborted');
    await cluster.query(`INSERT INTO plans VALUES ('between', 1)`);
    await pulled;
    stopping.abort();
    await expect(changes.next()).rejects.toMatchObject({ id: 'canceled' });
    expect(await changes.next()).toEqual({ done: true, value: undefined });
    await cluster.query(`DELETE FROM plans WHERE code = 'between'`);
  });

  test('tables of a distributed schema, which have no hashes, through a move of it', async () => {
    await cluster.createDistributedSchema('corner');
    await cluster.query('CREATE TABLE corner.things (id int PRIMARY KEY, name text)');
    await using changes = open('corner.things', { name: 'corner', autoConfirm: true });
    const pulled = pull(changes, 3);
    await streaming('corner');
    await cluster.query(`INSERT INTO corner.things VALUES (1, 'a')`);
    const { nodeId } = at(await cluster.schemas(), 0);
    await cluster.moveSchema('corner', { to: 3 - nodeId });
    await cluster.query(`UPDATE corner.things SET name = 'b'`);
    await cluster.query('TRUNCATE corner.things');
    expect(await pulled).toMatchObject([
      { kind: 'insert', schema: 'corner', node: nodeId, hash: undefined, row: { id: 1, name: 'a' } }, { kind: 'update', node: 3 - nodeId, key: { id: 1 }, row: { id: 1, name: 'b' } }, { kind: 'truncate', hashes: undefined },
    ]);
  });

  test('tables stay what they are while a feed reads them, and what cannot be read is refused', async () => {
    await expect(open('bare', { name: 'refused' }).next()).rejects.toMatchObject({ id: 'unsupportedTable', hint: 'ALTER TABLE "public"."bare" REPLICA IDENTITY FULL' });
    await cluster.query('CREATE UNLOGGED TABLE fleeting (tenant bigint PRIMARY KEY)');
    await cluster.createDistributedTable('fleeting', 'tenant', { shardCount: 4 });
    await expect(open('fleeting', { name: 'refused' }).next()).rejects.toMatchObject({ id: 'unsupportedTable', hint: 'ALTER TABLE "public"."fleeting" SET LOGGED' });
    await expect(open('parted', { name: 'refused' }).next()).rejects.toMatchObject({ id: 'unsupportedTable', message: expect.stringMatching(/is partitioned/) as string });
    await expect(open('nowhere', { name: 'refused' }).next()).rejects.toMatchObject({ id: 'notDistributed' });
    await expect(open([], { name: 'refused' }).next()).rejects.toMatchObject({ id: 'invalidParameter' });
    await expect(open('notes', { name: 'refused', maxRetainedBytes: 0 }).next()).rejects.toMatchObject({ id: 'invalidParameter' });
    expect((await cluster.feeds()).some(({ name }) => name === 'refused')).toBe(false);
    const changes = open('notes', { name: 'held' });
    const waiting = changes.next();
    await streaming('held');
    await expect(cluster.query('DROP TABLE notes')).rejects.toMatchObject({ id: 'tableInFeed', hint: 'Drop the feed first: cluster.dropFeed().' });
    await expect(cluster.alterDistributedTable('notes', { shardCount: 8 })).rejects.toMatchObject({ id: 'tableInFeed' });
    await expect(cluster.undistributeTable('notes')).rejects.toMatchObject({ id: 'tableInFeed' });
    await cluster.dropFeed('held');
    await expect(waiting).rejects.toMatchObject({ id: 'unknownFeed' });
    await expect(cluster.dropFeed('held')).rejects.toMatchObject({ id: 'unknownFeed' });
  });

  test('a feed that keeps too much, or has lost a slot, is lost, says so, and keeps nothing', async () => {
    for (const { name } of await cluster.feeds()) await cluster.dropFeed(name);
    const small = open('notes', { name: 'small', maxRetainedBytes: 200_000 });
    const waiting = small.next();
    await streaming('small');
    await small.return();
    await waiting;
    await cluster.query(`INSERT INTO notes (tenant, id, body) SELECT 4, g, repeat('k', 4000) FROM generate_series(1, 200) g`);
    // Nobody reads it: another process looks after it.
    const guard = new Cluster({ connectionString: databases.coordinator.connectionString, recoveryIntervalMs: 50 });
    await guard.query('SELECT 1');
    await streaming('small', 'lost');
    await expect(open('notes', { name: 'small' }).next()).rejects.toMatchObject({ id: 'feedLost', detail: expect.stringMatching(/keeps .* of its log for change feed "small"/) as string });
    await until(async () => (await slots()) === 0);
    await cluster.dropFeed('small');
    const dropped = open('notes', { name: 'dropped' });
    const pulling = dropped.next();
    await streaming('dropped');
    // Its connection is cut, which it gets over.
    await onNode(1, 'SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE database = current_database()');
    await cluster.query('INSERT INTO notes (tenant, id) SELECT g, 1 FROM generate_series(100, 120) g');
    expect((await pulling).value).toMatchObject({ kind: 'insert', key: { id: 1 } });
    await pull(dropped, 20);
    await dropped.return();
    await onNode(1, 'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()');
    await expect(open('notes', { name: 'dropped' }).next()).rejects.toMatchObject({ id: 'feedLost' });
    await until(async () => (await slots()) === 0);
    await cluster.dropFeed('dropped');
    // One that was being made by a process that is gone.
    await cluster.query(`INSERT INTO shardwright.feed (name, state, max_retained_bytes) VALUES ('half', 'creating', 1); INSERT INTO shardwright.feed_node SELECT feed_id, 1 FROM shardwright.feed`);
    await until(async () => (await cluster.feeds()).length === 0);
    await guard.end();
    await cluster.query('TRUNCATE notes');
  });
});
