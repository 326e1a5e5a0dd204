import { distributePartition } from '../create-distributed-table.ts';
import { underNodeSettings } from '../definition-settings.ts';
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
  const { clusterId, nodes } = snapshot;
  const work = async (): Promise<void> => {
    for (const [oid] of rows) await distributePartition({ transaction, coordinator, clusterId, nodes, signal: options.signal }, Number(oid));
  };
  await underNodeSettings(transaction, nodes.map(({ id }) => id), { options, work });
  return rows.length;
}
