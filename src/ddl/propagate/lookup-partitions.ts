import { shardName } from '../../catalog/shard-name.ts';
import { shardSql } from '../../plan/shard-template.ts';
import { placerOf } from '../../plan/prune.ts';
import type { DistributedTable } from '../../catalog/catalog-snapshot.ts';
import { type NodeId, nodeId, shardId } from '../../catalog/ids.ts';
import { tableByOid } from '../../catalog/table-by-oid.ts';
import { leavesOf, type UniqueLookup } from '../../catalog/unique-lookup.ts';
import { quoteQualified } from '../../sql/identifiers.ts';
import { writeWholeShards } from '../lookups/whole-shards.ts';
import type { DefinitionChange } from './definition-change.ts';

/** What a statement has made of the partitions of a table with a unique lookup. */
export interface LookupPartitions {
  readonly lookup: UniqueLookup;
  /** Tables with rows that are its partitions no more, or no tables. */
  readonly left: readonly DistributedTable[];
  /** OIDs of those that have become partitions. */
  readonly came: readonly number[];
}

/** Once the shells have changed. Of lookups that partitions have left or joined only. */
export async function lookupPartitions(change: DefinitionChange): Promise<LookupPartitions[]> {
  const { coordinator, snapshot, options } = change;
  const found: LookupPartitions[] = [];
  for (const lookup of snapshot.lookups) {
    if (tableByOid(snapshot, lookup.table)?.partitioned !== true) continue;
    const { rows } = await coordinator.query({ text: 'SELECT t.relid::oid FROM pg_class c LEFT JOIN LATERAL pg_partition_tree(c.oid) t ON t.isleaf WHERE c.oid = $1::oid', values: [lookup.table] }, options);
    // The table itself goes, which is refused.
    if (rows.length === 0) continue;
    const now = new Set(rows.flatMap(([oid]) => (oid === null ? [] : [Number(oid)])));
    const before = leavesOf(snapshot, lookup);
    const left = before.filter(({ oid }) => !now.has(oid));
    const came = [...now].filter((oid) => !before.some((leaf) => leaf.oid === oid));
    if (left.length > 0 || came.length > 0) found.push({ lookup, left, came });
  }
  return found;
}

/** Before their shards are changed, under the locks for that. */
export async function partitionsLeave(change: DefinitionChange, partitions: readonly LookupPartitions[]): Promise<void> {
  for (const { lookup, left } of partitions) {
    const shards = new Map<NodeId, string[]>();
    for (const table of left) for (const [ordinal, { node }] of placerOf(table, change.snapshot).group.shardGroups.entries()) shards.set(node, [...(shards.get(node) ?? []), shardSql(table, ordinal)]);
    await writeWholeShards(change, { lookup, shards, isShared: true }, 'gone');
  }
}

/** When their shards are there. */
export async function partitionsCome(change: DefinitionChange, partitions: readonly LookupPartitions[]): Promise<void> {
  for (const { lookup, came } of partitions) {
    const known = came.filter((oid) => tableByOid(change.snapshot, oid) !== undefined);
    for (const isShared of [true, false]) {
      const shards = await placedNow(change, came.filter((oid) => known.includes(oid) === isShared));
      await writeWholeShards(change, { lookup, shards, isShared }, 'came');
    }
  }
}

/** The catalog's snapshot knows nothing of those that the statement has distributed. */
async function placedNow({ coordinator, options }: DefinitionChange, oids: readonly number[]): Promise<Map<NodeId, string[]>> {
  const { rows } = await coordinator.query({
    text: `SELECT n.nspname, c.relname, s.shard_id, g.node_id FROM shardwright.shard s JOIN shardwright.shard_group g USING (shard_group_id) JOIN pg_class c ON c.oid = s.relation JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE s.relation = ANY ($1::oid[]) ORDER BY s.shard_id`,
    values: [oids],
  }, options);
  const shards = new Map<NodeId, string[]>();
  for (const [schema, name, shard, node] of rows) {
    const id = nodeId(Number(node));
    shards.set(id, [...(shards.get(id) ?? []), quoteQualified(schema ?? '', shardName(name ?? '', shardId(Number(shard))))]);
  }
  return shards;
}
