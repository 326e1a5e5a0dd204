import type { NodeConnections } from '../cluster/node-connection.ts';

/** Says something to all processes of the cluster that are there at this moment, over the catalog's channel. Not a number: those are versions. `coordinatorUnreachable`. */
export async function tellProcesses(coordinator: Pick<NodeConnections, 'query'>, payload: string): Promise<void> {
  await coordinator.query({ text: `SELECT pg_catalog.pg_notify('shardwright_catalog_' || replace(id::text, '-', ''), $1) FROM shardwright.cluster`, values: [payload] });
}
