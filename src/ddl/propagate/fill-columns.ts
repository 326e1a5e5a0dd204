import { ClusterError } from '../../base/errors.ts';
import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';
import type { NodeConnection } from '../../cluster/node-connection.ts';
import { volatility } from '../../store/volatility.ts';
import type { ColumnDefinition } from '../table-definition.ts';
import { literalOf } from './change-columns.ts';
import type { DefinitionChange } from './definition-change.ts';
import { comesFromAbove } from './handed-down.ts';
import { computeRowValues, nextValueSql, type RowValues } from './row-values.ts';
import { type Filling, matchColumns, type TableChange } from './table-change.ts';

/** What rows that are there get in the columns that a statement adds, by their positions, and what lies beside the shards for that. */
export interface Fillings {
  readonly fillings: ReadonlyMap<number, Filling>;
  readonly rowValues: RowValues | undefined;
}

/**
 * What rows that are there get in columns that are added, as PostgreSQL has it: the value that the default has now, or, if it is volatile, one for each row. The
 * coordinator database computes the former, once for all shards; mostly it has written it down itself. Of the latter it computes those that nodes cannot.
 */
export async function fillColumns(change: DefinitionChange, table: CatalogTable, tableChange: TableChange): Promise<Fillings> {
  const fillings = new Map<number, Filling>();
  const columns: ColumnDefinition[] = [];
  for (const column of await withDomainDefaults(change, tableChange)) {
    const filling = await fillingOf(change.coordinator, column);
    if (filling !== undefined) fillings.set(column.position, () => filling);
    else if (differsByShard(table, column) && !comesFromAbove(tableChange, column)) columns.push(column);
  }
  if (columns.length > 0 && table.kind === 'reference' && table.shellIsCopy) throw wouldDiffer(table, columns);
  const { before } = tableChange;
  const rowValues = columns.length === 0 ? undefined : await computeRowValues(change, { table, before, columns });
  if (rowValues !== undefined) for (const column of columns) fillings.set(column.position, (shard) => nextValueSql(before, shard, column));
  return { fillings, rowValues };
}

/** The statement has given the rows of the shell values of their own. */
function wouldDiffer({ schema, name: table }: CatalogTable, columns: readonly ColumnDefinition[]): ClusterError {
  const column = columns[0]?.name ?? '';
  return new ClusterError('unsupportedDdl', `cannot add column "${column}" to reference table "${table}"`, {
    detail: 'Its default gives each row a value of its own, and local tables refer to the table: the copy in the coordinator database would have other values than those on the nodes.',
    hint: 'Add the column without the default, fill it by UPDATE, and set the default then.', schema, table, column,
  });
}

/** The added columns, with the default of their domain where they have none: it is what rows that are there get, and no part of the column. */
async function withDomainDefaults({ coordinator, options }: DefinitionChange, change: TableChange): Promise<ColumnDefinition[]> {
  const { added } = matchColumns(change);
  const bare = added.filter(({ expression, identity }) => expression === null && identity === null);
  if (bare.length === 0) return [...added];
  const { rows } = await coordinator.query({ text: domainDefaults, values: [change.after.oid, bare.map(({ position }) => position)] }, options);
  const found = new Map(rows.map(([position, expression, kind]) => [Number(position), { expression: expression ?? null, volatility: kind === 'v' || kind === 's' ? kind : 'i' } as const]));
  return added.map((column) => ({ ...column, ...found.get(column.position) }));
}

const domainDefaults = `SELECT a.attnum, pg_get_expr(x.tree, 0), (SELECT ${volatility} FROM (SELECT x.tree::text) x (tree))
  FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid CROSS JOIN LATERAL (SELECT t.typdefaultbin) x (tree) WHERE a.attrelid = $1::oid AND a.attnum = ANY ($2::int2[]) AND x.tree IS NOT NULL`;

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
