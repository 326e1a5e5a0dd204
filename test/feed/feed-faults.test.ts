import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import { startPostgres, volatileSettings } from '../../src/embedded.ts';
import { listRemains, startMoveCluster } from '../move/move-cluster.ts';
import { rowsThere, startLoad } from '../move/writing-load.ts';
import { Random } from '../oracle/random.ts';
import { scriptArguments } from '../support/child-script.ts';

test('a copy in another database is exact, however often its process is killed, while shards move and split', async () => {
  await using servers = await startMoveCluster({ nodes: 2 });
  await using target = await startPostgres({ settings: volatileSettings });
  const { cluster, embedded } = servers;
  const random = new Random(11);
  await cluster.query('CREATE INDEX ON orders (id); CREATE INDEX ON items (tenant, id)');
  await cluster.query(`INSERT INTO orders SELECT t, t * 1000 + i, i, 'early', 'pro' FROM generate_series(1, 8) t, generate_series(1, 50) i`);
  const complaints: string[] = [];
  const start = (): ChildProcess => {
    const child = spawn(process.execPath, [...scriptArguments(new URL('mirror-child.ts', import.meta.url)), embedded.connectionString, target.connectionString], { stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => complaints.push(text));
    return child;
  };
  const load = startLoad([cluster], { tenants: 8, writers: 2, from: 1e9 });
  const moving = (async () => {
    const nodeOf = async (shardId: number): Promise<number> => (await cluster.shards()).find((one) => one.shardId === shardId)?.nodeId ?? 0;
    const [first, second] = (await cluster.shards()).filter(({ table }) => table === 'orders').map(({ shardId }) => shardId);
    for (let i = 0; i < 4; i += 1) await cluster.moveShardGroup(first ?? 0, { to: 3 - (await nodeOf(first ?? 0)) });
    await cluster.splitShardGroup(second ?? 0, { into: 2, nodes: [1, 2] });
  })();
  const copy = await new Client(target.connectionString).connect();
  const placeOf = async (): Promise<unknown> => (await copy.query(`SELECT string_agg(cursor, '') AS cursor FROM place`).catch(() => ({ rows: [] }))).rows[0];
  for (let i = 0; i < 6; i += 1) {
    const before = JSON.stringify(await placeOf());
    const child = start();
    // When it has gone on from where the one before was, and a little later.
    while (child.exitCode === null && JSON.stringify(await placeOf()) === before) await delay(20);
    await delay(random.int(0, 300));
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  await moving;
  await load.stop();
  expect(load.failures).toEqual([]);
  const wanted = (await rowsThere(cluster, 1e9)).orders;
  const last = start();
  const there = async (): Promise<string[]> => (await copy.query<{ line: string }>(`SELECT tenant || '/' || id || ': ' || total AS line FROM orders WHERE id >= 1000000000`)).rows.map(({ line }) => line).toSorted();
  for (const deadline = performance.now() + 60_000; performance.now() < deadline && last.exitCode === null && (await there()).join() !== wanted.join();) await delay(100);
  expect(await there()).toEqual(wanted);
  const early = await copy.query<{ count: string }>('SELECT count(*) FROM orders WHERE id < 1000000000');
  expect(early.rows[0]?.count).toBe('400');
  last.kill('SIGKILL');
  await once(last, 'exit');
  await copy.end();
  expect(complaints).toEqual([]);
  expect(at(await cluster.feeds(), 0).state).toBe('streaming');
  await cluster.dropFeed('copy');
  expect((await listRemains(servers.on, [1, 2])).filter((line) => line !== 'lock')).toEqual([]);
}, 180_000);
