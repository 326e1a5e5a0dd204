import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import type { NodePools } from '../../src/cluster/node-pools.ts';
import type { Cluster } from '../../src/index.ts';
import type { MoveLimits } from '../../src/move/move-context.ts';
import type { Moves } from '../../src/move/moves.ts';
import { openMoves } from './fault-moves.ts';
import { type MoveCluster, startMoveCluster } from './move-cluster.ts';

let servers: MoveCluster;
let cluster: Cluster;
let mover: { readonly moves: Moves; readonly pools: NodePools };
beforeAll(async () => {
  servers = await startMoveCluster({ nodes: 2, options: { recoveryIntervalMs: 0 } });
  cluster = servers.cluster;
  await cluster.query(`INSERT INTO orders SELECT g % 50, g, g, repeat('x', 500) FROM generate_series(1, 4000) g`);
  mover = await openMoves(servers.embedded.connectionString, 'mover');
}, 120_000);
afterAll(async () => {
  await mover.pools.end();
  await servers[Symbol.asyncDispose]();
}, 60_000);

/** Makes a move; `at` runs before that step. Resolves to what came of it. */
async function move(limits: Partial<MoveLimits>, step: string, work: (from: number, to: number) => Promise<unknown>): Promise<unknown> {
  const { shardGroup: group, from, to } = await servers.place('orders');
  const onStep = async (reached: string): Promise<void> => {
    if (reached === step) await work(from, to);
  };
  return mover.moves.move({ group, from, to, limits }, { onStep, patienceMs: 1_500 }).then(() => 'done', (error: unknown) => error);
}

/** Slots are looked at every second. */
const untilLookedAt = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1_500));

const stateOf = async (): Promise<unknown> => ({ ...at((await cluster.jobs({ all: true })).slice(-1), 0) });

describe('what differs before the cut-over is told with its keys, and the move undone', () => {
  const plant = (text: string) => async (_: number, to: number): Promise<void> => {
    const [[staged] = []] = await servers.on(to, `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname LIKE 'shardwright_move%' AND tablename LIKE 'orders%'`);
    await servers.on(to, text.replaceAll('$s', String(staged)));
  };
  test.each([
    ['a changed value', `UPDATE $s SET note = note || 'y' WHERE ctid = (SELECT min(ctid) FROM $s)`, /^\(\d+,\d+\) differs\.$/],
    ['a missing row', `DELETE FROM $s WHERE ctid = (SELECT min(ctid) FROM $s)`, /^\(\d+,\d+\) is missing\.$/],
    ['a row too many', 'INSERT INTO $s SELECT tenant, -1 FROM $s LIMIT 1', /^\(\d+,-1\) should not be there\.$/],
  ])('%s', async (_, text, detail) => {
    const before = await servers.place('orders');
    expect(await move({}, 'catch_up:done', plant(text))).toMatchObject({
      id: 'moveUndone', cause: expect.objectContaining({ id: 'copyDiffers', detail: expect.stringMatching(detail) as string }) as unknown,
    });
    expect(await servers.place('orders')).toEqual(before);
    expect(await servers.remains()).toEqual([]);
    // That it was this state that noticed. A sample notices rows too few or too many.
    if (text.startsWith('DELETE')) expect(await move({ verify: 'sample' }, 'catch_up:done', plant(text))).toMatchObject({ id: 'moveUndone' });
    if (text.startsWith('INSERT')) {
      expect(await move({ verify: false }, 'catch_up:done', plant(text))).toBe('done');
      await cluster.query('DELETE FROM orders WHERE id = -1');
    }
  }, 60_000);
});

test('a rate that may not be exceeded is kept, and rows are counted', async () => {
  const { shardId, from } = await servers.place('orders');
  const [[count] = []] = await servers.on(from, `SELECT count(*)::text FROM orders_${shardId}`);
  const started = performance.now();
  expect(await move({ maxBytesPerSecond: 200_000 }, '', () => Promise.resolve())).toBe('done');
  const bytes = Number((await servers.on(0, 'SELECT progress->>\'bytesCopied\' FROM shardwright.job ORDER BY job_id DESC LIMIT 1'))[0]?.[0]);
  expect(bytes).toBeGreaterThan(300_000);
  expect(await servers.on(0, 'SELECT progress->>\'rowsCopied\' FROM shardwright.job ORDER BY job_id DESC LIMIT 1')).toEqual([[count]]);
  expect(performance.now() - started).toBeGreaterThan((bytes / 200_000 - 0.3) * 1_000);
}, 60_000);

describe('a move is undone by itself', () => {
  test('when the source keeps too much of its log', async () => {
    const before = await servers.place('orders');
    const outcome = await move({ maxRetainedBytes: 4 * 1024 ** 2 }, 'index:begun', async (from) => {
      await servers.on(from, `CREATE TABLE ballast AS SELECT repeat('x', 2000) FROM generate_series(1, 5000); DROP TABLE ballast`);
      await untilLookedAt();
    });
    expect(outcome).toMatchObject({ id: 'moveUndone', message: expect.stringMatching(/of its log for the move$/) as string });
    expect(await servers.place('orders')).toEqual(before);
    expect(await stateOf()).toMatchObject({ state: 'undone', error: expect.stringContaining('maxRetainedBytes, 4.00 MB') as string });
    expect(await servers.remains()).toEqual([]);
  }, 60_000);

  test('when its slot is lost', async () => {
    const outcome = await move({}, 'index:begun', async (from) => {
      await servers.on(from, `ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`);
      await servers.on(from, 'SELECT pg_reload_conf()');
      for (let i = 0; i < 3; i += 1) await servers.on(from, `CREATE TABLE ballast AS SELECT repeat('x', 2000) FROM generate_series(1, 500); DROP TABLE ballast; SELECT pg_switch_wal(); CHECKPOINT`);
      expect(await servers.on(from, 'SELECT wal_status FROM pg_replication_slots')).toEqual([['lost']]);
      await untilLookedAt();
      await servers.on(from, 'ALTER SYSTEM RESET max_slot_wal_keep_size');
      await servers.on(from, 'SELECT pg_reload_conf()');
    });
    expect(outcome).toMatchObject({ id: 'moveUndone', message: expect.stringContaining('is lost') as string });
    expect(await servers.remains()).toEqual([]);
  }, 60_000);

  /** What a server says whose disk is full, from the given moment on. */
  const fullDisk = `CREATE SCHEMA full_disk; CREATE FUNCTION full_disk.say() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'No space left on device' USING ERRCODE = '53100'; END $$;
    CREATE FUNCTION full_disk.say_of_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id > 3000 THEN RAISE 'No space left on device' USING ERRCODE = '53100'; END IF; RETURN NEW; END $$;
    CREATE FUNCTION full_disk.plant() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE made text; BEGIN
      FOR made IN SELECT object_identity FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE 'shardwright_move%.orders_%' AND object_type = 'table' LOOP
        EXECUTE 'CREATE TRIGGER full_disk BEFORE INSERT ON ' || made || ' FOR EACH ROW EXECUTE FUNCTION full_disk.say_of_row()'; END LOOP; END $$;`;
  test.each([
    ['in the middle of the copy', `CREATE EVENT TRIGGER full_disk ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION full_disk.plant()`],
    ['when indexes are built', `CREATE EVENT TRIGGER full_disk ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION full_disk.say()`],
  ])('when the disk of the target is full %s', async (_, trigger) => {
    const before = await servers.place('orders');
    await servers.on(before.to, `${fullDisk} ${trigger}`);
    const outcome = await move({}, '', () => Promise.resolve());
    await servers.on(before.to, 'DROP SCHEMA full_disk CASCADE');
    expect(outcome).toMatchObject({ id: 'moveUndone', cause: expect.objectContaining({ code: '53100' }) as unknown });
    expect(await servers.place('orders')).toEqual(before);
    expect(await servers.remains()).toEqual([]);
  }, 60_000);
});
