import type { ColocationGroup } from '../../catalog/catalog-snapshot.ts';
import { groupOfSchema } from '../../store/distributed-schemas.ts';
import type { CatalogChange } from '../change-catalog.ts';
import { unsupportedTable } from '../check-table.ts';
import { onCoordinator } from '../shell.ts';
import type { TableDefinition } from '../table-definition.ts';

/** `unsupportedTable` unless tables of distributed schemas go into their schema's colocation group, and no others do. `group`: where they go; undefined for a new one. */
export async function checkSchemas(change: CatalogChange, tables: readonly TableDefinition[], group: ColocationGroup | undefined): Promise<void> {
  for (const table of tables) {
    const own = await groupOfSchema(change, table.schema);
    if (own !== undefined && own.id !== group?.id) throw belongsToSchema(table);
    const other = own === undefined && group !== undefined ? await schemaOfGroup(change, group) : undefined;
    if (other !== undefined) throw unsupportedTable(table, { message: `it would be co-located with the tables of distributed schema "${other}", which are for themselves`, hint: 'Make it in that schema.' });
  }
}

/** `unsupportedTable` for a table of a distributed schema: it is what all of them are. */
export async function checkNotOfSchema(change: CatalogChange, table: TableDefinition, verb: 'distribute' | 'undistribute' | 'alter'): Promise<void> {
  if ((await groupOfSchema(change, table.schema)) !== undefined) throw belongsToSchema(table, verb);
}

function belongsToSchema(table: TableDefinition, verb: 'distribute' | 'undistribute' | 'alter' = 'distribute'): Error {
  return unsupportedTable(table, {
    message: `schema "${table.schema}" is distributed`, detail: 'All of its tables have one shard, on one node.', hint: `Undistribute the schema (citus_schema_undistribute), or use another one.`,
  }, verb);
}

async function schemaOfGroup(change: CatalogChange, { id }: ColocationGroup): Promise<string | undefined> {
  const [row] = await onCoordinator(change, 'SELECT n.nspname FROM shardwright.distributed_schema d JOIN pg_catalog.pg_namespace n ON n.oid = d.schema WHERE d.colocation_id = $1', [id]);
  return row?.[0] ?? undefined;
}
