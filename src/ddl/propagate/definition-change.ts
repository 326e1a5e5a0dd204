import type { CatalogSnapshot, CatalogTable } from '../../catalog/catalog-snapshot.ts';
import type { NodeId, ShardId } from '../../catalog/ids.ts';
import { present } from '../../base/assert.ts';
import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import type { DistributedTransaction } from '../../txn/distributed-transaction.ts';

/** One change of definitions while it runs: alone in changing the catalog, which is as the snapshot says. */
export interface DefinitionChange {
  readonly transaction: DistributedTransaction;
  readonly coordinator: NodeConnection;
  readonly snapshot: CatalogSnapshot;
  readonly options: CallOptions;
  readonly lockTimeoutMs: number;
  readonly shellsOnly: boolean;
  readonly distributesSchemas: boolean;
}

/** A shard on a node. */
export interface Placement {
  readonly node: NodeId;
  readonly id: ShardId;
  /** Of the shard group; 0 of a reference table. */
  readonly ordinal: number;
}

/** In order of ids. */
export function placementsOf(snapshot: CatalogSnapshot, table: CatalogTable): Placement[] {
  if (table.kind === 'reference') return snapshot.nodes.map(({ id: node }) => ({ node, id: table.shardId, ordinal: 0 }));
  const { shardGroups } = present(snapshot.colocationGroups.get(table.colocationId), 'colocation group');
  return table.shardIds.map((id, ordinal) => ({ node: present(shardGroups[ordinal]).node, id, ordinal }));
}
