import { present } from '../../base/assert.ts';
import type { NodeId } from '../../catalog/ids.ts';
import { renewShards } from '../../store/catalog-changes.ts';
import { renameShard } from '../rename-shard.ts';
import type { ColumnDefinition, TableDefinition } from '../table-definition.ts';
import { type DefinitionChange, placementsOf } from './definition-change.ts';
import type { Outcome } from './node-work.ts';

/**
 * Plans are made of a table's columns: a process that has not heard of the change yet would order by what was another type, leave out a column that has a default, or name
 * what it gets as it was. Plans also leave out shards where policies let a role see no rows. So the shards get new ids where columns or policies have changed, and no old plan finds its
 * shards. Gives the renames for each node.
 */
export async function renewChanged({ coordinator, snapshot, options }: DefinitionChange, { changed }: Outcome): Promise<Map<NodeId, string[]>> {
  const renewed = changed.filter(({ change }) => JSON.stringify(planned(change.before)) !== JSON.stringify(planned(change.after)) || mayShowMore(change.before, change.after));
  if (renewed.length === 0) return new Map();
  const ids = await renewShards({ coordinator, ...options }, renewed.map(({ table }) => table.oid));
  const renames = new Map<NodeId, string[]>();
  for (const { table, change } of renewed) {
    const hasHash = table.kind === 'distributed' && table.distributionColumn !== undefined && present(snapshot.colocationGroups.get(table.colocationId)).hash === 'postgres';
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

/** Where nothing was hidden, plans know of all shards. */
function mayShowMore(before: TableDefinition, after: TableDefinition): boolean {
  return before.rowSecurity && before.policies !== null && JSON.stringify(secured(before)) !== JSON.stringify(secured(after));
}

function secured({ rowSecurity, rowSecurityForced, owner, policies }: TableDefinition): unknown {
  return [rowSecurity, rowSecurityForced, owner, policies];
}
