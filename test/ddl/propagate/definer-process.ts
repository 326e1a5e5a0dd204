import { coordinatorNodeId } from '../../../src/catalog/coordinator-node.ts';
import type { NodeId } from '../../../src/catalog/ids.ts';
import { createNodePools, type NodeEndpoint } from '../../../src/cluster/node-pools.ts';
import { runDefinition } from '../../../src/ddl/propagate/run-definition.ts';
import { RelationNames } from '../../../src/analyze/relation-names.ts';
import { present } from '../../../src/base/assert.ts';
import { planDefinition } from '../../../src/plan/ddl/plan-definition.ts';
import { PoolScope } from '../../../src/session/pool-scope.ts';
import { loadGrammar, parseOne } from '../../../src/sql/parse.ts';
import { loadSnapshot } from '../../../src/store/load-snapshot.ts';
import { beginTransaction } from '../../../src/txn/begin-transaction.ts';

/** Runs a change of definitions, up to a step of its commit; there it kills itself. */
const [connectionString = '', sql = '', step = ''] = process.argv.slice(2);
await loadGrammar();
const { hostname, port, username: user, pathname } = new URL(connectionString);
const endpoint = (id: NodeId, address: { readonly host: string; readonly port: number; readonly database: string }): NodeEndpoint => ({
  id, name: `${address.host}:${address.port}`, config: { client: { user, ...address } },
});
const own = endpoint(coordinatorNodeId, { host: hostname, port: Number(port), database: pathname.slice(1) });
const pools = createNodePools([own]);
const snapshot = await loadSnapshot(pools.get(coordinatorNodeId));
pools.setNodes([own, ...snapshot.nodes.map((node) => endpoint(node.id, node))]);
const onStep = (reached: string): void => {
  if (reached === step) process.kill(process.pid, 'SIGKILL');
};
const scope = new PoolScope(pools, () => beginTransaction(pools, { clusterId: snapshot.clusterId, onStep }), { snapshot });
const plan = present(planDefinition(parseOne(sql), new RelationNames(snapshot, snapshot.server.searchPath)));
await runDefinition(scope, { text: sql }, plan, { lockTimeoutMs: 0 });
process.exit(0);
