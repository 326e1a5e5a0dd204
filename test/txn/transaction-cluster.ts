import { Client } from 'pg';
import { present } from '../../src/base/assert.ts';
import { coordinatorNodeId } from '../../src/catalog/coordinator-node.ts';
import { type NodeId, nodeId } from '../../src/catalog/ids.ts';
import type { NodeLimits } from '../../src/cluster/node-settings.ts';
import { createNodePools, type NodePools } from '../../src/cluster/node-pools.ts';
import { nodeSchemaSql } from '../../src/store/node-schema.ts';
import type { DistributedTransaction } from '../../src/txn/distributed-transaction.ts';
import { createTestDatabases, type TestDatabases } from '../support/test-databases.ts';

export const clusterId = '0123abcd-0000-0000-0000-000000000000';
export const [one, two, three] = [nodeId(1), nodeId(2), nodeId(3)] as const;

export interface TransactionCluster extends AsyncDisposable {
  readonly pools: NodePools;
  readonly databases: TestDatabases;
  /** Pools of another process, as it were; through other ports than the nodes' own, where they are given. */
  openPools(applicationName?: string, ports?: ReadonlyMap<NodeId, number>): NodePools;
  /** Ends every session of the first pools, as the death of their process would. */
  killOwner(): Promise<void>;
  /** The values in `t`, by node, seen from outside. */
  rows(): Promise<Record<number, string>>;
  /** Prepared transactions, on all nodes. */
  prepared(): Promise<number>;
  run(node: NodeId, sql: string): Promise<string | null | undefined>;
}

/** A coordinator database (node 0) and three nodes, each with the metadata and a table `t (a text UNIQUE DEFERRABLE)`. */
export async function startTransactionCluster(limits: Partial<NodeLimits> = {}): Promise<TransactionCluster> {
  const databases = await createTestDatabases();
  const all = [databases.coordinator, ...databases.nodes];
  const opened: NodePools[] = [];
  const openPools: TransactionCluster['openPools'] = (applicationName = 'recovery', ports = new Map()) => {
    const pools = createNodePools(
      all.map(({ host, port, user, database }, index) => ({
        id: nodeId(index),
        name: database,
        config: { client: { host, port: ports.get(nodeId(index)) ?? port, user, database, application_name: applicationName }, ...limits },
      })),
    );
    opened.push(pools);
    return pools;
  };
  const observers = await Promise.all(all.map(({ connectionString }) => new Client(connectionString).connect()));
  const ask = async (index: number, sql: string): Promise<string | null | undefined> => {
    const results = [await present(observers[index]).query<(string | null)[]>({ text: sql, rowMode: 'array' })].flat();
    return results.at(-1)?.rows[0]?.[0];
  };
  for (const [index] of all.entries()) await ask(index, `${nodeSchemaSql} ${nodeSchemaSql} CREATE TABLE t (a text UNIQUE DEFERRABLE INITIALLY DEFERRED)`);
  const pools = openPools('owner');
  return {
    databases,
    pools,
    openPools,
    killOwner: async () => {
      const kill = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'owner'";
      await Promise.all(all.map((_, index) => ask(index, kill)));
    },
    rows: async () => {
      const lists = await Promise.all(all.map((_, index) => ask(index, "SELECT coalesce(string_agg(a, ',' ORDER BY a), '') FROM t")));
      return Object.fromEntries(lists.map((list, index) => [index, list ?? '']));
    },
    prepared: async () => {
      const counts = await Promise.all(all.map((_, index) => ask(index, 'SELECT count(*)::text FROM pg_prepared_xacts WHERE database = current_database()')));
      return counts.reduce((sum, count) => sum + Number(count), 0);
    },
    run: (node, sql) => ask(node, sql),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(opened.map((some) => some.end()));
      await Promise.all(observers.map((observer) => observer.end()));
      await databases.drop();
    },
  };
}

/** Joins each node as a writer and inserts the value there. */
export async function insertOn(transaction: DistributedTransaction, nodes: readonly NodeId[], value: string): Promise<void> {
  for (const node of nodes) {
    const connection = await transaction.join(node, 'write');
    await connection.query({ text: 'INSERT INTO t VALUES ($1)', values: [value] });
  }
}

export const everywhere = [coordinatorNodeId, one, two, three] as const;
