import { coordinatorNodeId } from '../../src/catalog/coordinator-node.ts';
import type { NodeEndpoint } from '../../src/cluster/node-pools.ts';
import { createNodePools } from '../../src/cluster/node-pools.ts';
import type { DdlContext } from '../../src/ddl/ddl-context.ts';
import { replaceNode } from '../../src/ddl/replace-node.ts';
import { loadSnapshot } from '../../src/store/load-snapshot.ts';
import { beginTransaction } from '../../src/txn/begin-transaction.ts';
import { watched } from './watched-transaction.ts';

/** Where node 1 is to be, and what becomes of it on the way: `reach` is called before each request to a server, with its number, and behind the commit, with `committed`. */
export interface Replacing {
  readonly connectionString: string;
  readonly host: string;
  readonly port: number;
  readonly reach: (where: number | 'committed') => void;
}

/** As a process of its own would do it. */
export async function replaceFirstNode({ connectionString, host, port, reach }: Replacing): Promise<void> {
  const { hostname, port: ownPort, username: user, pathname } = new URL(connectionString);
  const endpoint = (id: NodeEndpoint['id'], address: { readonly host: string; readonly port: number; readonly database: string }): NodeEndpoint => ({ id, name: `${address.host}:${address.port}`, config: { client: { user, ...address } } });
  const own = endpoint(coordinatorNodeId, { host: hostname, port: Number(ownPort), database: pathname.slice(1) });
  const pools = createNodePools([own]);
  try {
    const { clusterId, nodes } = await loadSnapshot(pools.get(coordinatorNodeId));
    const known = [own, ...nodes.map((node) => endpoint(node.id, node))];
    pools.setNodes(known);
    let requests = 0;
    const context: DdlContext = {
      begin: () => watched(beginTransaction(pools, { clusterId }), () => reach((requests += 1))),
      admitNodes: (list) => pools.setNodes([...known, ...list.map((node) => endpoint(node.id, node))]),
      dismissNode: () => undefined,
      refreshCatalog: () => Promise.resolve(reach('committed')),
    };
    await replaceNode(context, 1 as NodeEndpoint['id'], { address: { host, port, database: 'postgres' } });
  } finally {
    await pools.end();
  }
}
