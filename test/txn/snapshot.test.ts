import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { clusterId, everywhere, insertOn, one, startTransactionCluster, three, type TransactionCluster, two } from './transaction-cluster.ts';
import { coordinatorNodeId } from '../../src/catalog/coordinator-node.ts';
import type { NodeId } from '../../src/catalog/ids.ts';
import type { NodePools } from '../../src/cluster/node-pools.ts';
import { beginTransaction } from '../../src/txn/begin-transaction.ts';
import type { BeginOptions, CommitStep, DistributedTransaction } from '../../src/txn/distributed-transaction.ts';
import type { SnapshotStep } from '../../src/txn/commit-gate.ts';

let cluster: TransactionCluster;
/** Of another process. */
let others: NodePools;
beforeAll(async () => {
  cluster = await startTransactionCluster();
  await cluster.run(coordinatorNodeId, 'CREATE TABLE shardwright.cluster ()');
  others = cluster.openPools();
});
afterAll(() => cluster[Symbol.asyncDispose](), 15_000);
beforeEach(async () => {
  for (const node of everywhere) await cluster.run(node, 'TRUNCATE t, shardwright.decision');
});

const all = { 0: 'a', 1: 'a', 2: 'a', 3: 'a' };
const nothing = { 0: '', 1: '', 2: '', 3: '' };

async function snapshotOf(pools: NodePools, options: Pick<BeginOptions, 'modes' | 'onSnapshotStep'> & { readonly signal?: AbortSignal } = {}): Promise<DistributedTransaction> {
  const { signal, ...own } = options;
  const transaction = beginTransaction(pools, { clusterId, modes: 'ISOLATION LEVEL REPEATABLE READ, READ ONLY', ...own });
  try {
    await transaction.takeSnapshot?.({ signal });
  } catch (error) {
    await transaction.rollback();
    throw error;
  }
  return transaction;
}

/** What the transaction sees in `t`, by node. */
async function seen(transaction: DistributedTransaction): Promise<Record<number, string>> {
  const lists = await Promise.all(everywhere.map(async (node) => {
    const { rows } = await (await transaction.join(node, 'read')).query({ text: "SELECT coalesce(string_agg(a, ',' ORDER BY a), '') FROM t" });
    return [node, rows[0]?.[0] ?? ''] as const;
  }));
  return Object.fromEntries(lists);
}

/** A transaction that has written everywhere, and stops at a step of its commit. */
async function stoppedAt(step: CommitStep): Promise<{ readonly committing: Promise<void>; readonly resume: () => void }> {
  const reached = signal();
  const resumed = signal();
  const transaction = beginTransaction(cluster.pools, {
    clusterId,
    onStep: async (at) => {
      if (at !== step) return;
      reached.resolve();
      await resumed.promise;
    },
  });
  await insertOn(transaction, everywhere, 'a');
  const committing = transaction.commit();
  committing.catch(() => undefined);
  await reached.promise;
  return { committing, resume: resumed.resolve };
}

interface Signal {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

function signal(): Signal {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((resolved) => (resolve = resolved));
  return { promise, resolve };
}

/** Resolves when so many sessions of a node wait for the gate. */
async function waitingAt(node: NodeId, count: number): Promise<void> {
  const text = `SELECT count(*)::text FROM pg_locks WHERE NOT granted AND relation = 'shardwright.decision'::regclass`;
  while (Number(await cluster.run(node, text)) < count);
}

describe('a commit that has come to', () => {
  const steps = [['before_prepare', nothing], ['prepared', nothing], ['before_decision', nothing], ['decided', all], ['committed', all]] as const;

  test.each(steps)('%s, and goes on later: all or nothing', async (step, expected) => {
    const { committing, resume } = await stoppedAt(step);
    const snapshot = await snapshotOf(others);
    expect(await seen(snapshot)).toEqual(expected);
    resume();
    await committing;
    expect(await seen(snapshot)).toEqual(expected);
    await snapshot.rollback();
    expect(await cluster.rows()).toEqual(all);
    expect(await cluster.prepared()).toBe(0);
  });

  test.each(steps)('%s, and whose process dies: all or nothing', async (step, expected) => {
    const dying = await startTransactionCluster();
    await dying.run(coordinatorNodeId, 'CREATE TABLE shardwright.cluster ()');
    await using disposed = dying;
    const reached = signal();
    const transaction = beginTransaction(disposed.pools, {
      clusterId,
      onStep: async (at) => {
        if (at !== step) return;
        reached.resolve();
        await new Promise(() => undefined);
      },
    });
    await insertOn(transaction, everywhere, 'a');
    void transaction.commit();
    await reached.promise;
    await disposed.killOwner();
    const snapshot = await snapshotOf(disposed.openPools());
    expect(await seen(snapshot)).toEqual(expected);
    await snapshot.rollback();
    for (const node of everywhere) {
      const gid = await disposed.run(node, 'SELECT gid FROM pg_prepared_xacts WHERE database = current_database()');
      if (typeof gid === 'string') await disposed.run(node, `ROLLBACK PREPARED '${gid}'`);
    }
  });
});

test.each(['REPEATABLE READ', 'SERIALIZABLE'])('a transaction decided for while the gate is closed waits, and is not seen: %s', async (level) => {
  const { committing, resume } = await stoppedAt('before_decision');
  const steps: SnapshotStep[] = [];
  const snapshot = await snapshotOf(others, {
    modes: `ISOLATION LEVEL ${level}`,
    onSnapshotStep: async (step) => {
      steps.push(step);
      if (step !== 'closed') return;
      resume();
      await waitingAt(coordinatorNodeId, 1);
    },
  });
  expect(steps).toEqual(['turn', 'closed', 'settled', 'taken']);
  await committing;
  expect(await cluster.rows()).toEqual(all);
  expect(await seen(snapshot)).toEqual(nothing);
  await snapshot.rollback();
});

test('what takes long to be committed is waited for, and others are not held up meanwhile', async () => {
  const holder = await others.get(coordinatorNodeId).acquire();
  await holder.query({ text: 'BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE', simple: true });
  await cluster.run(coordinatorNodeId, `CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM FROM t; RETURN NULL; END $$;
     CREATE TABLE waiting (); CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON waiting INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION waits()`);
  const slow = beginTransaction(cluster.pools, { clusterId });
  await (await slow.join(coordinatorNodeId, 'write')).query({ text: 'INSERT INTO waiting DEFAULT VALUES' });
  await insertOn(slow, [one], 'a');
  const committing = slow.commit();
  // It has decided, and hangs in COMMIT for the table.
  while (Number(await cluster.run(coordinatorNodeId, `SELECT count(*)::text FROM pg_locks WHERE NOT granted AND relation = 't'::regclass`)) === 0);
  const taking = snapshotOf(others);
  await waitingAt(coordinatorNodeId, 1);
  const other = beginTransaction(cluster.pools, { clusterId });
  await insertOn(other, [two, three], 'a');
  await other.commit();
  await holder.query({ text: 'COMMIT' });
  holder.release();
  await committing;
  const snapshot = await taking;
  expect(await seen(snapshot)).toEqual({ ...all, 0: '' });
  await snapshot.rollback();
  await cluster.run(coordinatorNodeId, 'DROP TABLE waiting; DROP FUNCTION waits');
});

test('what never ends is given up, and leaves nothing locked', async () => {
  const holder = await others.get(two).acquire();
  await holder.query({ text: `BEGIN; INSERT INTO shardwright.decision (transaction_id, outcome) VALUES ('x', 'commit')`, simple: true });
  await expect(snapshotOf(others)).rejects.toMatchObject({ id: 'snapshotUnavailable', code: '55P03', cause: { code: '55P03' } });
  await holder.query({ text: 'ROLLBACK' });
  holder.release();
  for (const node of everywhere) expect(await cluster.run(node, `SELECT count(*)::text FROM pg_locks WHERE relation = 'shardwright.decision'::regclass`)).toBe('0');
});

test('aborted while it waits', async () => {
  const holder = await others.get(two).acquire();
  await holder.query({ text: `BEGIN; INSERT INTO shardwright.decision (transaction_id, outcome) VALUES ('x', 'commit')`, simple: true });
  const controller = new AbortController();
  const taking = snapshotOf(others, { signal: controller.signal });
  await waitingAt(two, 1);
  controller.abort();
  await expect(taking).rejects.toMatchObject({ id: 'canceled' });
  await holder.query({ text: 'ROLLBACK' });
  holder.release();
});

test('with no connection to spare', async () => {
  await using narrow = await startTransactionCluster({ exclusiveMax: 1 });
  await narrow.run(coordinatorNodeId, 'CREATE TABLE shardwright.cluster ()');
  const { signal: limit } = new AbortController();
  const [first, second] = [snapshotOf(narrow.pools, { signal: limit }), snapshotOf(narrow.pools, { signal: limit })];
  for (const taking of [first, second]) await (await taking).rollback();
});

test.each(['closed', 'settled', 'taken'] as const)('a session lost when the gate is closed, at %s: no snapshot, and commits go on', async (lost) => {
  const pools = cluster.openPools();
  const taking = snapshotOf(pools, {
    onSnapshotStep: async (step) => {
      if (step !== lost) return;
      await cluster.run(two, `SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE relation = 'shardwright.decision'::regclass AND mode = 'ShareLock'`);
    },
  });
  await expect(taking).rejects.toMatchObject({ code: expect.stringMatching(/^(57P01|08006|08001)$/) });
  const transaction = beginTransaction(cluster.pools, { clusterId });
  await insertOn(transaction, everywhere, 'a');
  await transaction.commit();
  expect(await cluster.rows()).toEqual(all);
});

test('a process that stops with the gate closed loses it after seconds', async () => {
  const { committing, resume } = await stoppedAt('before_decision');
  const taking = snapshotOf(cluster.openPools(), {
    onSnapshotStep: async (step) => {
      if (step !== 'closed') return;
      resume();
      await committing;
    },
  });
  await expect(taking).rejects.toMatchObject({ code: expect.stringMatching(/^(25P03|08006|08001)$/) });
  expect(await cluster.rows()).toEqual(all);
});

test('a node that is added later is not in it', async () => {
  const pools = cluster.openPools();
  const without: NodePools = { get: (node) => pools.get(node), setNodes: (nodes) => pools.setNodes(nodes), end: () => pools.end(), nodeIds: [coordinatorNodeId, one, two] };
  const snapshot = await snapshotOf(without);
  await expect(snapshot.join(three, 'read')).rejects.toMatchObject({ id: 'snapshotUnavailable', code: '55000' });
  expect((await snapshot.join(one, 'read')).transactionStatus).toBe('open');
  await snapshot.rollback();
});

test('many snapshots and commits at once', async () => {
  const processes = [cluster.pools, others, cluster.openPools()];
  const over = new AbortController();
  let committed = 0;
  const commits = processes.map(async (pools, process) => {
    for (let i = 0; !over.signal.aborted; i += 1) {
      const transaction = beginTransaction(pools, { clusterId });
      await insertOn(transaction, [everywhere[i % 4] ?? one, everywhere[(i + 1 + process) % 4] ?? two].toSorted((a, b) => a - b), `${process}-${i}`);
      await transaction.commit();
      committed += 1;
    }
  });
  const snapshots = processes.flatMap((pools) => [pools, pools]).map(async (pools) => {
    for (let i = 0; i < 15; i += 1) {
      const snapshot = await snapshotOf(pools);
      const values = Object.values(await seen(snapshot)).flatMap((list) => (list === '' ? [] : list.split(',')));
      await snapshot.rollback();
      // Each is there twice.
      expect(values.filter((value) => values.filter((other) => other === value).length !== 2)).toEqual([]);
    }
  });
  await Promise.all(snapshots).finally(() => over.abort());
  await Promise.all(commits);
  expect(committed).toBeGreaterThan(0);
}, 120_000);

test('a node whose connections wait for who waits for the gate: it opens, and all go on', async () => {
  await cluster.run(two, 'CREATE TABLE busy ()');
  const writer = beginTransaction(cluster.pools, { clusterId });
  await insertOn(writer, everywhere, 'a');
  await (await writer.join(two, 'write')).query({ text: 'LOCK TABLE busy' });
  let waiting: Promise<unknown> | undefined;
  const transaction = await snapshotOf(others, {
    onSnapshotStep: (step) => {
      if (step !== 'closed' || waiting !== undefined) return;
      // More than there are shared connections.
      waiting = Promise.all([writer.commit(), ...Array.from({ length: 12 }, () => others.get(two).query({ text: 'SELECT FROM busy' }))]);
    },
  });
  await waiting;
  expect(await seen(transaction)).toEqual(all);
  await transaction.rollback();
  await cluster.run(two, 'DROP TABLE busy');
}, 30_000);
