import { afterAll, beforeAll, expect, test } from 'vitest';
import { at } from '../../src/base/assert.ts';
import type { Cluster } from '../../src/index.ts';
import { type ClusterAndPlain, run, startCluster } from './start-cluster.ts';

let pair: ClusterAndPlain;
let cluster: Cluster;
beforeAll(async () => {
  pair = await startCluster({ nodes: 2 });
  cluster = pair.cluster;
});
afterAll(() => pair[Symbol.asyncDispose](), 15_000);

test('a column that a shard misses is told of with node and shard, and found by the check', async () => {
  const { rows: clean } = await cluster.query('SELECT shardwright_check_schema()');
  expect(clean).toEqual([{ shardwright_check_schema: '18 shards compared, no differences' }]);
  const shard = await cluster.shardOf('orders', 3);
  const { connectionString } = at(pair.databases.nodes, shard.nodeId - 1);
  await run(connectionString, `ALTER TABLE ${shard.name} DROP COLUMN note`);
  const told = {
    code: '42703',
    where: expect.stringContaining(`node ${shard.node}, shard ${shard.shardId}`) as string,
    hint: expect.stringContaining('cluster.checkSchema()') as string,
  };
  await expect(cluster.query('SELECT note FROM orders WHERE tenant_id = 3')).rejects.toMatchObject(told);
  await expect(cluster.query('UPDATE orders SET note = $2 WHERE tenant_id = $1', [3, 'x'])).rejects.toMatchObject(told);
  await expect(cluster.query('SELECT max(note) FROM orders')).rejects.toMatchObject({ ...told, where: expect.stringContaining(`${shard.shardId}`) as string });
  // As one statement for a node's shards, and as one for each; with rows as they come, and the first of all.
  for (const sql of ['SELECT * FROM orders', 'SELECT * FROM orders ORDER BY tenant_id, id', 'SELECT * FROM orders ORDER BY tenant_id, id LIMIT 60', 'SELECT * FROM orders WHERE id = 1']) {
    const told = { code: expect.stringMatching(/^42(703|601)$/) as string, detail: expect.any(String) as string, hint: expect.stringContaining('cluster.checkSchema()') as string };
    for (let i = 0; i < 3; i += 1) await expect(cluster.query(sql)).rejects.toMatchObject(told);
    await expect(read(cluster.stream(sql))).rejects.toMatchObject(told);
  }
  // A column that the table does not have either is nobody's drift.
  const unknown = await cluster.query('SELECT nothing FROM orders WHERE tenant_id = 3').catch((error: unknown) => error);
  expect(unknown).toMatchObject({ code: '42703', message: 'column "nothing" does not exist' });
  expect(unknown).not.toHaveProperty('hint', told.hint);
  const { differences } = await cluster.checkSchema();
  expect(differences).toMatchObject([{ table: 'orders', shard: shard.name, node: shard.node, what: 'column "note"', expected: 'text', found: null }]);
  const { rows } = await cluster.query<{ report: string }>('SELECT shardwright_check_schema() AS report');
  expect(rows[0]?.report).toContain(`table public.orders, shard ${shard.name}, node ${shard.node}: column "note"`);
  await run(connectionString, at(differences, 0).repair);
  expect((await cluster.query('SELECT note FROM orders WHERE tenant_id = 3 LIMIT 1')).rows).toEqual([{ note: null }]);
  expect((await cluster.checkSchema()).differences).toMatchObject([{ what: 'order of columns' }]);
});

async function read(rows: AsyncIterable<unknown>): Promise<number> {
  let count = 0;
  for await (const _ of rows) count += 1;
  return count;
}
