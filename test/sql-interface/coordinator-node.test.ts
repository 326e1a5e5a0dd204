import { expect, test } from 'vitest';
import { Cluster } from '../../src/index.ts';
import { createTestDatabases } from '../support/test-databases.ts';

test('where the coordinator database is a node, too, catalogs do not show its shards', async () => {
  await using databases = await createTestDatabases({ nodes: 1 });
  const cluster = new Cluster({ connectionString: databases.coordinator.connectionString });
  try {
    for (const { host, port, database } of [databases.coordinator, ...databases.nodes]) await cluster.addNode({ host, port, database });
    await cluster.query('CREATE TABLE orders (tenant_id bigint, id int, note text, PRIMARY KEY (tenant_id, id)); CREATE INDEX orders_note ON orders (note); CREATE TABLE orders_123456 (id int)');
    await cluster.createDistributedTable('orders', 'tenant_id', { shardCount: 4 });
    const names = async (text: string): Promise<unknown> => (await cluster.query({ text, rowMode: 'array' })).rows.map(([name]) => name);
    expect(await names(`SELECT relname FROM pg_class WHERE relname LIKE 'orders%' ORDER BY 1`)).toEqual(['orders', 'orders_123456', 'orders_note', 'orders_pkey']);
    expect(await names(`SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_type t ON t.typrelid = c.oid WHERE t.typname LIKE $1 || '%' ORDER BY 1`.replace('$1', `'orders'`))).toEqual(['orders', 'orders_123456']);
    expect(await names(`SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1`)).toEqual(['orders', 'orders_123456']);
    expect(await names(`SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1`)).toEqual(['orders_note', 'orders_pkey']);
    expect(await names(`SELECT nodename FROM citus_shards WHERE table_name = 'orders'::regclass`)).toHaveLength(4);
    expect(await names(`SELECT pg_table_size('orders') = sum(result::bigint) FROM run_command_on_placements('orders', $cmd$ SELECT pg_table_size('%s') $cmd$)`)).toEqual([true]);
  } finally {
    await cluster.end();
  }
});
