import { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { nodeId } from '../../src/catalog/ids.ts';
import { createNodePools, type NodePools } from '../../src/cluster/node-pools.ts';
import { volatileSettings } from '../../src/embedded/default-settings.ts';
import { type PostgresServer, startPostgres } from '../../src/embedded/postgres-server.ts';
import type { MovedShard } from '../../src/move/moved-tables.ts';
import { lockSources, referringFirst } from '../../src/move/steps/lock-sources.ts';

/** `refers`: OIDs of the tables that foreign keys point to. */
function shard(oid: number, refers: readonly number[] = []): MovedShard {
  return { sql: `t${oid}`, name: `t${oid}`, definition: { oid, constraints: refers.map((table) => ({ foreign: { table: { oid: table } } })) } } as unknown as MovedShard;
}

test.each([
  ['those that refer come first', [shard(1), shard(2, [1]), shard(3, [2])], [3, 2, 1]],
  ['others keep their order', [shard(1), shard(2), shard(3, [2])], [1, 3, 2]],
  ['to themselves, and in a circle', [shard(1, [1, 2]), shard(2, [1])], [2, 1]],
])('%s', (_, shards, expected) => {
  expect(referringFirst(shards).map(({ sql }) => sql)).toEqual(expected.map((oid) => `t${oid}`));
});

let server: PostgresServer;
let pools: NodePools;
beforeAll(async () => {
  server = await startPostgres({ settings: volatileSettings });
  const { connectionString } = server;
  pools = createNodePools([1, 2].map((id) => ({ id: nodeId(id), name: `node ${id}`, config: { client: { connectionString } } })));
  await pools.get(nodeId(1)).query({ text: 'CREATE TABLE t1 (a int)' });
  await pools.get(nodeId(1)).query({ text: 'CREATE TABLE t2 (a int)' });
}, 60_000);
afterAll(async () => {
  await pools.end();
  await server.stop('immediate');
}, 60_000);

test('who holds one of two and waits for the other gets it, and so do we', async () => {
  const signal = new AbortController().signal;
  const nodes = await Promise.all([1, 2].map(async (id) => ({ connection: await pools.get(nodeId(id)).acquire(), shards: [shard(id)] })));
  for (const { connection } of nodes) await connection.query({ text: 'BEGIN' });
  const other = await new Client(server.connectionString).connect();
  await other.query('BEGIN; LOCK TABLE t2 IN ROW EXCLUSIVE MODE');
  const locking = lockSources(nodes, 400, signal);
  // Only in the pause between two tries can it be had.
  await other.query('LOCK TABLE t1 IN ROW EXCLUSIVE MODE; COMMIT');
  await locking;
  const { rows } = await other.query(`SELECT relation::regclass::text AS name, mode FROM pg_locks WHERE relation IN ('t1'::regclass, 't2'::regclass) ORDER BY 1`);
  expect(rows).toEqual([{ name: 't1', mode: 'AccessExclusiveLock' }, { name: 't2', mode: 'AccessExclusiveLock' }]);
  // With nobody letting go it ends, and the transaction has its other work still.
  for (const { connection } of nodes) await connection.query({ text: 'ROLLBACK' });
  await other.query('BEGIN; LOCK TABLE t2 IN ROW EXCLUSIVE MODE');
  for (const { connection } of nodes) await connection.query({ text: 'BEGIN' });
  await expect(lockSources(nodes, 40, signal)).rejects.toMatchObject({ code: '55P03' });
  for (const { connection } of nodes) {
    await connection.query({ text: 'ROLLBACK' });
    connection.release();
  }
  await other.end();
});
