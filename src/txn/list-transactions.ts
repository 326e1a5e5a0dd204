import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import type { Outcome } from './decision.ts';
import { type PreparedTransaction, listPrepared } from './list-prepared.ts';

/** A transaction that is prepared on a node and not finished there yet. */
export interface TransactionInDoubt {
  readonly transactionId: string;
  readonly node: NodeId;
  /** As `pg_prepared_xacts` has it. */
  readonly gid: string;
  readonly ageMs: number;
  /** What is decided; undefined while nothing is, or the node that would know does not answer. */
  readonly outcome: Outcome | undefined;
}

/** Those of the whole cluster, or of some nodes, the oldest first. A node that does not answer fails the call. */
export async function listTransactions(pools: NodePools, { nodes = pools.nodeIds, ...options }: CallOptions & { readonly clusterId: string; readonly nodes?: readonly NodeId[] | undefined }): Promise<TransactionInDoubt[]> {
  const prepared = (await Promise.all(nodes.map(async (node) => (await listPrepared(pools, node, options)).map((one) => ({ ...one, node }))))).flat();
  const outcomes = await decidedOutcomes(pools, prepared, options);
  return prepared
    .map(({ node, text, ageMs, gid: { transactionId } }) => ({ transactionId, node, gid: text, ageMs, outcome: outcomes.get(transactionId) }))
    .toSorted((a, b) => b.ageMs - a.ageMs);
}

/** Only reads: what is not decided stays so. */
async function decidedOutcomes(pools: NodePools, prepared: readonly PreparedTransaction[], options: CallOptions): Promise<Map<string, Outcome>> {
  const byNode = new Map<NodeId, Set<string>>();
  for (const { gid: { decisionNode, transactionId } } of prepared) byNode.set(decisionNode, (byNode.get(decisionNode) ?? new Set()).add(transactionId));
  const answers = await Promise.allSettled([...byNode].map(([node, ids]) => pools.get(node).query({
    text: 'SELECT transaction_id, outcome FROM shardwright.decision WHERE transaction_id = ANY ($1::text[])', values: [[...ids]],
  }, options)));
  const rows = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value.rows : []));
  return new Map(rows.map(([id, outcome]) => [id ?? '', outcome === 'commit' ? 'commit' : 'abort']));
}
