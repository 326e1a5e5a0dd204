import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import { openNodeConnections } from '../cluster/open-node-connections.ts';

/** Runs the work with a connection of the superuser to the server's database. */
export async function withServer<T>({ connectionString }: { readonly connectionString: string }, work: (connection: NodeConnection) => Promise<T>): Promise<T> {
  const connections = openNodeConnections({ id: coordinatorNodeId, name: connectionString }, { client: { connectionString } });
  try {
    const connection = await connections.acquire();
    try {
      return await work(connection);
    } finally {
      connection.release();
    }
  } finally {
    await connections.end();
  }
}
