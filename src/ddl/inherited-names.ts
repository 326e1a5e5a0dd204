import type { ShardId } from '../catalog/ids.ts';
import type { TableDefinition } from './table-definition.ts';

/**
 * For each CHECK constraint that a partition has from above, the shard that it comes from: PostgreSQL wants it to have one name on all of them. `tree` has the tables above; `shards` has the
 * shards of all of them, by OID.
 */
export function inheritedNames(table: TableDefinition, tree: readonly TableDefinition[], shards: ReadonlyMap<number, ShardId>): Map<string, ShardId> {
  const names = new Map<string, ShardId>();
  for (const { name, kind, inherited } of table.constraints ?? []) {
    const id = kind === 'check' && inherited ? shards.get(originOf(name, table, tree)) : undefined;
    if (id !== undefined) names.set(name, id);
  }
  return names;
}

/** The OID of the topmost table that has the constraint. */
function originOf(name: string, table: TableDefinition, tree: readonly TableDefinition[]): number {
  const parent = tree.find(({ oid }) => oid === table.partitionOf?.table.oid);
  const own = parent?.constraints?.find((constraint) => constraint.name === name);
  return parent === undefined || own === undefined ? table.oid : originOf(name, parent, tree);
}
