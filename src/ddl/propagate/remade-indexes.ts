import { present } from '../../base/assert.ts';
import type { ShardId } from '../../catalog/ids.ts';
import { shardName } from '../../catalog/shard-name.ts';
import { quoteLiteral, quoteQualified } from '../../sql/identifiers.ts';
import type { ShardNames } from '../shard-names.ts';
import type { IndexDefinition, TableDefinition } from '../table-definition.ts';
import type { TableChange } from './table-change.ts';

/** Whether it was made anew together with that of the table above, as PostgreSQL does where the type of its column changes: on shards as on the shell, but under names of its own choice. */
export function isRemadeAbove({ before, above, conversions }: TableChange, { oid, inherited }: Pick<IndexDefinition, 'oid' | 'inherited'>): boolean {
  return above !== undefined && conversions.size > 0 && inherited && !(before.indexes ?? []).some((index) => index.oid === oid);
}

/** Gives them the names that they have on the shell. An index of a constraint takes that with it. `references` has the shards above, by OID. */
export function renameRemade(change: TableChange, shard: ShardNames, references: ReadonlyMap<number, ShardId>): string[] {
  const remade = (change.after.indexes ?? []).filter((index) => isRemadeAbove(change, index));
  return remade.map((index) => {
    const { table, name } = topmost(change, index);
    const top = quoteQualified(table.schema, shardName(name, present(references.get(table.oid), `shard of ${table.name}`)));
    return `DO ${quoteLiteral(renaming({ shard: shard.sql, top, name: shard.called(index.name) }))}`;
  });
}

/** The index that it belongs to of the table that is no partition: this has kept its name. */
function topmost({ after, above }: TableChange, { name, parent }: Pick<IndexDefinition, 'name' | 'parent'>): { readonly table: TableDefinition; readonly name: string } {
  if (above === undefined || parent === null) return { table: after, name };
  return topmost(above, present(above.after.indexes?.find((index) => index.name === parent), 'index above'));
}

function renaming({ shard, top, name }: { readonly shard: string; readonly top: string; readonly name: string }): string {
  return `DECLARE made pg_catalog.regclass := (SELECT x.oid FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    WHERE i.indrelid = ${quoteLiteral(shard)}::pg_catalog.regclass AND x.relispartition AND pg_catalog.pg_partition_root(x.oid) = ${quoteLiteral(top)}::pg_catalog.regclass);
  BEGIN EXECUTE pg_catalog.format('ALTER INDEX %s RENAME TO %I', made, ${quoteLiteral(name)}); END`;
}
