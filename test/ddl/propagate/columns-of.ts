import { Client } from 'pg';
import { at } from '../../../src/base/assert.ts';
import type { Cluster } from '../../../src/index.ts';
import type { TestDatabase, TestDatabases } from '../../support/test-databases.ts';

/** The columns of a table's shell and of each of its shards, as `name type,…`. */
export async function columnsOf({ cluster, databases }: { readonly cluster: Cluster; readonly databases: TestDatabases }, table: string): Promise<string[]> {
  const shards = (await cluster.shards()).filter((shard) => shard.table === table);
  const shell = await ask(databases.coordinator, table);
  return [shell, ...(await Promise.all(shards.map(({ nodeId, name }) => ask(at(databases.nodes, nodeId - 1), name))))];
}

async function ask({ connectionString }: TestDatabase, relation: string): Promise<string> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<{ list: string }>(`SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ',' ORDER BY attnum) AS list
      FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped`, [`"${relation}"`]);
    return rows[0]?.list ?? '';
  } finally {
    await client.end();
  }
}
