import { ClusterError } from '../../base/errors.ts';
import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import { unsupportedTable } from '../check-table.ts';
import { checkDistributionColumn } from '../check-distribution-column.ts';
import type { TableDefinition } from '../table-definition.ts';
import { checkDistributed } from '../undistribute-table.ts';

/** Names of a lookup's columns as the table has them, and that of its distribution column. */
export interface LookupColumns {
  readonly columns: readonly string[];
  readonly distributionColumn: string;
}

/** `notDistributed`, `undefinedColumn`, `invalidParameter`, and `unsupportedTable` for what can have no lookup. */
export function checkLookup(table: TableDefinition, names: readonly string[]): LookupColumns {
  checkDistributed(table);
  const distributionColumn = table.distribution?.columnName ?? null;
  const objection = objectionTo(table, distributionColumn);
  if (objection !== undefined || distributionColumn === null) throw noLookup(table, objection ?? '');
  const columns = names.map((name) => columnNamed(table, name));
  if (columns.length === 0 || new Set(columns).size < columns.length) throw new ClusterError('invalidParameter', 'a unique lookup needs columns, each of them once');
  if (columns.includes(distributionColumn)) {
    throw new ClusterError('invalidParameter', `a unique lookup is of columns without the distribution column "${distributionColumn}"`, { hint: 'Use a UNIQUE constraint: rows with equal keys are in one shard.' });
  }
  for (const column of columns) checkColumn(table, column);
  checkDistributionColumn({ ...table, constraints: null, indexes: null }, columns[0] ?? '');
  return { columns, distributionColumn };
}

function objectionTo({ distribution, partitionOf }: TableDefinition, distributionColumn: string | null): string | undefined {
  if (distribution?.kind === 'reference') return 'it is a reference table, whose own UNIQUE constraints are of all its rows';
  if (distributionColumn === null) return 'it has one shard, so its own UNIQUE constraints are of all its rows';
  return partitionOf === null ? undefined : `it is a partition of "${partitionOf.table.name}", which can have one`;
}

function noLookup(table: TableDefinition, why: string): ClusterError {
  const { message, detail, hint, schema, table: name } = unsupportedTable(table, { message: why }, 'alter');
  return new ClusterError('unsupportedTable', message.replace('cannot alter table', 'cannot make a unique lookup of table'), { detail, hint, schema, table: name });
}

function columnNamed(table: TableDefinition, name: string): string {
  const quoted = /^"((?:[^"]|"")*)"$/.exec(name)?.[1]?.replaceAll('""', '"');
  const found = table.columns.find((column) => column.name === name) ?? table.columns.find((column) => column.name === (quoted ?? name.toLowerCase()));
  if (found !== undefined) return found.name;
  throw new ClusterError('undefinedColumn', `column "${name}" of relation "${table.name}" does not exist`, { schema: table.schema, table: table.name, column: name });
}

/** Values travel as JSON texts, and keys that are equal must be found by equal values. */
function checkColumn(table: TableDefinition, name: string): void {
  const column = table.columns.find((candidate) => candidate.name === name);
  if (column?.generated === 'virtual') throw noLookup(table, `column "${name}" is a virtual generated column, which triggers do not see`);
  if (column?.deterministic === false) throw noLookup(table, `column "${name}" has a nondeterministic collation`);
}

/**
 * `unsupportedTable` for columns whose values as JSON (see `shardwright.lookup_key`) are not the texts that their types read: arrays, rows, JSON itself, what the user's types say of themselves in a cast to it, and domains over any of these.
 */
export async function checkKeyTypes({ coordinator, signal }: CallOptions & { readonly coordinator: NodeConnection }, table: TableDefinition, columns: readonly string[]): Promise<void> {
  const { rows } = await coordinator.query({ text: typesUnlikeTheirTexts, values: [table.oid, columns] }, { signal });
  const [name, type] = rows[0] ?? [];
  if (name !== undefined) throw noLookup(table, `column "${name}" is of type ${type}, whose values are compared as something else than their texts`);
}

const typesUnlikeTheirTexts = `
WITH RECURSIVE based (name, declared, oid) AS (
  SELECT attname, format_type(atttypid, atttypmod), atttypid FROM pg_attribute WHERE attrelid = $1::oid AND attname = ANY ($2::name[])
  UNION ALL SELECT b.name, b.declared, t.typbasetype FROM based b JOIN pg_type t ON t.oid = b.oid WHERE t.typtype = 'd'
) SELECT b.name, b.declared FROM based b JOIN pg_type t USING (oid)
WHERE t.typtype = 'c' OR (t.typcategory = 'A' AND t.typtype <> 'd') OR t.oid IN ('json'::regtype, 'jsonb'::regtype)
  OR (t.oid >= 16384 AND EXISTS (SELECT FROM pg_cast k WHERE k.castsource = t.oid AND k.casttarget = 'json'::regtype AND k.castmethod = 'f'))
ORDER BY b.name`;
