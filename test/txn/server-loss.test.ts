import { Client } from 'pg';
import { expect, test } from 'vitest';
import { until } from '../cluster/connections.ts';
import { clusterId, insertOn, one } from './transaction-cluster.ts';
import { ClusterError } from '../../src/base/errors.ts';
import { coordinatorNodeId } from '../../src/catalog/coordinator-node.ts';
import { createNodePools, type NodePools } from '../../src/cluster/node-pools.ts';
import { volatileSettings } from '../../src/embedded/default-settings.ts';
import { type PostgresServer, startPostgres } from '../../src/embedded/postgres-server.ts';
import { nodeSchemaSql } from '../../src/store/node-schema.ts';
import { beginTransaction } from '../../src/txn/begin-transaction.ts';
import { commitBatches } from '../../src/txn/commit-batches.ts';
import type { BeginOptions, CommitStep } from '../../src/txn/distributed-transaction.ts';
import { outcomeOf } from '../../src/txn/outcome-of.ts';
import { recover } from '../../src/txn/recover.ts';
import { parseTransactionId } from '../../src/txn/transaction-id.ts';

const nodes = [coordinatorNodeId, one] as const;

const ways = ['begun', 'batches'] as const;

test('the deciding server stays away: the outcome is unknown until it is back', async () => {
  await using coordinator = await startServer();
  await using other = await startServer();
  const pools = openPools([coordinator, other]);
  const onStep = async (step: CommitStep): Promise<void> => {
    if (step !== 'before_decision') return;
    coordinator.kill();
    await until(() => pools.get(coordinatorNodeId).counts.open === 0);
  };
  const transaction = beginTransaction(pools, { clusterId, onStep });
  await insertOn(transaction, nodes, 'a');
  const error = await transaction.commit().catch((caught: unknown) => caught);
  expect(error).toMatchObject({ id: 'outcomeUnknown', code: '08007', message: expect.stringContaining(transaction.id) });
  const report = await recover(pools, { clusterId });
  expect(report).toMatchObject({ committed: [], rolledBack: [], decisionsForgotten: 0 });
  expect(report.left).toMatchObject([{ node: coordinatorNodeId }, { node: coordinatorNodeId }, { node: one, gid: expect.stringContaining(transaction.id) }]);
  const id = error instanceof ClusterError ? (error.transactionId ?? '') : '';
  await expect(outcomeOf(pools, id, { clusterId })).rejects.toMatchObject({ id: 'coordinatorUnreachable' });
  await coordinator.restart();
  expect(await outcomeOf(pools, id, { clusterId })).toBe('aborted');
  expect(await recover(pools, { clusterId })).toMatchObject({ rolledBack: { length: 1 }, left: [] });
  expect(await outcomeOf(pools, id, { clusterId })).toBe('aborted');
  await pools.end();
});

test('a server dies before it hears of the decision: a commit that is acknowledged is seen there', async () => {
  await using coordinator = await startServer();
  await using other = await startServer();
  const pools = openPools([coordinator, other]);
  let back: Promise<void> | undefined;
  const onStep = async (step: CommitStep): Promise<void> => {
    if (step !== 'decided') return;
    other.kill();
    await until(() => pools.get(one).counts.open === 0);
    back = other.restart();
  };
  const transaction = beginTransaction(pools, { clusterId, onStep });
  await insertOn(transaction, nodes, 'a');
  await transaction.commit();
  expect((await pools.get(one).query({ text: 'SELECT a FROM t' })).rows).toEqual([['a']]);
  await back;
  await pools.end();
});

test('the only server crashes in COMMIT, and gives its numbers again: no other transaction is taken for the lost one', async () => {
  await using coordinator = await startServer();
  await using other = await startServer();
  const pools = openPools([coordinator, other]);
  const run = async (sql: string): Promise<string | null | undefined> => (await pools.get(one).query({ text: sql })).rows[0]?.[0];
  await run(`DO $do$ BEGIN
    CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON t INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION waits(); END $do$`);
  const transaction = beginTransaction(pools, { clusterId });
  await insertOn(transaction, [one], 'a');
  const failing = transaction.commit().catch((error: unknown) => error);
  await until(async () => (await run("SELECT count(*)::text FROM pg_stat_activity WHERE wait_event = 'PgSleep'")) === '1');
  other.kill();
  const error = await failing;
  await other.restart();
  expect(error).toMatchObject({ id: 'outcomeUnknown' });
  const id = error instanceof ClusterError ? (error.transactionId ?? '') : '';
  expect(await outcomeOf(pools, id, { clusterId })).toBe('aborted');
  while (Number(await run('SELECT pg_current_xact_id()::text')) <= Number(parseTransactionId(id)?.number?.xid)) expect(await run('SELECT count(*)::text FROM t')).toBe('0');
  await outcomeOf(pools, id, { clusterId }).then((outcome) => expect(outcome).toBe('aborted'), (unknown: unknown) => expect(unknown).toMatchObject({ id: 'unknownTransaction', detail: expect.stringContaining('crashed') }));
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
  const server = await startPostgres({ settings: { ...volatileSettings, ...settings } });
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
