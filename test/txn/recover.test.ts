import { EventEmitter, once } from 'node:events';
import { expect, test } from 'vitest';
import { until } from '../cluster/connections.ts';
import { startMutingProxy } from './muting-proxy.ts';
import { clusterId, everywhere, insertOn, one, startTransactionCluster, three, two } from './transaction-cluster.ts';
import { at } from '../../src/base/assert.ts';
import { coordinatorNodeId } from '../../src/catalog/coordinator-node.ts';
import type { NodePools } from '../../src/cluster/node-pools.ts';
import { SessionTransaction } from '../../src/session/session-transaction.ts';
import { beginTransaction } from '../../src/txn/begin-transaction.ts';
import { commitBatches } from '../../src/txn/commit-batches.ts';
import type { BeginOptions, CommitStep } from '../../src/txn/distributed-transaction.ts';
import { formatGid, parseGid } from '../../src/txn/gid.ts';
import { recover } from '../../src/txn/recover.ts';

const all = { 0: 'a', 1: 'a', 2: 'a', 3: 'a' };
const nothing = { 0: '', 1: '', 2: '', 3: '' };

test.each([
  ['before_prepare', 0, nothing],
  ['prepared', 3, nothing],
  ['before_decision', 3, nothing],
  ['decided', 3, all],
  ['committed', 0, all],
] as const)('the owner dies at %s', async (dying, preparedThen, expected) => {
  await using cluster = await startTransactionCluster();
  const reached = new EventEmitter();
  const died = once(reached, dying);
  const onStep = async (step: CommitStep): Promise<void> => {
    reached.emit(step);
    if (step === dying) await new Promise(() => undefined);
  };
  const transaction = beginTransaction(cluster.pools, { clusterId, onStep });
  await insertOn(transaction, everywhere, 'a');
  const committing = transaction.commit();
  void committing;
  await died;
  await cluster.killOwner();
  expect(await cluster.prepared()).toBe(preparedThen);
  const others = cluster.openPools();
  // Two at once get in each other's way without harm.
  const reports = await Promise.all([recover(others, { clusterId }), recover(others, { clusterId })]);
  await recover(others, { clusterId });
  expect(reports.flatMap(({ committed, rolledBack }) => [...committed, ...rolledBack]).length).toBeGreaterThanOrEqual(preparedThen);
  expect(await cluster.rows()).toEqual(expected);
  expect(await cluster.prepared()).toBe(0);
});

const begun = async (pools: NodePools, options: BeginOptions): Promise<void> => {
  const transaction = beginTransaction(pools, options);
  await insertOn(transaction, everywhere, 'a');
  await transaction.commit();
};
const coordinatorLast = async (pools: NodePools, options: BeginOptions): Promise<void> => {
  const transaction = beginTransaction(pools, options);
  await insertOn(transaction, [one, two, three, coordinatorNodeId], 'a');
  await transaction.commit();
};
const readFirst = async (pools: NodePools, options: BeginOptions): Promise<void> => {
  const transaction = beginTransaction(pools, options);
  for (const node of everywhere) await (await transaction.join(node, 'read')).query({ text: 'SELECT a FROM t' });
  await insertOn(transaction, everywhere, 'a');
  await transaction.commit();
};
const behindSavepoint = async (pools: NodePools, options: BeginOptions): Promise<void> => {
  const transaction = new SessionTransaction(beginTransaction(pools, options), []);
  await (await transaction.join(coordinatorNodeId, 'read')).query({ text: 'SELECT a FROM t' });
  await transaction.broadcast('SAVEPOINT s');
  await insertOn(transaction, [coordinatorNodeId], 'undone');
  await transaction.rollbackTo('ROLLBACK TO SAVEPOINT s');
  await insertOn(transaction, everywhere, 'a');
  await transaction.commit();
};
const oneSnapshot = { modes: 'ISOLATION LEVEL SERIALIZABLE' };
const batches = async (pools: NodePools, options: BeginOptions): Promise<void> => {
  await commitBatches(pools, everywhere.map((node) => ({ node, queries: [{ text: "INSERT INTO t VALUES ('a')" }] })), options);
};

test.each([
  ['begun', begun, {}],
  ['the coordinator database last', coordinatorLast, {}],
  ['reads before it writes', readFirst, {}],
  ['begun, one snapshot', begun, oneSnapshot],
  ['the coordinator database last, one snapshot', coordinatorLast, oneSnapshot],
  ['reads before it writes, one snapshot', readFirst, oneSnapshot],
  ['claimed behind a savepoint', behindSavepoint, {}],
  ['batches', batches, {}],
] as const)('an owner that is only slow is left alone: %s', async (_, commit, options) => {
  await using cluster = await startTransactionCluster();
  const others = cluster.openPools();
  const reports: unknown[] = [];
  const onStep = async (step: CommitStep): Promise<void> => {
    if (step === 'prepared' || step === 'before_decision') reports.push(await recover(others, { clusterId, keepDecisionsMs: 0 }));
  };
  await commit(cluster.pools, { ...options, clusterId, onStep });
  const nothingDone = { committed: [], rolledBack: [], left: [], decisionsForgotten: 0 };
  expect(reports).toEqual([nothingDone, nothingDone]);
  expect(await cluster.rows()).toEqual(all);
  expect(await cluster.prepared()).toBe(0);
});

test('one whose claim is late is overtaken: it rolls back, and may be tried again', async () => {
  await using cluster = await startTransactionCluster();
  await using proxy = await startMutingProxy(at(cluster.databases.nodes, 0));
  const pools = cluster.openPools('owner', new Map([[one, proxy.port]]));
  (await pools.get(one).acquire()).release();
  proxy.hold();
  // Node one has the most to do, so it decides. Its message is on the way.
  const committing = commitBatches(pools, [one, two].map((node) => ({ node, queries: Array.from({ length: node === one ? 2 : 1 }, (_, i) => ({ text: `INSERT INTO t VALUES ('a${i}')` })) })), { clusterId }).catch((error: unknown) => error);
  await until(async () => (await cluster.prepared()) === 1);
  expect(await recover(cluster.openPools(), { clusterId })).toMatchObject({ rolledBack: { length: 1 }, left: [] });
  proxy.letGo();
  expect(await committing).toMatchObject({ id: 'overtaken', code: '40001', transient: true, cause: { code: '23505' } });
  expect(await cluster.rows()).toEqual(nothing);
  expect(await cluster.prepared()).toBe(0);
});

test('an abort row is kept while its owner may still decide, then forgotten', async () => {
  await using cluster = await startTransactionCluster();
  const others = cluster.openPools();
  const forgotten: number[] = [];
  const onStep = async (step: CommitStep): Promise<void> => {
    if (step !== 'before_decision') return;
    await cluster.run(one, `INSERT INTO shardwright.decision VALUES ('${transaction.id}', 'abort')`);
    for (let turn = 0; turn < 2; turn += 1) forgotten.push((await recover(others, { clusterId, keepDecisionsMs: 0 })).decisionsForgotten);
  };
  const transaction = beginTransaction(cluster.pools, { clusterId, onStep });
  await insertOn(transaction, [one, two], 'a');
  await expect(transaction.commit()).rejects.toMatchObject({ id: 'overtaken' });
  forgotten.push((await recover(others, { clusterId, keepDecisionsMs: 0 })).decisionsForgotten);
  expect(forgotten).toEqual([0, 0, 1]);
});

test('decisions are forgotten when nothing is prepared any more, and not before', async () => {
  await using cluster = await startTransactionCluster();
  const others = cluster.openPools();
  const onStep = async (step: CommitStep): Promise<void> => {
    // What is decided may be finished by anyone.
    if (step === 'decided') expect(await recover(others, { clusterId, keepDecisionsMs: 0 })).toMatchObject({ committed: { length: 3 }, decisionsForgotten: 0 });
  };
  const transaction = beginTransaction(cluster.pools, { clusterId, onStep });
  await insertOn(transaction, everywhere, 'a');
  await transaction.commit();
  expect(await recover(others, { clusterId })).toMatchObject({ decisionsForgotten: 0 });
  expect(await recover(others, { clusterId, keepDecisionsMs: 0 })).toMatchObject({ decisionsForgotten: 1, left: [] });
  expect(await cluster.rows()).toEqual(all);
});

test('an owner cut off from the last agent while it decides learns what became of it', async () => {
  await using cluster = await startTransactionCluster();
  // The last agent's session is ended inside COMMIT, by a deferred trigger: its work and the row are gone.
  await cluster.run(
    coordinatorNodeId,
    `CREATE FUNCTION dies() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NULL; END $$;
     CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON t INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dies()`,
  );
  const transaction = beginTransaction(cluster.pools, { clusterId });
  await insertOn(transaction, everywhere, 'a');
  await expect(transaction.commit()).rejects.toMatchObject({ code: '57P01' });
  expect(await cluster.rows()).toEqual(nothing);
  expect(await cluster.prepared()).toBe(0);
});

test('a single writer lost in COMMIT: the outcome is unknown', async () => {
  await using cluster = await startTransactionCluster();
  await cluster.run(
    one,
    `CREATE FUNCTION dies() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NULL; END $$;
     CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON t INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dies()`,
  );
  const transaction = beginTransaction(cluster.pools, { clusterId });
  await insertOn(transaction, [one], 'a');
  await expect(transaction.commit()).rejects.toMatchObject({ id: 'outcomeUnknown', code: '08007', message: expect.stringContaining(transaction.id) });
});

test('recovery leaves other clusters\', and foreign prepared transactions alone', async () => {
  await using cluster = await startTransactionCluster();
  const foreign = formatGid({ cluster: 'ffffffff', decisionNode: one, transactionId: 'x1', participant: three });
  const names = [foreign, 'somebody else', `more ${foreign}`];
  for (const name of names) await cluster.run(three, `BEGIN; INSERT INTO t VALUES ('${name}'); PREPARE TRANSACTION '${name} ${cluster.pools.get(three).name}'`);
  const own = formatGid({ cluster: '0123abcd', decisionNode: one, transactionId: 'x2', participant: three });
  await cluster.run(three, `BEGIN; INSERT INTO t VALUES ('own'); PREPARE TRANSACTION '${own}'`);
  expect(await recover(cluster.pools, { clusterId })).toMatchObject({ committed: [], rolledBack: [own], left: [] });
  expect(await cluster.prepared()).toBe(3);
  for (const name of names) await cluster.run(three, `ROLLBACK PREPARED '${name} ${cluster.pools.get(three).name}'`);
});

test('gids are read as they are written', () => {
  const gid = { cluster: '0123abcd', decisionNode: coordinatorNodeId, transactionId: 'ab01', participant: two };
  expect(parseGid(formatGid(gid))).toEqual(gid);
  expect(formatGid(gid)).toBe('shardwright:0123abcd:0:ab01:2');
  expect(parseGid('shardwright:0123abcd:0:ab01')).toBeUndefined();
  expect(parseGid("shardwright:0123abcd:0:ab01:2'")).toBeUndefined();
});
