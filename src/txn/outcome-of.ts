import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { gidCluster } from './gid.ts';
import { listPrepared } from './list-prepared.ts';
import { parseTransactionId, type TransactionId } from './transaction-id.ts';

/** `in doubt`: not decided yet, so ask again. What is decided stays so. */
export type TransactionOutcome = 'committed' | 'aborted' | 'in doubt';

export interface OutcomeOptions extends CallOptions {
  readonly clusterId: string;
}

/**
 * What became of a transaction, by the id that `outcomeUnknown` came with. Only reads. Asked is the node whose part decides about the whole: its decision row, while there is
 * one, and the server's own record of the part's number, which it keeps for 200 million transactions and more. Throws `invalidParameter` for what is
 * no id, `unknownTransaction` where nothing tells the outcome (any more), and what the node throws.
 */
export async function outcomeOf(pools: NodePools, text: string, options: OutcomeOptions): Promise<TransactionOutcome> {
  const id = parseTransactionId(text);
  if (id === undefined) throw new ClusterError('invalidParameter', `not the id of a transaction: ${text}`, { hint: 'Pass the transactionId of an error with code 08007.' });
  if (id.cluster !== gidCluster(options.clusterId)) throw unknown(text, 'It is a transaction of another cluster.');
  const outcome = await askNode(pools, id, options).catch((error: unknown) => {
    throw sqlStateOf(error) === numberInFuture ? unknown(text, 'Its node has not come to that number yet: it was restored from a backup, or lost commits in a failover.', error) : error;
  });
  if (outcome === 'committed' || outcome === 'aborted') return outcome;
  if (outcome === 'in progress' || (await isPrepared(pools, id, options))) return 'in doubt';
  throw unknown(text, id.xid === undefined ? 'Its number on the node was never heard, and no decision is written down.' : 'It is too old for its node to know.');
}

async function askNode(pools: NodePools, { node, transactionId, xid }: TransactionId, options: CallOptions): Promise<string | null | undefined> {
  const { rows } = await pools.get(node).query({ text: askSql, values: [transactionId, xid ?? null] }, options);
  return rows[0]?.[0];
}

/** The row comes first: recovery may have decided for abort while the part is still open. */
const askSql = `
SELECT coalesce(
  (SELECT CASE outcome WHEN 'commit' THEN 'committed' ELSE 'aborted' END FROM shardwright.decision WHERE transaction_id = $1),
  pg_catalog.pg_xact_status($2::xid8))`;

async function isPrepared(pools: NodePools, { transactionId }: TransactionId, options: OutcomeOptions): Promise<boolean> {
  const prepared = await Promise.all(pools.nodeIds.map((node) => listPrepared(pools, node, options)));
  return prepared.flat().some(({ gid }) => gid.transactionId === transactionId);
}

const numberInFuture = '22023';

function unknown(text: string, detail: string, cause?: unknown): ClusterError {
  return new ClusterError('unknownTransaction', `nothing is known of transaction ${text}`, { detail, hint: 'Look whether its changes are there.', cause });
}
