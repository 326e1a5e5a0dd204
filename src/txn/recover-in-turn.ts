import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { withConnection } from '../cluster/with-connection.ts';
import { gidCluster } from './gid.ts';
import { recover } from './recover.ts';

/**
 * Recovery as every process does it now and then: one at a time, whoever holds an advisory lock in the coordinator database. It holds a connection to each node only as long as it asks.
 * Resolves to whether all was looked after: false where another process does so, or something is left.
 */
export async function recoverInTurn(pools: NodePools, { clusterId, signal }: { readonly clusterId: string; readonly signal: AbortSignal }): Promise<boolean> {
  return withConnection(pools.get(coordinatorNodeId), signal, async (connection) => {
    await connection.query({ text: 'BEGIN' }, { signal });
    const report = (await isOurs(connection, clusterId, signal)) ? await recover(pools, { clusterId, signal }) : undefined;
    await connection.query({ text: 'ROLLBACK' });
    return report?.left.length === 0;
  });
}

/** Until the end of the transaction. */
async function isOurs(connection: NodeConnection, clusterId: string, signal: AbortSignal): Promise<boolean> {
  const { rows } = await connection.query({ text: 'SELECT pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))', values: [`shardwright recovery ${gidCluster(clusterId)}`] }, { signal });
  return rows[0]?.[0] === 't';
}
