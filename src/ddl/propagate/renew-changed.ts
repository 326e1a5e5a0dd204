import { present } from '../../base/assert.ts';
import type { NodeId } from '../../catalog/ids.ts';
import { renewShards } from '../../store/catalog-changes.ts';
import { renameShard } from '../rename-shard.ts';
import type { ColumnDefinition, TableDefinition } from '../table-definition.ts';
import { type DefinitionChange, placementsOf } from './definition-change.ts';
import type { Outcome } from './node-work.ts';

/**
 * Plans are made of a table's columns: a process that has not heard of the change yet would order by what was another type, leave out a column that has a default, or name
 * what it gets as it was. So the shards get new ids where columns have changed, and no old plan finds its shards. Gives the renames for each node.
 */
export async function renewChanged({ coordinator, snapshot, options }: DefinitionChange, { changed }: Outcome): Promise<Map<NodeId, string[]>> {
  const renewed = changed.filter(({ change }) => JSON.stringify(planned(change.before)) !== JSON.stringify(planned(change.after)));
  if (renewed.length === 0) return new Map();
  const ids = await renewShards({ coordinator, ...options }, renewed.map(({ table }) => table.oid));
  const renames = new Map<NodeId, string[]>();
  for (const { table, change } of renewed) {
    const hasHash = table.kind === 'distributed' && present(snapshot.colocationGroups.get(table.colocationId)).hash === 'postgres';
    for (const { node, id } of placementsOf(snapshot, table)) {
      renames.set(node, [...(renames.get(node) ?? []), ...renameShard(change.after, { from: id, to: present(ids.get(id)), hasHash })]);
    }
  }
  return renames;
}

function planned({ columns }: TableDefinition): unknown {
  return columns.map(({ name, position, type, collation, notNull, identity, generated, expression, usesSequence }: ColumnDefinition) =>
    [name, position, type, collation, notNull, identity, generated, expression, usesSequence]);
}
