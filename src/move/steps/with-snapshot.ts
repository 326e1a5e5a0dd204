import type { NodeConnection, NodeConnections } from '../../cluster/node-connection.ts';
import type { CreatedSlot } from '../../cluster/replication-connection.ts';
import { withConnection } from '../../cluster/with-connection.ts';
import { definitionSettings } from '../../ddl/definition-settings.ts';

/** Reads what was committed when the slot was made. */
export async function withSnapshot(source: NodeConnections, { snapshot }: CreatedSlot, signal: AbortSignal, read: (connection: NodeConnection) => Promise<void>): Promise<void> {
  await withConnection(source, signal, async (connection) => {
    await connection.query({ text: `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '${snapshot}'; ${definitionSettings}`, simple: true }, { signal });
    await read(connection);
    await connection.query({ text: 'COMMIT' });
  });
}
