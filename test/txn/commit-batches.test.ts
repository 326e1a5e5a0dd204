import { expect, test } from 'vitest';
import { until } from '../cluster/connections.ts';
import { clusterId, everywhere, one, startTransactionCluster, three, two } from './transaction-cluster.ts';
import type { NodeId } from '../../src/catalog/ids.ts';
import { commitBatches } from '../../src/txn/commit-batches.ts';
import type { CommitStep } from '../../src/txn/distributed-transaction.ts';
import { recover } from '../../src/txn/recover.ts';
import type { NodeBatch } from '../../src/txn/run-batches.ts';

const nothing = { 0: '', 1: '', 2: '', 3: '' };

function insertOn(nodes: readonly NodeId[], ...values: readonly string[]): NodeBatch[] {
  return nodes.map((node) => ({ node, queries: values.map((value) => ({ text: 'INSERT INTO t VALUES ($1) RETURNING a', values: [value] })) }));
}

test('one and several nodes; results in order; the node with the most to do decides', async () => {
  await using cluster = await startTransactionCluster();
  const { pools } = cluster;
  const [alone] = await commitBatches(pools, insertOn([two], 'a', 'b'), { clusterId });
  expect(alone?.map(({ rows }) => rows)).toEqual([[['a']], [['b']]]);
  const results = await commitBatches(pools, [...insertOn([one], 'c'), ...insertOn([three], 'd', 'e'), ...insertOn([two], 'f')], { clusterId });
  expect(results.map((own) => own.map(({ rows }) => rows))).toEqual([[[['c']]], [[['d']], [['e']]], [[['f']]]]);
  expect(await cluster.rows()).toEqual({ 0: '', 1: 'c', 2: 'a,b,f', 3: 'd,e' });
  expect(await cluster.prepared()).toBe(0);
  for (const [node, count] of [[one, '0'], [two, '0'], [three, '1']] as const) expect(await cluster.run(node, 'SELECT count(*)::text FROM shardwright.decision')).toBe(count);
});

test.each(everywhere)('a statement that fails on node %i: nothing is done, and the connections are as before', async (node) => {
  await using cluster = await startTransactionCluster();
  const batches = insertOn(everywhere, 'a', 'b').map((batch) => (batch.node === node ? { node, queries: [{ text: 'SELECT 1 / 0' }, ...batch.queries] } : batch));
  await expect(commitBatches(cluster.pools, batches, { clusterId })).rejects.toMatchObject({ code: '22012' });
  expect(await cluster.rows()).toEqual(nothing);
  expect(await cluster.prepared()).toBe(0);
  for (const other of everywhere) expect(cluster.pools.get(other).counts).toMatchObject({ open: 1, idle: 1 });
});

test.each(everywhere)('a deferred constraint that fails on node %i undoes all', async (node) => {
  await using cluster = await startTransactionCluster();
  await cluster.run(node, "INSERT INTO t VALUES ('a')");
  const before = await cluster.rows();
  await expect(commitBatches(cluster.pools, insertOn(everywhere, 'a'), { clusterId })).rejects.toMatchObject({ code: '23505', constraint: 't_a_key' });
  await expect(commitBatches(cluster.pools, insertOn([node], 'b', 'a'), { clusterId })).rejects.toMatchObject({ code: '23505', constraint: 't_a_key' });
  expect(await cluster.rows()).toEqual(before);
  expect(await cluster.prepared()).toBe(0);
});

test('what fails on one node undoes what another has prepared already', async () => {
  await using cluster = await startTransactionCluster();
  await cluster.run(two, 'BEGIN; LOCK TABLE t');
  const late = { node: two, queries: [...insertOn([two], 'b', 'c').flatMap(({ queries }) => queries), { text: 'SELECT 1 / 0' }] };
  const commit = expect(commitBatches(cluster.pools, [...insertOn([one], 'a'), late], { clusterId })).rejects.toMatchObject({ code: '22012' });
  await until(async () => (await cluster.prepared()) === 1);
  await cluster.run(two, 'ROLLBACK');
  await commit;
  expect(await cluster.rows()).toEqual(nothing);
  expect(await cluster.prepared()).toBe(0);
});

const steps: readonly CommitStep[] = ['before_prepare', 'prepared', 'before_decision', 'decided', 'committed'];
const decided = new Set<CommitStep>(['decided', 'committed']);

test.each(steps)('a failure at %s leaves all or nothing', async (failing) => {
  await using cluster = await startTransactionCluster();
  const onStep = (step: CommitStep): void => {
    if (step === failing) throw new Error('injected');
  };
  const commit = commitBatches(cluster.pools, insertOn(everywhere, 'a'), { clusterId, onStep });
  if (decided.has(failing)) await commit;
  else await expect(commit).rejects.toThrow('injected');
  const report = await recover(cluster.pools, { clusterId });
  expect(report).toMatchObject({ committed: failing === 'decided' ? { length: 3 } : [], rolledBack: [], left: [] });
  expect(await cluster.rows()).toEqual(decided.has(failing) ? { 0: 'a', 1: 'a', 2: 'a', 3: 'a' } : nothing);
  expect(await cluster.prepared()).toBe(0);
});

test.each(['before_prepare', 'prepared', 'before_decision'] as const)('an abort at %s rolls back', async (when) => {
  await using cluster = await startTransactionCluster();
  const controller = new AbortController();
  const onStep = (step: CommitStep): void => {
    if (step === when) controller.abort();
  };
  await expect(commitBatches(cluster.pools, insertOn(everywhere, 'a'), { clusterId, onStep, signal: controller.signal })).rejects.toMatchObject({ id: 'canceled' });
  expect(await cluster.rows()).toEqual(nothing);
  expect(await cluster.prepared()).toBe(0);
});

test('the owner dies when all but the last agent have prepared: recovery rolls back', async () => {
  await using cluster = await startTransactionCluster();
  const onStep = async (step: CommitStep): Promise<void> => {
    if (step === 'before_decision') await cluster.killOwner();
  };
  await expect(commitBatches(cluster.pools, insertOn(everywhere, 'a'), { clusterId, onStep })).rejects.toThrow();
  await recover(cluster.openPools(), { clusterId });
  expect(await cluster.rows()).toEqual(nothing);
  expect(await cluster.prepared()).toBe(0);
});

test('a connection lost while the only node commits leaves the outcome unknown', async () => {
  await using cluster = await startTransactionCluster();
  const batch = { node: one, queries: [{ text: 'SELECT pg_terminate_backend(pg_backend_pid())' }] };
  await expect(commitBatches(cluster.pools, [batch], { clusterId })).rejects.toMatchObject({ id: 'outcomeUnknown', code: '08007' });
});

test('the deadlock watch has left it when it decides', async () => {
  await using cluster = await startTransactionCluster();
  const events: string[] = [];
  const watch = { enter: () => events.push('enter'), leave: () => events.push('leave') };
  await commitBatches(cluster.pools, insertOn([one, two], 'a'), { clusterId, watch, onStep: (step) => void events.push(step) });
  expect(events.slice(0, 6)).toEqual(['enter', 'before_prepare', 'one_prepared', 'prepared', 'leave', 'before_decision']);
});
