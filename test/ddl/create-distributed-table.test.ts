import { expect, test } from 'vitest';
import { createDistributedTable } from '../../src/ddl/create-distributed-table.ts';
import { openTestCluster } from './test-cluster.ts';

test.each([15, 18] as const)('an empty table on version %i: one shard per slice, round the nodes', async (major) => {
  await using cluster = await openTestCluster({ major });
  await cluster.sql('CREATE TABLE orders (tenant bigint, id bigserial, PRIMARY KEY (tenant, id))');
  const started = performance.now();
  await createDistributedTable(cluster.context, 'orders', 'tenant');
  console.log('ms', performance.now() - started);
  const snapshot = await cluster.snapshot();
  const table = await cluster.table('orders');
  expect(table).toMatchObject({ kind: 'distributed', distributionColumn: { name: 'tenant' } });
  const [group] = snapshot.colocationGroups.values();
  expect(group?.shardGroups.map(({ node }) => node)).toEqual(Array.from({ length: 32 }, (_, i) => (i % 3) + 1));
  expect(await cluster.onNode(0, `SELECT count(*)::int FROM pg_tables WHERE tablename ~ '^orders_1020'`)).toEqual([[11]]);
});
