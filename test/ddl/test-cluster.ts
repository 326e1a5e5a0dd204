import { Client } from 'pg';
import { at, present } from '../../src/base/assert.ts';
import type { CatalogSnapshot, CatalogTable, ClusterNode } from '../../src/catalog/catalog-snapshot.ts';
import { tableKey } from '../../src/catalog/catalog-snapshot.ts';
import { coordinatorNodeId } from '../../src/catalog/coordinator-node.ts';
import { createNodePools, type NodeEndpoint, type NodePools } from '../../src/cluster/node-pools.ts';
import { addNode as doAddNode } from '../../src/move/add-node/add-node.ts';
import type { DdlContext } from '../../src/ddl/ddl-context.ts';
import { loadSnapshot } from '../../src/store/load-snapshot.ts';
import type { NodeAddress } from '../../src/store/catalog-changes.ts';
import { beginTransaction } from '../../src/txn/begin-transaction.ts';
import type { BeginOptions } from '../../src/txn/distributed-transaction.ts';
import type { TestMajor } from '../support/start-test-servers.ts';
import { createTestDatabases, type TestDatabase, type TestDatabases } from '../support/test-databases.ts';

type Row = readonly unknown[];

/** A coordinator database and nodes, all of which the test may look into behind the library's back. */
export interface TestCluster extends AsyncDisposable {
  readonly databases: TestDatabases;
  readonly context: DdlContext;
  /** Adds a node, as the first process. */
  addNode(address: NodeAddress): Promise<ClusterNode>;
  /** Another process of the same cluster. */
  newContext(onStep?: BeginOptions['onStep']): DdlContext;
  snapshot(): Promise<CatalogSnapshot>;
  table(name: string, schema?: string): Promise<CatalogTable>;
  /** Runs statements on the coordinator database; rows of the last one as arrays. */
  sql(text: string, values?: unknown[]): Promise<Row[]>;
  /** The same on the node with this index. */
  onNode(index: number, text: string, values?: unknown[]): Promise<Row[]>;
  /** The same on the node with this id. */
  onNodeId(id: number, text: string): Promise<Row[]>;
}

export async function openTestCluster(options: { readonly major?: TestMajor; readonly nodes?: number; readonly added?: number } = {}): Promise<TestCluster> {
  const { major = 18, nodes = 3 } = options;
  const databases = await createTestDatabases({ major, nodes });
  const clients = new Map<TestDatabase, Client>();
  const closing: (() => Promise<void>)[] = [];
  const run = async (database: TestDatabase, text: string, values?: unknown[]): Promise<Row[]> => {
    const client = clients.get(database) ?? new Client({ connectionString: database.connectionString });
    if (!clients.has(database)) {
      clients.set(database, client);
      await client.connect();
    }
    const result: unknown = await client.query({ text, rowMode: 'array', ...(values === undefined ? {} : { values }) });
    const last: unknown = Array.isArray(result) ? result.at(-1) : result;
    return (last as { rows: Row[] }).rows;
  };
  const first = createNodePools([endpointOf(databases.coordinator, coordinatorNodeId)]);
  const coordinator = first.get(coordinatorNodeId);
  closing.push(() => first.end());
  const { clusterId } = await loadSnapshot(coordinator);
  const newProcess = (onStep?: BeginOptions['onStep']): { context: DdlContext; pools: NodePools } => {
    const known = new Map<number, NodeEndpoint>([[0, endpointOf(databases.coordinator, coordinatorNodeId)]]);
    const pools = createNodePools([...known.values()]);
    closing.push(() => pools.end());
    const update = (): void => pools.setNodes([...known.values()]);
    const context: DdlContext = {
      begin: () => beginTransaction(pools, { clusterId, onStep }),
      admitNodes: (list) => {
        for (const node of list) known.set(node.id, endpointOf({ ...databases.coordinator, ...node }, node.id));
        update();
      },
      dismissNode: (id) => {
        known.delete(id);
        update();
      },
      refreshCatalog: () => Promise.resolve(),
    };
    return { context, pools };
  };
  const { context, pools } = newProcess();
  const addNode = (address: NodeAddress): Promise<ClusterNode> => doAddNode({
    pools, clusterId, begin: (onStep) => beginTransaction(pools, { clusterId, onStep }), refreshCatalog: () => Promise.resolve(),
    admitNodes: (nodes) => {
      context.admitNodes(nodes);
      return { [Symbol.dispose]: () => undefined };
    },
  }, { address });
  const cluster: TestCluster = {
    databases,
    context,
    addNode,
    newContext: (onStep) => newProcess(onStep).context,
    snapshot: () => loadSnapshot(coordinator),
    table: async (name, schema = 'public') => present((await loadSnapshot(coordinator)).tables.get(tableKey(schema, name)), `table ${name}`),
    sql: (text, values) => run(databases.coordinator, text, values),
    onNode: (index, text, values) => run(at(databases.nodes, index), text, values),
    onNodeId: (id, text) => run(at(databases.nodes, id - 1), text),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...clients.values()].map((client) => client.end()));
      await Promise.all(closing.map((close) => close()));
      await databases.drop();
    },
  };
  for (const node of databases.nodes.slice(0, options.added ?? nodes)) await addNode(addressOf(node));
  return cluster;
}

export function addressOf({ host, port, database }: TestDatabase): Omit<ClusterNode, 'id'> {
  return { host, port, database };
}

function endpointOf(database: Pick<TestDatabase, 'host' | 'port' | 'database' | 'user'>, id: NodeEndpoint['id']): NodeEndpoint {
  const { host, port, user } = database;
  return { id, name: `${host}:${port}/${database.database}`, config: { client: { host, port, user, database: database.database } } };
}
