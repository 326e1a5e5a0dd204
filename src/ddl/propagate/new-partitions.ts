import type { ClusterNode } from '../../catalog/catalog-snapshot.ts';
import { distributePartition } from '../create-distributed-table.ts';
import { underDefinitionSettings } from '../definition-settings.ts';
import type { TableDefinition } from '../table-definition.ts';
import type { DefinitionChange } from './definition-change.ts';

/** Distributes what a statement has made a partition of a distributed table (CREATE TABLE … PARTITION OF, ATTACH PARTITION), with its rows. Returns how many tables that were. */
export async function distributeNewPartitions(change: DefinitionChange, before: ReadonlyMap<number, TableDefinition>): Promise<number> {
  const { coordinator, transaction, snapshot, options } = change;
  const parents = [...before.values()].filter(({ partitionKey }) => partitionKey !== null).map(({ oid }) => oid);
  if (parents.length === 0) return 0;
  const { rows } = await coordinator.query({
    text: `SELECT h.inhrelid::oid FROM pg_inherits h WHERE h.inhparent = ANY ($1::oid[]) AND NOT EXISTS (SELECT FROM shardwright.distributed_table t WHERE t.relation = h.inhrelid)`,
    values: [parents],
  }, options);
  if (rows.length === 0) return 0;
  await onNodesOf(change, snapshot.nodes, async () => {
    const { clusterId, nodes } = snapshot;
    for (const [oid] of rows) await distributePartition({ transaction, coordinator, clusterId, nodes, signal: options.signal }, Number(oid));
  });
  return rows.length;
}

/** Nodes get their settings back afterwards: the transaction may be one of the session's. */
function onNodesOf(change: DefinitionChange, [node, ...others]: readonly ClusterNode[], work: () => Promise<void>): Promise<void> {
  if (node === undefined) return work();
  const { transaction, options } = change;
  return transaction.join(node.id, 'write', options).then((connection) => underDefinitionSettings(connection, options, () => onNodesOf(change, others, work)));
}
