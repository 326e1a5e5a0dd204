import { ClusterError } from '../../base/errors.ts';
import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import type { NodeConnection } from '../../cluster/node-connection.ts';
import { ShardNames } from '../shard-names.ts';
import type { ColumnDefinition } from '../table-definition.ts';
import { literalOf } from './change-columns.ts';
import { type DefinitionChange, placementsOf } from './definition-change.ts';
import { matchColumns, type TableChange } from './table-change.ts';

/**
 * What rows that are there get in columns that are added, as PostgreSQL has it: the value that the default has now, or, if it is volatile, one for each row. The
 * coordinator database computes the former, once for all shards; mostly it has written it down itself.
 */
export async function fillingsOf(change: DefinitionChange, table: CatalogTable, tableChange: TableChange): Promise<Map<number, string>> {
  const fillings = new Map<number, string>();
  for (const column of matchColumns(tableChange).added) {
    const filling = await fillingOf(change.coordinator, column);
    if (filling !== undefined) fillings.set(column.position, filling);
    else if (differsByShard(table, column)) await checkEmpty(change, { table, tableChange, column });
  }
  return fillings;
}

async function fillingOf(coordinator: NodeConnection, column: ColumnDefinition): Promise<string | undefined> {
  if (column.missing !== null) return literalOf(column.missing, column);
  if (column.expression === null || column.generated !== null || column.usesSequence || column.volatility !== 's') return undefined;
  const { rows } = await coordinator.query({ text: `SELECT (${column.expression})::${column.type}::text` });
  const value = rows[0]?.[0];
  return value === null || value === undefined ? 'NULL' : literalOf(value, column);
}

/** Nodes have no sequences, and each would draw other values for the copies of one row. */
function differsByShard({ kind }: CatalogTable, { usesSequence, generated, volatility }: ColumnDefinition): boolean {
  return usesSequence || (kind === 'reference' && generated === null && volatility === 'v');
}

interface Added {
  readonly table: CatalogTable;
  readonly tableChange: TableChange;
  readonly column: ColumnDefinition;
}

async function checkEmpty(change: DefinitionChange, { table, tableChange: { before }, column }: Added): Promise<void> {
  for (const { node, id } of placementsOf(change.snapshot, table)) {
    const connection = await change.transaction.join(node, 'write', change.options);
    const { rows } = await connection.query({ text: `SELECT EXISTS (SELECT FROM ONLY ${new ShardNames(before, id).sql})` }, change.options);
    if (rows[0]?.[0] === 't') throw notEmpty(column, before);
  }
}

function notEmpty({ name: column, usesSequence }: ColumnDefinition, { schema, name: table }: TableChange['before']): ClusterError {
  const detail = usesSequence ? 'Each of them needs a value of the sequence, which the nodes do not have.' : 'Each copy of a row would get another value of a volatile default.';
  return new ClusterError('unsupportedDdl', `cannot add column "${column}" to table "${table}", which has rows`, {
    detail, hint: 'Add the column without a default, fill it, then set the default, or ADD GENERATED, and NOT NULL.', schema, table, column,
  });
}
