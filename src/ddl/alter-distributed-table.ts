import { ClusterError } from '../base/errors.ts';
import type { ColocationGroup } from '../catalog/catalog-snapshot.ts';
import { colocationId } from '../catalog/ids.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import { quoteQualified } from '../sql/identifiers.ts';
import { groupById, isJoinableByDefault } from '../store/catalog-changes.ts';
import { changeTable, type CatalogChange } from './change-catalog.ts';
import { checkDistributionColumn, type DistributionColumn } from './check-distribution-column.ts';
import { unsupportedTable } from './check-table.ts';
import { createGroup, findGroup } from './choose-group.ts';
import { type Converted, convertTables } from './convert-tables.ts';
import type { DdlContext } from './ddl-context.ts';
import { readDefinitions, readTree } from './read-definition.ts';
import { checkNotOfSchema, checkSchemas } from './schemas/check-schemas.ts';
import { keepCopies, referredLocally } from './shell-copies.ts';
import { onCoordinator } from './shell.ts';
import type { TableDefinition } from './table-definition.ts';
import { checkDistributed } from './undistribute-table.ts';

export interface AlterDistributedTableOptions extends CallOptions {
  /** Another distribution column; of a reference or single-shard table the first one. `null`: it becomes a single-shard table. */
  readonly column?: string | null | undefined;
  readonly shardCount?: number | undefined;
  /** As of `createDistributedTable`; without it the table stays with its own group where it can. */
  readonly colocateWith?: string | undefined;
  /** Changes the shard count of all tables that are co-located with it, which stay so. */
  readonly cascadeToColocated?: boolean | undefined;
  /** The table becomes a reference table. */
  readonly reference?: boolean | undefined;
}

/**
 * Gives a distributed table another distribution column, shard count or colocation group, or makes a reference table of it, or a distributed table of a reference table: with its rows, in one distributed
 * transaction. Nobody can read or write the table meanwhile.
 *
 * Errors: those of `createDistributedTable`, `notDistributed`, and `unsupportedTable` while foreign keys connect it to tables that stay what they are.
 */
export function alterDistributedTable(context: DdlContext, table: string, options: AlterDistributedTableOptions): Promise<void> {
  const { colocateWith, signal } = options;
  const otherTable = colocateWith === 'default' || colocateWith === 'none' ? undefined : colocateWith;
  return changeTable(context, {
    table,
    otherTable,
    signal,
    body: async (change, definition, otherOid) => {
      checkDistributed(definition);
      await checkNotOfSchema(change, definition, 'alter');
      checkOptions(definition, options);
      const trees = await treesOf(change, definition, options);
      if (options.reference === true) {
        await convertTables(change, trees.map((tree) => tree.map((member) => ({ definition: member, as: { kind: 'reference' } }))), undefined);
        return keepCopies(change, await referredLocally(change, [definition.oid]));
      }
      const members = trees.map((tree) => tree.map((member): Converted => ({ definition: member, as: { kind: 'distributed', distribution: columnOf(member, options) } })));
      return convertTables(change, members, await groupOf(change, { definition, options, otherOid, distribution: columnOf(definition, options) }));
    },
  });
}

function checkOptions(table: TableDefinition, { column, shardCount, colocateWith, cascadeToColocated, reference }: AlterDistributedTableOptions): void {
  if (table.partitionOf !== null) throw unsupportedTable(table, { message: `it is a partition of "${table.partitionOf.table.name}"`, hint: 'Alter that one, with all its partitions.' });
  if (table.distribution?.shellIsCopy === true) throw unsupportedTable(table, { message: 'foreign keys of local tables refer to it', hint: 'Drop them first, or distribute these tables.' }, 'alter');
  const isReference = table.distribution?.kind === 'reference';
  const invalid = (message: string): ClusterError => new ClusterError('invalidParameter', message, { schema: table.schema, table: table.name });
  if (reference === true) {
    if (isReference) throw new ClusterError('alreadyDistributed', `table "${table.name}" is a reference table already`, { schema: table.schema, table: table.name });
    if ([column, shardCount, colocateWith, cascadeToColocated].some((given) => given !== undefined)) throw invalid('a reference table has no distribution column, shard count or colocation group');
    if (table.partitionKey !== null) throw unsupportedTable(table, { message: 'it is partitioned', hint: 'Only distributed tables can be.' });
    return;
  }
  if (isReference && column === undefined) throw invalid(`the distribution column of reference table "${table.name}" is missing`);
  if (column === undefined && shardCount === undefined && colocateWith === undefined) throw invalid('nothing is to be altered');
  if (cascadeToColocated === true && (isReference || column !== undefined || colocateWith !== undefined)) throw invalid('only a shard count can be altered for all co-located tables');
}

/** The table, or all that are co-located with it, each with its partitions; in the order in which they were distributed. */
async function treesOf(change: CatalogChange, table: TableDefinition, { cascadeToColocated }: AlterDistributedTableOptions): Promise<TableDefinition[][]> {
  if (cascadeToColocated !== true) return [await readTree(change.coordinator, table, change)];
  const rows = await onCoordinator(
    change,
    `SELECT t.relation::oid FROM shardwright.distributed_table t JOIN pg_class c ON c.oid = t.relation WHERE t.colocation_id = $1 AND NOT c.relispartition
     ORDER BY (SELECT min(s.shard_id) FROM shardwright.shard s WHERE s.relation = t.relation)`,
    [table.distribution?.colocationId],
  );
  const oids = rows.map(([oid]) => Number(oid));
  const unlocked = await readDefinitions(change.coordinator, oids, change);
  for (const { schema, name } of unlocked.values()) await onCoordinator(change, `LOCK TABLE ${quoteQualified(schema, name)} IN ACCESS EXCLUSIVE MODE`);
  const trees: TableDefinition[][] = [];
  for (const root of (await readDefinitions(change.coordinator, oids, change)).values()) trees.push(await readTree(change.coordinator, root, change));
  return trees;
}

function columnOf(table: TableDefinition, { column }: AlterDistributedTableOptions): DistributionColumn | undefined {
  const name = column === undefined ? table.distribution?.columnName : column;
  return name === null || name === undefined ? undefined : checkDistributionColumn(table, name);
}

interface GroupWanted {
  readonly definition: TableDefinition;
  readonly options: AlterDistributedTableOptions;
  readonly otherOid: number | undefined;
  readonly distribution: DistributionColumn | undefined;
}

/** A table that shares its group by default goes where such tables of its new kind are; one that asked for a group of its own gets another. */
async function groupOf(change: CatalogChange, { definition, options, otherOid, distribution }: GroupWanted): Promise<ColocationGroup> {
  const id = definition.distribution?.colocationId ?? undefined;
  const old = id === undefined ? undefined : await groupById(change, colocationId(id));
  const shares = old === undefined || (await isJoinableByDefault(change, old.id));
  // Of another kind of table nothing is kept.
  const keeps = otherOid === undefined && (old?.distributionType === undefined) === (distribution === undefined);
  const choice = {
    distributionType: distribution?.type.name,
    colocateWith: otherOid ?? (options.colocateWith === 'none' || (options.colocateWith === undefined && !shares) ? 'none' : 'default'),
    shardCount: options.shardCount ?? (keeps ? old?.shardGroups.length : undefined),
    hash: keeps && distribution !== undefined ? old?.hash : undefined,
  } as const;
  const found = await findGroup(change, choice);
  await checkSchemas(change, [definition], found);
  return found ?? createGroup(change, choice);
}
