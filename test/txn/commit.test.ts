import { expect, test } from 'vitest';
import { clusterId, everywhere, insertOn, one, startTransactionCluster, three, two } from './transaction-cluster.ts';
import { coordinatorNodeId } from '../../src/catalog/coordinator-node.ts';
import { beginTransaction } from '../../src/txn/begin-transaction.ts';
import type { CommitStep } from '../../src/txn/distributed-transaction.ts';
import { recover } from '../../src/txn/recover.ts';

const nothing = { 0: '', 1: '', 2: '', 3: '' };

test('none, one and all of the nodes write', async () => {
  await using cluster = await startTransactionCluster();
  const { pools } = cluster;
  await beginTransaction(pools, { clusterId }).commit();
  for (const [value, nodes] of [['a', [two]], ['b', [one, two]], ['c', everywhere]] as const) {
    const transaction = beginTransaction(pools, { clusterId });
    await insertOn(transaction, nodes, value);
    expect(Object.values(await cluster.rows()).join()).not.toContain(value);
    await transaction.commit();
  }
  expect(await cluster.rows()).toEqual({ 0: 'c', 1: 'b,c', 2: 'a,b,c', 3: 'c' });
  expect(await cluster.prepared()).toBe(0);
  // The coordinator database decides when it writes, else the first writer; the single writer needs no decision.
  expect(await cluster.run(coordinatorNodeId, 'SELECT count(*)::text FROM shardwright.decision')).toBe('1');
  expect(await cluster.run(one, 'SELECT count(*)::text FROM shardwright.decision')).toBe('1');
  expect(await cluster.run(two, 'SELECT count(*)::text FROM shardwright.decision')).toBe('0');
});

test('one connection per node, in the modes asked for, and BEGIN costs no round trip of its own', async () => {
  await using cluster = await startTransactionCluster();
  const transaction = beginTransaction(cluster.pools, { clusterId, modes: 'isolation level repeatable read , read only' });
  const [first, second] = await Promise.all([transaction.join(one, 'read'), transaction.join(one, 'read')]);
  expect(first).toBe(second);
  const { rows } = await first.query({ text: "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only'), pg_current_xact_id_if_assigned()" });
  expect(rows).toEqual([['repeatable read', 'on', null]]);
  expect(first.transactionStatus).toBe('open');
  await transaction.commit();
  expect(() => beginTransaction(cluster.pools, { clusterId, modes: 'READ ONLY; DROP TABLE t' })).toThrow(/unknown transaction mode/);
});

test.each(['', 'ISOLATION LEVEL REPEATABLE READ', 'ISOLATION LEVEL SERIALIZABLE'])('BEGIN %s of a writer leaves the snapshot to its first statement', async (modes) => {
  await using cluster = await startTransactionCluster();
  const transaction = beginTransaction(cluster.pools, { clusterId, modes });
  const connection = await transaction.join(one, 'write');
  await connection.query({ text: 'SHOW transaction_isolation', simple: true });
  await cluster.run(one, "INSERT INTO t VALUES ('a')");
  await connection.query({ text: 'LOCK TABLE t', simple: true });
  expect((await connection.query({ text: 'SELECT a FROM t' })).rows).toEqual([['a']]);
  await transaction.rollback();
});

test.each([['', 'ISOLATION LEVEL SERIALIZABLE'], ['ISOLATION LEVEL SERIALIZABLE', undefined]])('where a reader may find a conflict, its COMMIT comes first: BEGIN %s, then %s', async (modes, later) => {
  await using cluster = await startTransactionCluster();
  await cluster.run(two, "INSERT INTO t VALUES ('a')");
  const transaction = beginTransaction(cluster.pools, { clusterId, modes });
  await insertOn(transaction, [one], 'b');
  // A deferred constraint stands for the conflict.
  await (await transaction.join(two, 'read')).query({ text: "INSERT INTO t VALUES ('a')" });
  if (later !== undefined) transaction.hasModes?.(later);
  await expect(transaction.commit()).rejects.toMatchObject({ code: '23505' });
  expect(await cluster.run(one, "SELECT a FROM t WHERE a = 'b'")).toBeUndefined();
});

test('rollback undoes everything, twice is once', async () => {
  await using cluster = await startTransactionCluster();
  const transaction = beginTransaction(cluster.pools, { clusterId });
  await insertOn(transaction, everywhere, 'a');
  await transaction.rollback();
  await transaction.rollback();
  expect(await cluster.rows()).toEqual(nothing);
  for (const node of everywhere) expect(cluster.pools.get(node).counts).toMatchObject({ open: 1, idle: 1 });
});

test('joined and rolled back without a statement', async () => {
  await using cluster = await startTransactionCluster();
  const transaction = beginTransaction(cluster.pools, { clusterId });
  await transaction.join(one, 'write');
  await transaction.rollback();
  expect((await cluster.pools.get(one).query({ text: 'SELECT now() = statement_timestamp()', mayWait: true })).rows).toEqual([['t']]);
});

test.each(everywhere)('a deferred constraint that fails on node %i undoes all', async (node) => {
  await using cluster = await startTransactionCluster();
  await cluster.run(node, "INSERT INTO t VALUES ('a')");
  const before = await cluster.rows();
  const transaction = beginTransaction(cluster.pools, { clusterId });
  await insertOn(transaction, everywhere, 'a');
  await expect(transaction.commit()).rejects.toMatchObject({ code: '23505', constraint: 't_a_key' });
  expect(await cluster.rows()).toEqual(before);
  expect(await cluster.prepared()).toBe(0);
});

test.each([[[two]], [[two, three]]])('a failed statement before (%j): nothing is committed', async (nodes) => {
  await using cluster = await startTransactionCluster();
  const transaction = beginTransaction(cluster.pools, { clusterId });
  await insertOn(transaction, nodes, 'a');
  const connection = await transaction.join(two, 'write');
  await expect(connection.query({ text: 'SELECT 1 / 0' })).rejects.toMatchObject({ code: '22012' });
  await expect(transaction.commit()).rejects.toMatchObject({ id: 'transactionAborted', code: '25P02' });
  expect(await cluster.rows()).toEqual(nothing);
});

test('what PostgreSQL will not prepare it refuses in its own words', async () => {
  await using cluster = await startTransactionCluster();
  const transaction = beginTransaction(cluster.pools, { clusterId });
  await insertOn(transaction, [one, two], 'a');
  await (await transaction.join(two, 'write')).query({ text: 'CREATE TEMPORARY TABLE temporary ()' });
  await expect(transaction.commit()).rejects.toMatchObject({ code: '0A000', message: expect.stringContaining('PREPARE') });
  expect(await cluster.rows()).toEqual(nothing);
});

test('a role without rights on the metadata commits on several nodes', async () => {
  await using cluster = await startTransactionCluster();
  const role = `r${Date.now()}${process.pid}`;
  for (const node of everywhere) await cluster.run(node, `CREATE ROLE ${role}; GRANT INSERT ON t TO ${role}`);
  const transaction = beginTransaction(cluster.pools, { clusterId });
  for (const node of [one, two]) await (await transaction.join(node, 'write')).query({ text: `SET LOCAL ROLE ${role}` });
  await insertOn(transaction, [one, two], 'a');
  await transaction.commit();
  expect(await cluster.rows()).toEqual({ ...nothing, 1: 'a', 2: 'a' });
  for (const node of everywhere) await cluster.run(node, `DROP OWNED BY ${role}; DROP ROLE ${role}`);
});

const steps: readonly CommitStep[] = ['before_prepare', 'prepared', 'before_decision', 'decided', 'committed'];
const decided = new Set<CommitStep>(['decided', 'committed']);

test.each(steps)('a failure at %s leaves all or nothing', async (failing) => {
  await using cluster = await startTransactionCluster();
  const transaction = beginTransaction(cluster.pools, {
    clusterId,
    onStep: (step) => {
      if (step === failing) throw new Error('injected');
    },
  });
  await insertOn(transaction, everywhere, 'a');
  if (decided.has(failing)) await transaction.commit();
  else await expect(transaction.commit()).rejects.toThrow('injected');
  const report = await recover(cluster.pools, { clusterId });
  expect(report).toMatchObject({ committed: failing === 'decided' ? { length: 3 } : [], rolledBack: [], left: [] });
  expect(await cluster.rows()).toEqual(decided.has(failing) ? { 0: 'a', 1: 'a', 2: 'a', 3: 'a' } : nothing);
  expect(await cluster.prepared()).toBe(0);
});

test.each(['before_prepare', 'prepared', 'before_decision'] as const)('an abort at %s rolls back', async (when) => {
  await using cluster = await startTransactionCluster();
  const controller = new AbortController();
  const transaction = beginTransaction(cluster.pools, { clusterId, onStep: (step) => { if (step === when) controller.abort(); } });
  await insertOn(transaction, everywhere, 'a');
  await expect(transaction.commit({ signal: controller.signal })).rejects.toMatchObject({ id: 'canceled' });
  expect(await cluster.rows()).toEqual(nothing);
  expect(await cluster.prepared()).toBe(0);
});
