import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ClusterAndPlain, startCluster } from '../coordinator/start-cluster.ts';
import { scriptArguments } from '../support/child-script.ts';
import { lookupRows, tableRows } from './lookup-pair.ts';

/** A process that changes a lookup, or the partitions of a table that has one, is killed at each of its messages to a server, or at some of many. Afterwards the change is made or is not, and the lookup has the keys of exactly the rows that there are. */
let pair: ClusterAndPlain;
beforeAll(async () => {
  pair = await startCluster({ recoveryIntervalMs: 0, nodes: 2 });
  const { cluster } = pair;
  await cluster.query(`CREATE TABLE users (tenant_id bigint, id int, y int, email text, PRIMARY KEY (tenant_id, id, y)) PARTITION BY LIST (y)`);
  await cluster.query('CREATE TABLE users_1 PARTITION OF users FOR VALUES IN (1); CREATE TABLE users_2 PARTITION OF users FOR VALUES IN (2)');
  await cluster.createDistributedTable('users', 'tenant_id', { shardCount: 4 });
  await cluster.query(`INSERT INTO users SELECT i % 9, i, 1, 'e' || i FROM generate_series(1, 60) i`);
}, 120_000);
afterAll(() => pair[Symbol.asyncDispose](), 30_000);

/** The signal that it ended by: SIGTERM where the change was made with fewer messages. */
async function killedAt(change: string, nth: number): Promise<NodeJS.Signals | null> {
  const child = spawn(process.execPath, [...scriptArguments(new URL('killed-process.ts', import.meta.url)), pair.databases.coordinator.connectionString, change, String(nth)], { stdio: ['ignore', 'ignore', 'inherit'] });
  const [, signal] = await once(child, 'exit') as [number | null, NodeJS.Signals | null];
  return signal;
}

/** Every test starts with the lookup, and with rows in both partitions. */
async function putRight(): Promise<void> {
  const { cluster } = pair;
  const attached = async (): Promise<boolean> => (await cluster.query(`SELECT FROM pg_inherits WHERE inhrelid = to_regclass('users_2')`)).rowCount === 1;
  if ((await cluster.query(`SELECT FROM pg_class WHERE relname = 'users_2' AND relkind = 'r'`)).rowCount === 0) await cluster.query('CREATE TABLE users_2 PARTITION OF users FOR VALUES IN (2)');
  else if (!(await attached())) await cluster.query('ALTER TABLE users ATTACH PARTITION users_2 FOR VALUES IN (2)');
  if (!(await cluster.lookups()).some(({ valid }) => valid)) await cluster.createUniqueLookup('users', 'email');
  await cluster.query(`INSERT INTO users SELECT i % 9, i, 2, 'f' || i FROM generate_series(1, 60) i ON CONFLICT (tenant_id, id, y) DO NOTHING`);
}

async function checkWhole(): Promise<void> {
  const { cluster } = pair;
  // Servers see by and by that the process is gone.
  await expect.poll(async () => (await cluster.recover()).left, { timeout: 20_000 }).toEqual([]);
  const valid = (await cluster.lookups()).some((lookup) => lookup.valid);
  if (valid) expect(await lookupRows(pair, ['email'])).toEqual(await tableRows(cluster, ['email']));
  expect((await cluster.verify()).text).toMatch(/no differences/);
  expect((await cluster.checkSchema()).text).toMatch(/no differences/);
}

const detach = 'ALTER TABLE users DETACH PARTITION users_2';
test.each([
  ['createUniqueLookup', 'create', () => pair.cluster.dropUniqueLookup('users', ['email'])], ['dropUniqueLookup', 'drop', undefined],
  ['DETACH', detach, undefined], ['ATTACH', 'ALTER TABLE users ATTACH PARTITION users_2 FOR VALUES IN (2)', () => pair.cluster.query(detach)],
  ['DROP', 'DROP TABLE users_2', undefined], ['TRUNCATE of a partition', 'TRUNCATE users_2', undefined], ['TRUNCATE', 'TRUNCATE users', undefined],
] as const)('%s', async (_name, change, prepare) => {
  let kills = 0;
  for (let nth = 1; ; nth *= 2) {
    await putRight();
    await prepare?.();
    const signal = await killedAt(change, nth);
    await checkWhole();
    if (signal === 'SIGTERM') break;
    expect(signal).toBe('SIGKILL');
    kills += 1;
  }
  expect(kills).toBeGreaterThan(3);
}, 240_000);
