import { fileURLToPath } from 'node:url';
import { Cluster, type ClusterOptions } from '../../src/index.ts';
import { type MutingProxy, startMutingProxy } from '../txn/muting-proxy.ts';
import { Etcd } from './etcd.ts';
import { Keeper } from './keeper.ts';
import { PatroniGroup } from './patroni-group.ts';

/** A node's name is that of its group; the coordinator database's is `coordinator`. */
export const groupNames = ['coordinator', 'node-1', 'node-2'] as const;
export type GroupName = (typeof groupNames)[number];

/** A coordinator database and two nodes, each a primary and a replica under Patroni, and one etcd. The coordinator database and node 1 are known by their Patronis; those of node 1 call `shardwright patroni-callback`. Node 2 is known by addresses of proxies. */
export interface PatroniCluster extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly connectionString: string;
  readonly etcd: Etcd;
  readonly groups: Readonly<Record<GroupName, PatroniGroup>>;
  /** Between all clients and the servers of node 2. */
  readonly proxies: readonly MutingProxy[];
}

export async function startPatroniCluster(options: ClusterOptions): Promise<PatroniCluster> {
  const keeper = new Keeper();
  const owned: AsyncDisposable[] = [keeper];
  const dispose = async (): Promise<void> => {
    for (const one of owned.toReversed()) await one[Symbol.asyncDispose]();
  };
  try {
    const etcd = await Etcd.start(keeper);
    const coordinator = await PatroniGroup.start(keeper, 'coordinator', { etcdPort: etcd.port });
    const connectionString = `postgres://postgres@${coordinator.members.map(({ port }) => `127.0.0.1:${port}`).join(',')}/postgres`;
    const onRoleChange = `${process.execPath} --import ${import.meta.resolve('tsx')} ${fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))} patroni-callback --coordinator ${connectionString} --node`;
    const node1 = await PatroniGroup.start(keeper, 'node-1', { etcdPort: etcd.port, onRoleChange: `${onRoleChange} 1` });
    const node2 = await PatroniGroup.start(keeper, 'node-2', { etcdPort: etcd.port });
    await Promise.all([coordinator, node1, node2].map((group) => group.healthy()));
    const proxies = await Promise.all(node2.members.map(({ port }) => startMutingProxy({ host: '127.0.0.1', port })));
    owned.push(...proxies);
    const cluster = new Cluster({ patroni: coordinator.urls, user: 'postgres', database: 'postgres', ...options });
    owned.push({ [Symbol.asyncDispose]: () => cluster.end() });
    await cluster.addNode({ patroni: node1.urls });
    await cluster.addNode({ hosts: proxies.map(({ port }) => ({ host: '127.0.0.1', port })), database: 'postgres' });
    return { cluster, connectionString, etcd, groups: { coordinator, 'node-1': node1, 'node-2': node2 }, proxies, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}
