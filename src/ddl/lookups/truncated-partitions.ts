import type { CatalogSnapshot, CatalogTable } from '../../catalog/catalog-snapshot.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { UniqueLookup } from '../../catalog/unique-lookup.ts';
import type { CallOptions } from '../../cluster/node-connection.ts';
import { placerOf } from '../../plan/prune.ts';
import { shardSql } from '../../plan/shard-template.ts';
import type { DistributedTransaction } from '../../txn/distributed-transaction.ts';
import { writeWholeShards } from './whole-shards.ts';

interface Truncation {
  readonly snapshot: CatalogSnapshot;
  readonly tables: readonly CatalogTable[];
}

/** Takes the keys of partitions that are about to be truncated out of their lookups, and locks the partitions first. Where all of a table is truncated, its lookups are: `emptyLookups`. */
export async function truncatedPartitionsLeave(transaction: DistributedTransaction, { snapshot, tables }: Truncation, options: CallOptions): Promise<void> {
  for (const lookup of snapshot.lookups) {
    const shards = partShards({ snapshot, tables }, lookup);
    for (const [node, list] of shards) await (await transaction.join(node, 'write', options)).query({ text: `LOCK TABLE ${list.join(', ')} IN ACCESS EXCLUSIVE MODE`, simple: true }, options);
    await writeWholeShards({ transaction, snapshot, options }, { lookup, shards, isShared: true }, 'gone');
  }
}

function partShards({ snapshot, tables }: Truncation, lookup: UniqueLookup): Map<NodeId, string[]> {
  const shards = new Map<NodeId, string[]>();
  if (tables.some(({ oid }) => oid === lookup.table)) return shards;
  for (const table of tables) {
    if (table.kind !== 'distributed' || !lookup.tables.has(table.oid)) continue;
    for (const [ordinal, { node }] of placerOf(table, snapshot).group.shardGroups.entries()) shards.set(node, [...(shards.get(node) ?? []), shardSql(table, ordinal)]);
  }
  return shards;
}
