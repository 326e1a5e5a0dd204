import { at, present } from '../base/assert.ts';
import type { CatalogSnapshot, CatalogTable, ColocationGroup, DistributedTable, ShardGroup } from '../catalog/catalog-snapshot.ts';
import { tableByOid } from '../catalog/table-by-oid.ts';
import { distributionType } from '../catalog/hash/distribution-type.ts';
import type { ShardId } from '../catalog/ids.ts';
import { shardGroupFor } from '../catalog/shard-for-hash.ts';
import { shardName } from '../catalog/shard-name.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import { definitionSettings } from '../ddl/definition-settings.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { findDuplicates } from './find-duplicates.ts';
import { findMisplaced } from './find-misplaced.ts';
import type { RowDifference } from './row-difference.ts';
import { nodeName, snapshotModes, type TableCheck } from './verify-context.ts';

/** A shard as the catalog has it. */
export interface PlacedShard {
  readonly id: ShardId;
  readonly name: string;
  readonly table: DistributedTable;
  readonly group: ShardGroup;
  readonly colocation: ColocationGroup;
}

/** In the order of the hash ranges; none when the table is no distributed table any more. */
export function placedShards(snapshot: CatalogSnapshot, { oid }: Pick<CatalogTable, 'oid'>): PlacedShard[] {
  const table = tableByOid(snapshot, oid);
  if (table?.kind !== 'distributed') return [];
  const colocation = present(snapshot.colocationGroups.get(table.colocationId));
  return table.shardIds.map((id, ordinal) => ({ id, name: shardName(table.name, id), table, group: at(colocation.shardGroups, ordinal), colocation }));
}

/**
 * Looks at every row of a shard, in one transaction of its own. Undefined when the shard is not, or no longer, where it was thought to be: while the transaction holds its lock, it stays. Throws 42P01 when nothing of its name
 * is there.
 */
export async function verifyShard(check: TableCheck, shard: PlacedShard, connection: NodeConnection): Promise<RowDifference[] | undefined> {
  const { signal, services } = check;
  const { schema } = shard.table;
  const sql = quoteQualified(schema, shard.name);
  try {
    await connection.query({ text: `BEGIN ${snapshotModes}; ${definitionSettings}; LOCK TABLE ${sql} IN ACCESS SHARE MODE`, simple: true }, { signal });
    const now = placedShards(await services.newestCatalog({ signal }), shard.table).find(({ id }) => id === shard.id);
    if (now === undefined || now.name !== shard.name || now.group.node !== shard.group.node) return undefined;
    return await lookAtRows(check, now, { connection, sql });
  } finally {
    // A connection that is lost has no transaction any more.
    await connection.query({ text: 'ROLLBACK', simple: true }).catch(() => undefined);
  }
}

async function lookAtRows(check: TableCheck, { table, group, colocation, name }: PlacedShard, { connection, sql }: { readonly connection: NodeConnection; readonly sql: string }): Promise<RowDifference[]> {
  const { signal, services } = check;
  const max = check.differencesMax + 1;
  const where = { schema: table.schema, table: table.name, node: nodeName(services, group.node), shard: name };
  const onRead = (rows: number): void => check.read(rows);
  const { distributionColumn: column } = table;
  const type = distributionType(colocation.distributionType ?? '');
  // All rows of a single-shard table belong to its shard.
  const misplaced = column === undefined ? [] : await findMisplaced({ connection, table, column: column.name, sql, range: group }, { hash: colocation.hash, type: present(type, 'distribution type') }, { signal, max, onRead });
  if (column === undefined) onRead(await countRows(connection, sql, signal));
  const duplicates = await findDuplicates(connection, sql, { signal, max });
  return [
    ...misplaced.map(({ key, hash }) => ({ kind: 'misplaced' as const, ...where, key, belongs: hash === null ? null : ownPlace(check, { table, colocation, hash }) })),
    ...duplicates.map((found) => ({ kind: 'duplicate' as const, ...where, ...found })),
  ];
}

async function countRows(connection: NodeConnection, sql: string, signal: AbortSignal | undefined): Promise<number> {
  const { rows } = await connection.query({ text: `SELECT pg_catalog.count(*) FROM ${sql}` }, { signal });
  return Number(at(rows, 0)[0]);
}

function ownPlace({ services }: TableCheck, { table, colocation, hash }: Pick<PlacedShard, 'table' | 'colocation'> & { readonly hash: number }): { node: string; shard: string } {
  const group = shardGroupFor(colocation, hash);
  return { node: nodeName(services, group.node), shard: shardName(table.name, at(table.shardIds, group.ordinal)) };
}
