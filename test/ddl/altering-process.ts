import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { coordinatorNodeId } from '../../src/catalog/coordinator-node.ts';
import type { NodeId } from '../../src/catalog/ids.ts';
import { createNodePools, type NodeEndpoint } from '../../src/cluster/node-pools.ts';
import { alterDistributedTable } from '../../src/ddl/alter-distributed-table.ts';
import { loadSnapshot } from '../../src/store/load-snapshot.ts';
import { beginTransaction } from '../../src/txn/begin-transaction.ts';
import { watched } from './watched-transaction.ts';

/** Alters table t and what is co-located with it when it is given a line: a shard count, and where it kills itself: a step of the commit, or the number of a request to a server. */
const [connectionString = ''] = process.argv.slice(2);
const [line] = (await once(createInterface(process.stdin), 'line')) as [string];
const [shardCount, where] = line.split(' ');
const { hostname, port, username: user, pathname } = new URL(connectionString);
const endpoint = (id: NodeId, address: { readonly host: string; readonly port: number; readonly database: string }): NodeEndpoint => ({
  id, name: `${address.host}:${address.port}`, config: { client: { user, ...address } },
});
const own = endpoint(coordinatorNodeId, { host: hostname, port: Number(port), database: pathname.slice(1) });
const pools = createNodePools([own]);
const { clusterId, nodes } = await loadSnapshot(pools.get(coordinatorNodeId));
pools.setNodes([own, ...nodes.map((node) => endpoint(node.id, node))]);
let requests = 0;
const reached = (here: string): void => {
  if (here === where) process.kill(process.pid, 'SIGKILL');
};
await alterDistributedTable({
  begin: () => watched(beginTransaction(pools, { clusterId, onStep: reached }), () => reached(String((requests += 1)))),
  admitNodes: () => undefined,
  dismissNode: () => undefined,
  refreshCatalog: () => Promise.resolve(),
}, 't', { shardCount: Number(shardCount), cascadeToColocated: true });
process.exit(0);
