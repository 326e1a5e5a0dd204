import { Client } from 'pg';
import { expect, test } from 'vitest';
import { until } from '../cluster/connections.ts';
import { clusterId, insertOn, one } from './transaction-cluster.ts';
import { coordinatorNodeId } from '../../src/catalog/coordinator-node.ts';
import { createNodePools, type NodePools } from '../../src/cluster/node-pools.ts';
import { type PostgresServer, startPostgres } from '../../src/embedded/postgres-server.ts';
import { nodeSchemaSql } from '../../src/store/node-schema.ts';
import { beginTransaction } from '../../src/txn/begin-transaction.ts';
import { commitBatches } from '../../src/txn/commit-batches.ts';
import type { BeginOptions, CommitStep } from '../../src/txn/distributed-transaction.ts';
import { recover } from '../../src/txn/recover.ts';

const steps: readonly CommitStep[] = ['before_prepare', 'prepared', 'before_decision', 'decided'];
const nodes = [coordinatorNodeId, one] as const;

const ways = ['begun', 'batches'] as const;

test.each(ways.flatMap((way) => steps.flatMap((step) => nodes.map((victim) => ({ way, step, victim })))))('a server crashes: $way, $step, node $victim', async ({ way, step, victim }) => {
  await using coordinator = await startServer();
  await using other = await startServer();
  const servers = [coordinator, other];
  const pools = openPools(servers);
  const restarted: Promise<void>[] = [];
  const onStep = (reached: CommitStep): void => {
    if (reached !== step) return;
    const server = servers[victim];
    server?.kill();
    if (server !== undefined) restarted.push(server.restart());
  };
  const outcome = await insert(way, pools, { clusterId, onStep }).then(() => 'committed', () => 'failed');
  await Promise.all(restarted);
  const report = await recover(pools, { clusterId });
  expect(report.left).toEqual([]);
  const [here, there] = await Promise.all(nodes.map((node) => pools.get(node).query({ text: 'SELECT a FROM t' })));
  expect(there?.rows).toEqual(here?.rows);
  if (outcome === 'committed') expect(here?.rows).toEqual([['a']]);
  const left = await Promise.all(nodes.map((node) => pools.get(node).query({ text: 'SELECT gid FROM pg_prepared_xacts' })));
  expect(left.flatMap(({ rows }) => rows)).toEqual([]);
  await pools.end();
});

test('the deciding server stays away: the outcome is unknown until it is back', async () => {
  await using coordinator = await startServer();
  await using other = await startServer();
  const pools = openPools([coordinator, other]);
  const onStep = async (step: CommitStep): Promise<void> => {
    if (step === 'before_decision') await coordinator.stop('immediate');
  };
  const transaction = beginTransaction(pools, { clusterId, onStep });
  await insertOn(transaction, nodes, 'a');
  await expect(transaction.commit()).rejects.toMatchObject({ id: 'outcomeUnknown', code: '08007', message: expect.stringContaining(transaction.id) });
  const report = await recover(pools, { clusterId });
  expect(report).toMatchObject({ committed: [], rolledBack: [], decisionsForgotten: 0 });
  expect(report.left).toMatchObject([{ node: coordinatorNodeId }, { node: coordinatorNodeId }, { node: one, gid: expect.stringContaining(transaction.id) }]);
  await pools.end();
});

/** A server that waits for a standby has prepared already, and does not say so. */
test.each(ways)('a connection lost behind PREPARE TRANSACTION: %s, it is rolled back over another', async (way) => {
  await using coordinator = await startServer();
  await using other = await startServer({ synchronous_standby_names: 'nobody', synchronous_commit: 'local' });
  const pools = openPools([coordinator, other]);
  const observer = new Client(other.connectionString);
  await observer.connect();
  const failed = expect(insert(way, pools, { clusterId }, 'SET LOCAL synchronous_commit = on')).rejects.toThrow();
  await until(async () => (await observer.query("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")).rowCount === 1);
  await failed;
  expect((await observer.query('SELECT gid FROM pg_prepared_xacts')).rows).toEqual([]);
  expect((await observer.query('SELECT a FROM t')).rows).toEqual([]);
  await observer.end();
  await pools.end();
});

async function insert(way: (typeof ways)[number], pools: NodePools, options: BeginOptions, before = 'SELECT'): Promise<void> {
  if (way === 'batches') {
    await commitBatches(pools, nodes.map((node) => ({ node, queries: [{ text: before }, { text: "INSERT INTO t VALUES ('a')" }] })), options);
    return;
  }
  const transaction = beginTransaction(pools, options);
  for (const node of nodes) await (await transaction.join(node, 'write')).query({ text: before });
  await insertOn(transaction, nodes, 'a');
  await transaction.commit();
}

async function startServer(settings: Readonly<Record<string, string>> = {}): Promise<PostgresServer> {
  const server = await startPostgres({ settings });
  const client = new Client(server.connectionString);
  await client.connect();
  await client.query(`${nodeSchemaSql} CREATE TABLE t (a text)`);
  await client.end();
  return server;
}

function openPools(servers: readonly PostgresServer[]): NodePools {
  return createNodePools(
    servers.map(({ connectionString, port }, index) => ({
      id: nodes[index] ?? one,
      name: `127.0.0.1:${port}/postgres`,
      config: { client: { connectionString } },
    })),
  );
}
