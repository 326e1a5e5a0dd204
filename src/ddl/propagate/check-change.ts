import { present } from '../../base/assert.ts';
import { ClusterError } from '../../base/errors.ts';
import type { CatalogSnapshot, CatalogTable } from '../../catalog/catalog-snapshot.ts';
import { checkBehaviour } from '../check-behaviour.ts';
import { checkDistributionColumn } from '../check-distribution-column.ts';
import { checkShellCopy } from '../check-shell-copy.ts';
import { checkForeignKeys } from '../check-foreign-keys.ts';
import { checkProperties } from '../check-table.ts';
import { fenceTriggers } from '../shell.ts';
import type { TableDefinition } from '../table-definition.ts';
import { matchColumns, type TableChange } from './table-change.ts';

/** Refuses what the shards could not keep, as it is refused when a table is distributed: `unsupportedTable`. And `unsupportedDdl`: changes of the distribution column. */
export function checkChange({ colocationGroups, distributedSchemas }: CatalogSnapshot, table: CatalogTable, change: TableChange): void {
  const { before, after } = change;
  if (before.schema !== after.schema && (distributedSchemas.has(after.schema) || isOfSchema(table, distributedSchemas))) throw staysInSchema(before);
  try {
    checkPartition(table, change);
    checkProperties(after);
    checkFence(after);
    checkBehaviour(after, table.kind === 'reference' ? 'reference' : present(colocationGroups.get(table.colocationId)).hash);
    if (table.kind === 'reference' && table.shellIsCopy) checkShellCopy(after, []);
    if (table.kind === 'reference') checkForeignKeys(after, { kind: 'reference' });
    else checkDistributed(table, change);
  } catch (error) {
    throw error instanceof ClusterError && error.id === 'unsupportedTable' ? retold(error) : error;
  }
}

/** Whatever the schema is called now. */
function isOfSchema(table: CatalogTable, schemas: CatalogSnapshot['distributedSchemas']): boolean {
  return table.kind === 'distributed' && [...schemas.values()].includes(table.colocationId);
}

function staysInSchema({ schema, name: table }: TableDefinition): ClusterError {
  return new ClusterError('unsupportedDdl', `table "${table}" cannot come to another schema`, {
    detail: 'One of the schemas is distributed: all of its tables, and no others, are in its colocation group.', hint: 'Make a table there, and copy the rows.', schema, table,
  });
}

/** The shards of a table that becomes a partition are put to those of the other table: they must be beside them. */
function checkPartition(table: CatalogTable, { before, after }: TableChange): void {
  const above = after.partitionOf?.table;
  if (above === undefined || before.partitionOf !== null) return;
  const { distribution } = above;
  const isBeside = table.kind === 'distributed' && distribution?.colocationId === table.colocationId && distribution.columnName === (table.distributionColumn?.name ?? null);
  if (isBeside) return;
  throw new ClusterError('unsupportedDdl', `table "${after.name}" cannot become a partition of "${above.name}"`, {
    detail: 'It is not co-located with it, or has another distribution column.', hint: 'Call undistribute_table() first: then it is distributed as a partition.', schema: after.schema, table: after.name,
  });
}

/** Triggers of ours keep rows out of the shell. */
function checkFence({ fence, schema, name: table }: TableDefinition): void {
  if (fence?.length === fenceTriggers.length) return;
  throw new ClusterError('unsupportedDdl', `the triggers of shardwright on table "${table}" must stay`, {
    detail: 'They keep rows out of the shell in the coordinator database.', schema, table,
  });
}

type Distributed = Extract<CatalogTable, { kind: 'distributed' }>;

function checkDistributed({ distributionColumn, colocationId }: Distributed, { before, after, conversions }: TableChange): void {
  if (distributionColumn === undefined) return checkForeignKeys(after, { kind: 'distributed', column: undefined, colocationId });
  const { position } = distributionColumn;
  const was = before.columns.find((column) => column.position === position);
  const is = after.columns.find((column) => column.position === position);
  if (is === undefined) throw ofDistributionColumn(after, 'cannot drop', distributionColumn.name, 'Its values say in which shard a row is.');
  if (was?.type !== is.type || was.collation !== is.collation || conversions.has(is.name)) {
    throw ofDistributionColumn(after, 'cannot change the type of', is.name, 'Rows of another type would belong to other shards.');
  }
  const { column } = checkDistributionColumn(after, is.name);
  checkForeignKeys(after, { kind: 'distributed', column, colocationId });
}

function ofDistributionColumn({ schema, name: table }: TableDefinition, what: string, column: string, detail: string): ClusterError {
  return new ClusterError('unsupportedDdl', `${what} distribution column "${column}"`, {
    detail, hint: 'Call undistribute_table(), change the table, and distribute it again.', schema, table, column,
  });
}

function retold(error: ClusterError): ClusterError {
  const { detail, hint, schema, table } = error;
  return new ClusterError('unsupportedTable', error.message.replace('cannot distribute table', 'cannot change table'), { detail, hint, schema, table });
}

/** `unsupportedDdl`: a change of a column's type, of which only the text of ALTER TABLE would say how values change. */
export function refuseConversions(change: TableChange): void {
  const converted = matchColumns(change).kept.find(({ from, to }) => from.type !== to.type);
  if (converted === undefined) return;
  throw new ClusterError('unsupportedDdl', `cannot change the type of column "${converted.to.name}" inside other code`, { hint: 'Use ALTER TABLE as a statement of its own.' });
}
