import type { CatalogSnapshot, CatalogTable } from '../../catalog/catalog-snapshot.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { CallOptions, NodeQuery } from '../../cluster/node-connection.ts';
import type { DistributedTransaction } from '../../txn/distributed-transaction.ts';
import { runBatches } from '../../txn/run-batches.ts';
import { lookupShard, lookupTableOf } from './lookup-shards.ts';

/** Empties the lookups of tables that have been truncated, in the same transaction, which has the tables' locks: triggers for rows see nothing of that. Keys that are still being inserted are waited for. */
export async function emptyLookups(transaction: DistributedTransaction, { snapshot, tables }: { readonly snapshot: CatalogSnapshot; readonly tables: readonly CatalogTable[] }, options: CallOptions): Promise<void> {
  const byNode = new Map<NodeId, NodeQuery[]>();
  for (const lookup of snapshot.lookups) {
    if (!tables.some(({ oid }) => oid === lookup.table)) continue;
    const table = lookupTableOf(snapshot, lookup);
    for (const ordinal of table.shardIds.keys()) {
      const { node, sql } = lookupShard(snapshot, table, ordinal);
      byNode.set(node, [...(byNode.get(node) ?? []), { text: `TRUNCATE ${sql}` }]);
    }
  }
  if (byNode.size > 0) await runBatches(transaction, [...byNode].map(([node, queries]) => ({ node, queries })), options);
}
