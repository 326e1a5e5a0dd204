import { coordinatorNodeId } from '../../src/catalog/coordinator-node.ts';
import type { ClusterNode } from '../../src/catalog/catalog-snapshot.ts';
import { createNodePools, type NodeEndpoint, type NodePools } from '../../src/cluster/node-pools.ts';
import type { DdlContext } from '../../src/ddl/ddl-context.ts';
import type { MoveServices } from '../../src/move/move-context.ts';
import { Moves } from '../../src/move/moves.ts';
import { loadSnapshot } from '../../src/store/load-snapshot.ts';
import { beginTransaction } from '../../src/txn/begin-transaction.ts';

/** The moves of a process that has nothing else, named so on its servers. */
export async function openMoves(coordinator: string, applicationName: string, addresses: (node: { readonly host: string; readonly port: number }) => { readonly host: string; readonly port: number } = (node) => node): Promise<{ readonly moves: Moves; readonly pools: NodePools; readonly leave: AbortController; readonly context: DdlContext }> {
  const client = { connectionString: coordinator, application_name: applicationName };
  const first: NodeEndpoint = { id: coordinatorNodeId, name: 'coordinator', config: { client } };
  const pools = createNodePools([first]);
  const { clusterId, nodes } = await loadSnapshot(pools.get(coordinatorNodeId));
  const endpointOf = (node: ClusterNode): NodeEndpoint => {
    const { host, port } = addresses(node);
    return { id: node.id, name: `${node.host}:${node.port}`, config: { client: { host, port, user: 'postgres', database: node.database, application_name: applicationName } } };
  };
  const known = [first, ...nodes.map(endpointOf)];
  pools.setNodes(known);
  const leave = new AbortController();
  const services: MoveServices = {
    pools, clusterId, begin: (onStep) => beginTransaction(pools, { clusterId, onStep }), refreshCatalog: () => Promise.resolve(),
    admitNodes: (added) => {
      // For ever: such a process does no more than one job.
      for (const node of added) if (!known.some(({ id }) => id === node.id)) known.push({ ...endpointOf(node), isUnlisted: true });
      pools.setNodes(known);
      return { [Symbol.dispose]: () => undefined };
    },
  };
  const context = { begin: () => services.begin(), admitNodes: () => undefined, dismissNode: () => undefined, refreshCatalog: () => Promise.resolve() };
  return { moves: new Moves(services, leave.signal), pools, leave, context };
}
