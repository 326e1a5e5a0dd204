import { Client } from 'pg';
import { expect, test } from 'vitest';
import { at, present } from '../../src/base/assert.ts';
import type { ClusterAndPlain } from '../coordinator/start-cluster.ts';
import { lookupRows, startUsers, tableRows, untilWaiting } from './lookup-pair.ts';

/** What a transaction of its own holds, until it ends, on a node. */
async function held(nodes: ClusterAndPlain['databases']['nodes'], node: number, text: string): Promise<Client> {
  const client = new Client({ connectionString: at(nodes, node - 1).connectionString });
  await client.connect();
  await client.query(`BEGIN; ${text}`);
  return client;
}

/** The last shard on a node holds up the making of the lookup, and the first one TRUNCATE, which is planned by the catalog of before. In between a row is written. */
test('TRUNCATE by a process that has not heard of a lookup leaves no keys in it', async () => {
  await using pair = await startUsers();
  const { cluster, databases } = pair;
  const other = pair.another();
  await other.query('SELECT count(*) FROM users');
  const shards = (await cluster.shards()).filter(({ table, nodeId }) => table === 'users' && nodeId === 1);
  const hold = (shard: string, mode: string) => held(databases.nodes, 1, `LOCK TABLE "${shard}" IN ${mode} MODE`);
  const [first, last] = [await hold(at(shards, 0).name, 'ACCESS SHARE'), await hold(present(shards.at(-1)).name, 'ROW EXCLUSIVE')];
  const made = cluster.createUniqueLookup('users', 'email');
  await untilWaiting(pair, 1);
  const truncated = other.query('TRUNCATE users');
  await untilWaiting(pair, 4);
  await last.end();
  while ((await cluster.lookups()).length === 0);
  const tenants = Array.from({ length: 12 }, (_, i) => i + 1);
  const places = await Promise.all(tenants.map((tenant) => cluster.shardOf('users', tenant)));
  const tenant = 1 + places.findIndex(({ name }) => name === shards.at(-1)?.name);
  await cluster.query(`INSERT INTO users (tenant_id, id, email) VALUES ($1, 1000, 'between@x')`, [tenant]);
  await first.end();
  await Promise.all([made, truncated]);
  expect(await tableRows(cluster, ['email'])).toEqual([]);
  expect(await lookupRows(pair, ['email'])).toEqual([]);
  await cluster.query(`INSERT INTO users (tenant_id, id, email) VALUES ($1, 1, 'between@x')`, [tenant]);
}, 60_000);

/** The build has the shard open when TRUNCATE begins to wait for it, and rows of it left to lock. */
test('TRUNCATE and the build of a lookup do not wait for each other', async () => {
  await using pair = await startUsers();
  const { cluster, databases } = pair;
  await cluster.query(`INSERT INTO users (tenant_id, id, email) SELECT 1, i, 'x' || i FROM generate_series(1000, 9000) i`);
  const { name, nodeId } = await cluster.shardOf('users', 1);
  const holder = await held(databases.nodes, nodeId, `SELECT FROM "${name}" WHERE email = (SELECT email FROM "${name}" WHERE email IS NOT NULL LIMIT 1) FOR UPDATE`);
  const made = cluster.createUniqueLookup('users', 'email');
  await untilWaiting(pair, 1);
  const truncated = cluster.query('TRUNCATE users');
  await untilWaiting(pair, 2);
  await holder.end();
  await Promise.all([made, truncated]);
  expect(await lookupRows(pair, ['email'])).toEqual([]);
  await cluster.query(`INSERT INTO users (tenant_id, id, email) VALUES (1, 1, 'x1000')`);
  expect(await lookupRows(pair, ['email'])).toEqual(['x1000,1']);
}, 60_000);
