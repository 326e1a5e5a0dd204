import { Client } from 'pg';
import { coordinatorNodeId } from '../../src/catalog/coordinator-node.ts';
import type { NodeConnections } from '../../src/cluster/node-connection.ts';
import { openNodeConnections } from '../../src/cluster/open-node-connections.ts';
import type { TestMajor } from '../support/start-test-servers.ts';
import { createTestDatabases, type TestDatabase } from '../support/test-databases.ts';

export interface Coordinator extends AsyncDisposable {
  readonly database: TestDatabase;
  readonly connections: NodeConnections;
  /** Runs statements behind the library's back; rows of the last one as arrays. */
  sql(text: string): Promise<readonly (readonly unknown[])[]>;
}

/** A fresh database with nothing in it. */
export async function openCoordinator(major: TestMajor = 18): Promise<Coordinator> {
  const databases = await createTestDatabases({ major, nodes: 0 });
  const database = databases.coordinator;
  const name = `${database.host}:${database.port}/${database.database}`;
  const connections = openNodeConnections({ id: coordinatorNodeId, name }, { client: { connectionString: database.connectionString } });
  const client = new Client(database.connectionString);
  await client.connect();
  return {
    database,
    connections,
    sql: async (text) => {
      const result: unknown = await client.query({ text, rowMode: 'array' });
      return ((Array.isArray(result) ? result.at(-1) : result) as { rows: unknown[][] }).rows;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([client.end(), connections.end()]);
      await databases.drop();
    },
  };
}

/** Metadata written by hand: one node, one group of one shard group, and tables in it by their column at a position. */
export function metadataSql(tables: Readonly<Record<string, number>>): string {
  const rows = Object.entries(tables).map(
    ([table, position]) => `INSERT INTO shardwright.distributed_table VALUES ('${table}', 'distributed', ${position}, 1);
      INSERT INTO shardwright.shard (relation, shard_group_id) VALUES ('${table}', 1)`,
  );
  return [
    `INSERT INTO shardwright.node (host, port, database) VALUES ('h', 1, 'd')`,
    `INSERT INTO shardwright.colocation_group (shard_count, hash_family, distribution_type, joinable_by_default) VALUES (1, 'postgres', 'integer', true)`,
    `INSERT INTO shardwright.shard_group (colocation_id, ordinal, hash_min, hash_max, node_id) VALUES (1, 0, -2147483648, 2147483647, 1)`,
    ...rows,
  ].join(';\n');
}
