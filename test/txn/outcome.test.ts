import { expect, test } from 'vitest';
import { until } from '../cluster/connections.ts';
import { type MutingProxy, startMutingProxy } from './muting-proxy.ts';
import { clusterId, insertOn, one, startTransactionCluster, three, type TransactionCluster, two } from './transaction-cluster.ts';
import { at } from '../../src/base/assert.ts';
import { ClusterError } from '../../src/base/errors.ts';
import { coordinatorNodeId } from '../../src/catalog/coordinator-node.ts';
import type { NodeId } from '../../src/catalog/ids.ts';
import type { NodePools } from '../../src/cluster/node-pools.ts';
import { beginTransaction } from '../../src/txn/begin-transaction.ts';
import { commitBatches } from '../../src/txn/commit-batches.ts';
import { outcomeOf } from '../../src/txn/outcome-of.ts';
import { recover } from '../../src/txn/recover.ts';
import { formatTransactionId, numberSql, parseTransactionId, readNumber, runSql } from '../../src/txn/transaction-id.ts';

const ways = {
  'READ COMMITTED': (pools: NodePools, nodes: readonly NodeId[]) => write(pools, nodes, ''),
  'REPEATABLE READ': (pools: NodePools, nodes: readonly NodeId[]) => write(pools, nodes, 'ISOLATION LEVEL REPEATABLE READ'),
  'reads before it writes': (pools: NodePools, nodes: readonly NodeId[]) => write(pools, nodes, '', true),
  batches: (pools: NodePools, nodes: readonly NodeId[]) => commitBatches(pools, nodes.map((node) => ({ node, queries: [{ text: "INSERT INTO t VALUES ('a')" }] })), { clusterId }),
};

async function write(pools: NodePools, nodes: readonly NodeId[], modes: string, reads = false): Promise<void> {
  const transaction = beginTransaction(pools, { clusterId, modes });
  if (reads) for (const node of nodes) await (await transaction.join(node, 'read')).query({ text: 'SELECT a FROM t' });
  await insertOn(transaction, nodes, 'a');
  await transaction.commit();
}

const cases = (Object.keys(ways) as (keyof typeof ways)[]).flatMap((way) => [[one], [one, two]].flatMap((nodes) => [true, false].map((commits) => ({ way, nodes, commits }))));

test.each(cases)('$way on $nodes, committed: $commits; the connection breaks in COMMIT, and any process learns the outcome', async ({ way, nodes, commits }) => {
  await using held = await holdCommitOnOne();
  const { cluster, pools, proxy } = held;
  const failing = ways[way](pools, nodes).then(() => undefined, (error: unknown) => error);
  await until(() => held.isWaiting());
  await proxy.mute();
  // One server that commits after that may not say so any more; one whose process is ended has not committed.
  await (commits ? held.letGo() : held.kill());
  await until(async () => !(await held.isWaiting()));
  if (nodes.length === 1) {
    proxy.cut();
    const error = await failing;
    expect(error).toMatchObject({ id: 'outcomeUnknown', code: '08007', transactionId: expect.any(String), hint: expect.stringContaining('outcomeOf(') });
    expect(await outcomeOf(cluster.openPools(), idOf(error), { clusterId })).toBe(commits ? 'committed' : 'aborted');
  } else {
    proxy.cut();
    // With a decision row the process asks by itself.
    expect(await failing).toEqual(commits ? undefined : expect.objectContaining({ id: 'connectionLost' }));
  }
  expect(await cluster.run(one, "SELECT coalesce(string_agg(a, ','), '') FROM t")).toBe(commits ? 'a' : '');
});

test.each(['', 'ISOLATION LEVEL REPEATABLE READ'])('BEGIN %s; nothing arrives from COMMIT on', async (modes) => {
  await using held = await holdCommitOnOne();
  const transaction = beginTransaction(held.pools, { clusterId, modes });
  await insertOn(transaction, [one], 'a');
  await held.proxy.mute();
  const failing = transaction.commit().catch((error: unknown) => error);
  await until(() => held.isWaiting());
  held.proxy.cut();
  const error = await failing;
  expect(error).toMatchObject({ id: 'outcomeUnknown' });
  const asked = outcomeOf(held.cluster.pools, idOf(error), { clusterId });
  if (modes === '') expect(await asked).toBe('in doubt');
  else {
    // The number was on its way, too: nobody can tell, and that is said.
    await expect(asked).rejects.toMatchObject({ id: 'unknownTransaction', code: '42704', detail: expect.stringContaining('never heard') });
    expect(error).toMatchObject({ hint: 'Check whether its changes are there before you try it again.' });
  }
  await held.letGo();
  await until(async () => (await held.cluster.run(one, 'SELECT a FROM t')) === 'a');
  if (modes === '') expect(await outcomeOf(held.cluster.pools, idOf(error), { clusterId })).toBe('committed');
});

test('open, then rolled back or committed', async () => {
  await using cluster = await startTransactionCluster();
  for (const [end, outcome] of [['ROLLBACK', 'aborted'], ['COMMIT', 'committed']] as const) {
    const connection = await cluster.pools.get(two).acquire();
    await connection.query({ text: 'BEGIN' });
    const { rows } = await connection.query({ text: `SELECT ${numberSql}` });
    const id = formatTransactionId({ cluster: '0123abcd', node: two, number: readNumber(rows[0]?.[0]), transactionId: 'x1' });
    expect(await outcomeOf(cluster.openPools(), id, { clusterId })).toBe('in doubt');
    await connection.query({ text: end });
    expect(await outcomeOf(cluster.openPools(), id, { clusterId })).toBe(outcome);
    connection.release();
  }
});

test.each(['begun', 'batches'] as const)('in two phases, %s: the outcome is known at each step, and still when the decision row is gone', async (way) => {
  await using cluster = await startTransactionCluster();
  const others = cluster.openPools();
  const seen: string[] = [];
  let id = '';
  const onStep = async (step: string): Promise<void> => {
    if (step === 'before_prepare') return;
    const gid = await cluster.run(three, "SELECT min(gid) FROM pg_prepared_xacts WHERE gid LIKE 'shardwright:0123abcd:%' AND database = current_database()");
    if (gid !== null && gid !== undefined) id = formatTransactionId({ cluster: '0123abcd', node: two, number: undefined, transactionId: at(gid.split(':'), 3) });
    seen.push(`${step} ${await outcomeOf(others, id, { clusterId })}`);
  };
  const nodes = [two, three];
  if (way === 'batches') await commitBatches(cluster.pools, nodes.map((node) => ({ node, queries: [{ text: "INSERT INTO t VALUES ('a')" }] })), { clusterId, onStep });
  else {
    const transaction = beginTransaction(cluster.pools, { clusterId, onStep });
    await insertOn(transaction, nodes, 'a');
    await transaction.commit();
  }
  expect(seen).toEqual(['one_prepared in doubt', 'prepared in doubt', 'before_decision in doubt', 'decided committed', 'one_committed committed', 'committed committed']);
  const numbered = { ...parsed(id), number: readNumber(await cluster.run(two, `SELECT concat_ws('.', xmin, ${runSql}) FROM t`)) };
  await recover(others, { clusterId, keepDecisionsMs: 0 });
  expect(await outcomeOf(others, formatTransactionId(numbered), { clusterId })).toBe('committed');
  await expect(outcomeOf(others, id, { clusterId })).rejects.toMatchObject({ id: 'unknownTransaction' });
});

test('decided for abort by recovery while its owner still has it open', async () => {
  await using cluster = await startTransactionCluster();
  const others = cluster.openPools();
  const answers: string[] = [];
  const onStep = async (step: string): Promise<void> => {
    if (step !== 'before_decision') return;
    await cluster.run(one, `INSERT INTO shardwright.decision VALUES ('${transaction.id}', 'abort')`);
    const number = readNumber(await cluster.run(one, `SELECT concat_ws('.', backend_xid, ${runSql}) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'`));
    answers.push(await outcomeOf(others, formatTransactionId({ cluster: '0123abcd', node: one, number, transactionId: transaction.id }), { clusterId }));
  };
  const transaction = beginTransaction(cluster.pools, { clusterId, onStep });
  await insertOn(transaction, [one, two], 'a');
  await expect(transaction.commit()).rejects.toMatchObject({ id: 'overtaken' });
  expect(answers).toEqual(['aborted']);
});

test('what is no id, or of another cluster, or of a number that is still to come', async () => {
  await using cluster = await startTransactionCluster();
  const ask = (id: string): Promise<string> => outcomeOf(cluster.pools, id, { clusterId });
  await expect(ask('x')).rejects.toMatchObject({ id: 'invalidParameter', code: '22023' });
  await expect(ask("0123abcd.1.7'.1.x1")).rejects.toMatchObject({ id: 'invalidParameter' });
  await expect(ask('ffffffff.1.700.1.x1')).rejects.toMatchObject({ id: 'unknownTransaction', code: '42704', detail: 'It is a transaction of another cluster.' });
  const run = await cluster.run(one, `SELECT ${runSql}`);
  await expect(ask(`0123abcd.1.999999999999.${run}.x1`)).rejects.toMatchObject({ id: 'unknownTransaction', detail: 'Its node has not come to that number yet.' });
  await expect(ask('0123abcd.1.3.1.x1')).rejects.toMatchObject({ id: 'unknownTransaction' });
  await expect(ask('0123abcd.9.700.1.x1')).rejects.toMatchObject({ id: 'undefinedNode' });
  const id = { cluster: '0123abcd', node: coordinatorNodeId, number: { xid: '700', run: '1' }, transactionId: 'ab01' };
  expect(parseTransactionId(formatTransactionId(id))).toEqual(id);
  expect(parseTransactionId(formatTransactionId({ ...id, number: undefined }))).toEqual({ ...id, number: undefined });
});

function parsed(id: string) {
  const parts = parseTransactionId(id);
  if (parts === undefined) throw new Error(`not an id: ${id}`);
  return parts;
}

function idOf(error: unknown): string {
  return error instanceof ClusterError ? (error.transactionId ?? '') : '';
}

interface HeldCommit extends AsyncDisposable {
  readonly cluster: TransactionCluster;
  /** Node one is reached through the proxy. */
  readonly pools: NodePools;
  readonly proxy: MutingProxy;
  /** Whether a COMMIT on node one waits, in a deferred trigger. */
  isWaiting(): Promise<boolean>;
  letGo(): Promise<void>;
  /** Ends the session that waits. */
  kill(): Promise<void>;
}

async function holdCommitOnOne(): Promise<HeldCommit> {
  const cluster = await startTransactionCluster();
  const proxy = await startMutingProxy(at(cluster.databases.nodes, 0));
  const pools = cluster.openPools('muted', new Map([[one, proxy.port]]));
  await cluster.run(one, `
    CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON t INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION waits();
    SELECT pg_advisory_lock(1)`);
  const waiting = "datname = current_database() AND wait_event = 'advisory'";
  return {
    cluster,
    pools,
    proxy,
    isWaiting: async () => (await cluster.run(one, `SELECT count(*)::text FROM pg_stat_activity WHERE ${waiting}`)) === '1',
    letGo: async () => void (await cluster.run(one, 'SELECT pg_advisory_unlock(1)')),
    kill: async () => {
      await cluster.run(one, `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE ${waiting}`);
      await cluster.run(one, 'SELECT pg_advisory_unlock(1)');
    },
    [Symbol.asyncDispose]: async () => {
      await cluster[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
    },
  };
}
