import { coordinatorNodeId } from '../../src/catalog/coordinator-node.ts';
import { createNodePools, type NodePools } from '../../src/cluster/node-pools.ts';
import { Moves } from '../../src/move/moves.ts';
import { loadSnapshot } from '../../src/store/load-snapshot.ts';
import { beginTransaction } from '../../src/txn/begin-transaction.ts';

/** The moves of a process that has nothing else, named so on its servers. */
export async function openMoves(coordinator: string, applicationName: string, addresses: (node: { readonly host: string; readonly port: number }) => { readonly host: string; readonly port: number } = (node) => node): Promise<{ readonly moves: Moves; readonly pools: NodePools; readonly leave: AbortController }> {
  const client = { connectionString: coordinator, application_name: applicationName };
  const first = { id: coordinatorNodeId, name: 'coordinator', config: { client } };
  const pools = createNodePools([first]);
  const { clusterId, nodes } = await loadSnapshot(pools.get(coordinatorNodeId));
  pools.setNodes([first, ...nodes.map((node) => {
    const { host, port } = addresses(node);
    return { id: node.id, name: `${node.host}:${node.port}`, config: { client: { host, port, user: 'postgres', database: node.database, application_name: applicationName } } };
  })]);
  const leave = new AbortController();
  const services = { pools, clusterId, begin: (onStep: Parameters<typeof beginTransaction>[1]['onStep']) => beginTransaction(pools, { clusterId, onStep }), refreshCatalog: () => Promise.resolve() };
  return { moves: new Moves(services, leave.signal), pools, leave };
}
