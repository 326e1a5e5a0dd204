import { Client } from 'pg';
import { expect, test } from 'vitest';
import { clusterId, insertOn, one } from './transaction-cluster.ts';
import { coordinatorNodeId } from '../../src/catalog/coordinator-node.ts';
import { createNodePools, type NodePools } from '../../src/cluster/node-pools.ts';
import { type PostgresServer, startPostgres } from '../../src/embedded/postgres-server.ts';
import { nodeSchemaSql } from '../../src/store/node-schema.ts';
import { beginTransaction } from '../../src/txn/begin-transaction.ts';
import type { CommitStep } from '../../src/txn/distributed-transaction.ts';
import { recover } from '../../src/txn/recover.ts';

const steps: readonly CommitStep[] = ['before_prepare', 'prepared', 'before_decision', 'decided'];
const nodes = [coordinatorNodeId, one] as const;

test.each(steps.flatMap((step) => nodes.map((victim) => ({ step, victim }))))('a server crashes: $step, node $victim', async ({ step, victim }) => {
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
  const transaction = beginTransaction(pools, { clusterId, onStep });
  await insertOn(transaction, nodes, 'a');
  const outcome = await transaction.commit().then(() => 'committed', () => 'failed');
  await Promise.all(restarted);
  const report = await recover(pools, { clusterId, graceMs: 0 });
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
  const report = await recover(pools, { clusterId, graceMs: 0 });
  expect(report).toMatchObject({ committed: [], rolledBack: [], decisionsForgotten: 0 });
  expect(report.left).toMatchObject([{ node: coordinatorNodeId }, { node: coordinatorNodeId }, { node: one, gid: expect.stringContaining(transaction.id) }]);
  await pools.end();
});

async function startServer(): Promise<PostgresServer> {
  const server = await startPostgres();
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
