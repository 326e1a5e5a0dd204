import { Cluster, type ClusterOptions } from '../../src/index.ts';
import { type MutingProxy, startMutingProxy } from '../txn/muting-proxy.ts';
import { Etcd } from './etcd.ts';
import { Keeper } from './keeper.ts';
import { PatroniGroup } from './patroni-group.ts';

/** A node's name is that of its group; the coordinator database's is `coordinator`. */
export const groupNames = ['coordinator', 'node-1', 'node-2'] as const;
export type GroupName = (typeof groupNames)[number];

/** A coordinator database and two nodes, each a primary and a replica under Patroni, and one etcd. Node 1 is known by its Patronis, node 2 by addresses of proxies. */
export interface PatroniCluster extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly connectionString: string;
  readonly etcd: Etcd;
  readonly groups: Readonly<Record<GroupName, PatroniGroup>>;
  /** Between all clients and the servers of node 2. */
  readonly proxies: readonly MutingProxy[];
}

export async function startPatroniCluster(options: ClusterOptions & { readonly onRoleChange?: string }): Promise<PatroniCluster> {
  const keeper = new Keeper();
  const owned: AsyncDisposable[] = [keeper];
  const dispose = async (): Promise<void> => {
    for (const one of owned.toReversed()) await one[Symbol.asyncDispose]();
  };
  try {
    const etcd = await Etcd.start(keeper);
    const { onRoleChange, ...clusterOptions } = options;
    const start = (name: GroupName): Promise<PatroniGroup> => PatroniGroup.start(keeper, name, { etcdPort: etcd.port, onRoleChange });
    const [coordinator, node1, node2] = await Promise.all([start('coordinator'), start('node-1'), start('node-2')]);
    const proxies = await Promise.all(node2.members.map(({ port }) => startMutingProxy({ host: '127.0.0.1', port })));
    owned.push(...proxies);
    const connectionString = `postgres://postgres@${coordinator.members.map(({ port }) => `127.0.0.1:${port}`).join(',')}/postgres`;
    const cluster = new Cluster({ connectionString, ...clusterOptions });
    owned.push({ [Symbol.asyncDispose]: () => cluster.end() });
    await cluster.addNode({ patroni: node1.urls });
    await cluster.addNode({ hosts: proxies.map(({ port }) => ({ host: '127.0.0.1', port })), database: 'postgres' });
    return { cluster, connectionString, etcd, groups: { coordinator, 'node-1': node1, 'node-2': node2 }, proxies, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}
