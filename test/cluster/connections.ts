import type { NodeConnection, NodeConnections } from '../../src/cluster/node-connection.ts';
import type { NodeLimits } from '../../src/cluster/node-settings.ts';
import { openNodeConnections } from '../../src/cluster/open-node-connections.ts';
import { nodeId } from '../../src/catalog/ids.ts';
import { Client } from 'pg';
import { createTestDatabases } from '../support/test-databases.ts';

export interface TestNode extends AsyncDisposable {
  readonly connections: NodeConnections;
  readonly connectionString: string;
  readonly name: string;
  /** Takes an exclusive connection that is released at the end, should a failing test not get to that. */
  acquire(): Promise<NodeConnection>;
  /** Asks the server over a connection besides: whether it is so. */
  sees(sql: string): Promise<boolean>;
}

/** A database of its own and the connections to it; both are gone afterwards, and nothing may be left behind. */
export async function openTestNode(limits: Partial<NodeLimits> = {}): Promise<TestNode> {
  const databases = await createTestDatabases({ nodes: 0 });
  const { connectionString, host, port, database } = databases.coordinator;
  const name = `${host}:${port}/${database}`;
  const connections = openNodeConnections({ id: nodeId(1), name }, { client: { connectionString }, ...limits });
  const acquired: NodeConnection[] = [];
  const observer = new Client(connectionString);
  await observer.connect();
  return {
    connections,
    connectionString,
    name,
    acquire: async () => {
      const connection = await connections.acquire();
      acquired.push(connection);
      return connection;
    },
    sees: async (sql) => {
      const { rows } = await observer.query<{ so: boolean }>(`SELECT (${sql})::boolean AS so`);
      return rows[0]?.so === true;
    },
    [Symbol.asyncDispose]: async () => {
      for (const connection of acquired) connection.release();
      await observer.end();
      await connections.end();
      await databases.drop();
    },
  };
}

/** Asks again and again until it is so; the test's own time limit ends it. */
export async function until(isSo: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setImmediate(resolve));
}
