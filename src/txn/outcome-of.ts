import { ClusterError, sqlStateOf } from '../base/errors.ts';
import type { CallOptions, NodeConnections } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import { gidCluster } from './gid.ts';
import { listPrepared } from './list-prepared.ts';
import { parseTransactionId, runSql, type TransactionId } from './transaction-id.ts';

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
  const found = judge(id, await evidenceOf(pools.get(id.node), id, options));
  if (found.outcome !== undefined) return found.outcome;
  // Without a number, that something is prepared is all there is.
  if (id.number === undefined && (await isPrepared(pools, id, options))) return 'in doubt';
  throw unknown(text, found.reason);
}

interface Evidence {
  readonly decided: string | null | undefined;
  /** What the server says of the number; `future` when it has not come to it. */
  readonly status: string | null | undefined;
  readonly run: string | null | undefined;
}

type Judgement = { readonly outcome: TransactionOutcome } | { readonly outcome: undefined; readonly reason: string };

function judge({ number }: TransactionId, { decided, status, run }: Evidence): Judgement {
  if (decided !== null && decided !== undefined) return { outcome: decided === 'commit' ? 'committed' : 'aborted' };
  if (number === undefined) return { outcome: undefined, reason: 'Its number on the node was never heard, and no decision is written down.' };
  if (status === 'aborted') return { outcome: 'aborted' };
  if (status === null || status === undefined) return { outcome: undefined, reason: 'It is too old for its node to know.' };
  if (number.run === run) {
    if (status === 'future') return { outcome: undefined, reason: 'Its node has not come to that number yet.' };
    return { outcome: status === 'committed' ? 'committed' : 'in doubt' };
  }
  // A crash ended what was open; who is open under the number now, or will be, is another.
  if (status !== 'committed') return { outcome: 'aborted' };
  return { outcome: undefined, reason: 'Its node has crashed since, or was replaced, and what committed under its number may be another transaction.' };
}

/** In one statement, so that no crash lies between the answers. */
async function evidenceOf(connections: NodeConnections, { transactionId, number }: TransactionId, options: CallOptions): Promise<Evidence> {
  const ask = async (xid: string | undefined): Promise<Evidence> => {
    const { rows } = await connections.query({ text: evidenceSql, values: [transactionId, xid ?? null] }, options);
    const [decided, status, run] = rows[0] ?? [];
    return { decided, status, run };
  };
  try {
    return await ask(number?.xid);
  } catch (error) {
    if (sqlStateOf(error) !== numberInFuture) throw error;
    return { ...(await ask(undefined)), status: 'future' };
  }
}

const numberInFuture = '22023';

/** The row comes first: recovery may have decided for abort while the part is still open. */
const evidenceSql = `
SELECT outcome, CASE WHEN outcome IS NULL THEN pg_catalog.pg_xact_status($2::xid8) END, ${runSql}
FROM (SELECT (SELECT outcome FROM shardwright.decision WHERE transaction_id = $1) AS outcome) AS decided`;

async function isPrepared(pools: NodePools, { transactionId }: TransactionId, options: OutcomeOptions): Promise<boolean> {
  const prepared = await Promise.all(pools.nodeIds.map((node) => listPrepared(pools, node, options)));
  return prepared.flat().some(({ gid }) => gid.transactionId === transactionId);
}

function unknown(text: string, detail: string): ClusterError {
  return new ClusterError('unknownTransaction', `nothing is known of transaction ${text}`, { detail, hint: 'Look whether its changes are there.' });
}
