import { at, present } from '../../base/assert.ts';
import { fenceStatements, wholeTable } from '../../ddl/shell.ts';
import { type Change, groupOfPlaced, insertAdoptedTable } from '../../store/catalog-changes.ts';
import type { DistributedTable, StoredJob } from '../../store/jobs.ts';
import type { MovedGroups, MovedShard } from '../moved-tables.ts';
import { definitionChanged } from '../streamed-tables.ts';

/** Records the table and its partitions, whose shards are there. `moveUndone` when the shard groups are not what they were. */
export async function insertShards(change: Change, { sources, targets, hash }: MovedGroups, { targets: placed, distributed }: Pick<StoredJob, 'targets'> & { readonly distributed: DistributedTable }): Promise<void> {
  const group = await groupOfPlaced(change, placed);
  if (group === undefined) throw definitionChanged(distributed.name);
  for (const [i, { definition: { oid, columns } }] of at(sources, 0).tables.entries()) {
    const column = hash === undefined ? undefined : present(columns.find(({ name }) => name === hash.columns.get(oid)));
    await insertAdoptedTable(change, { oid, distributionPosition: column?.position, group, shardIds: targets.map(({ tables }) => at(tables, i).shard) });
  }
}

/** Of tables that nobody else can use until the transaction is over: they lose their rows, which are on the shards, and take none any more. Parents come first. */
export function becomeShells(tables: readonly MovedShard[]): string[] {
  const [root] = tables;
  if (root === undefined) return [];
  return [`TRUNCATE ${wholeTable(root.sql, root.definition)}`, ...tables.flatMap((table) => fenceStatements(table.definition).map(({ create }) => create))];
}
