import { at } from '../../base/assert.ts';
import type { ColumnDefinition } from '../../ddl/table-definition.ts';
import type { CallOptions, NodeConnection } from '../../cluster/node-connection.ts';
import type { StreamedRow, StreamedValue } from '../../replication/pgoutput/message.ts';
import type { NetChanges, PartialRow } from './row-changes.ts';

type AppliedType = Pick<ColumnDefinition, 'type' | 'typeKind'>;

/** A table that changes are applied to. */
export interface AppliedTable {
  /** Quoted and qualified. */
  readonly sql: string;
  /** Those that the stream has values of, in its order; names quoted, types fit for a cast. */
  readonly columns: readonly (AppliedType & { readonly name: string })[];
  /** Positions of the key's columns; undefined when only whole rows tell rows apart. */
  readonly key: readonly number[] | undefined;
}

/**
 * Applies changes in the connection's transaction, which must have `definitionSettings`, so that text means the same values as where it was written. Sent as arrays and as COPY: a few
 * statements for any number of rows.
 */
export async function applyNetChanges(connection: NodeConnection, table: AppliedTable, net: NetChanges, options: CallOptions): Promise<void> {
  if (net.truncate) await connection.query({ text: `TRUNCATE ONLY ${table.sql}` }, options);
  if (net.removed.length > 0) await connection.query(removal(table, net.removed), options);
  if (net.partial.length > 0) await connection.query(completion(table, net.partial), options);
  if (net.added.length > 0) await addRows(connection, table, { rows: net.added, options });
}

function removal(table: AppliedTable, rows: readonly StreamedRow[]): { text: string; values: string[] } {
  return table.key === undefined ? wholeRowRemoval(table, rows) : keyedRemoval(table, table.key, rows);
}

function keyedRemoval(table: AppliedTable, key: readonly number[], keys: readonly StreamedRow[]): { text: string; values: string[] } {
  const given = givenRows(key.map((position) => at(table.columns, position)), keys);
  const same = key.map((position, i) => `t.${at(table.columns, position).name} = k.c${i}`).join(' AND ');
  return { text: `DELETE FROM ONLY ${table.sql} AS t USING ${given.sql} AS k WHERE ${same}`, values: given.values };
}

/** Built-in types of which values with the same text are equal, whatever the collation. */
const hasEquality = /^(?:smallint|integer|bigint|numeric|boolean|uuid|date|timestamp|text|character varying)\b[^[\]]*$/;

/**
 * One of several equal rows for each that is given. Rows are compared by the text of all their values, so that types without an equality will do. Values whose text says that they are equal are compared besides,
 * so that an index finds the rows, or else a hash join in one scan of the table, of which few texts are made.
 */
function wholeRowRemoval(table: AppliedTable, rows: readonly StreamedRow[]): { text: string; values: string[] } {
  const given = givenRows(table.columns, rows);
  const compared = table.columns.flatMap(({ name, type }, i) => (hasEquality.test(type) && rows.every((one) => typeof one[i] === 'string') ? [{ name, given: `c${i}` }] : []));
  const values = compared.map((column) => `, k.${column.given}`).join('');
  const equal = compared.map((column) => `t.${column.name} = k.${column.given} AND `).join('');
  const row = (alias: string, names: readonly string[]): string => `ROW(${names.map((name) => `${alias}.${name}`).join(', ')})::text`;
  const text = `
    WITH k AS (SELECT ${row('k', table.columns.map((_, i) => `c${i}`))} AS line${values}, count(*) AS count FROM ${given.sql} AS k GROUP BY 1${values}),
    found AS (SELECT t.ctid AS place, row_number() OVER (PARTITION BY k.line) AS place_of_equals, k.count
      FROM ONLY ${table.sql} AS t JOIN k ON ${equal}k.line = ${row('t', table.columns.map(({ name }) => name))})
    DELETE FROM ONLY ${table.sql} AS t USING found WHERE t.ctid = found.place AND found.place_of_equals <= found.count`;
  return { text, values: given.values };
}

/**
 * Deletes rows and inserts them again with new values beside those that are kept. The window function needs all deleted rows before it gives the first, so that no row comes
 * before all have gone.
 */
function completion(table: AppliedTable, partial: readonly PartialRow[]): { text: string; values: string[] } {
  const { key = [], columns } = table;
  const kept = columns.flatMap((_, i) => (partial.some(({ row }) => row[i] === undefined) ? [i] : []));
  const types: AppliedType[] = [...columns, ...key.map((position) => at(columns, position)), ...kept.map(() => ({ type: 'boolean', typeKind: 'b' }) as const)];
  const rows = partial.map(({ row, base }) => [...row, ...base, ...kept.map((position) => (row[position] === undefined ? 't' : 'f'))]);
  const given = givenRows(types, rows);
  const baseColumn = (i: number): string => `k.c${columns.length + i}`;
  const keptColumn = (i: number): string => `k.c${columns.length + key.length + kept.indexOf(i)}`;
  const names = columns.map(({ name }) => name).join(', ');
  const values = columns.map(({ name }, i) => (kept.includes(i) ? `CASE WHEN ${keptColumn(i)} THEN g.${name} ELSE k.c${i} END` : `k.c${i}`));
  const same = (alias: string): string => key.map((position, i) => `${alias}.${at(columns, position).name} = ${baseColumn(i)}`).join(' AND ');
  const text = `
    WITH k AS MATERIALIZED (SELECT * FROM ${given.sql} AS k),
    gone AS (DELETE FROM ONLY ${table.sql} AS t USING k WHERE ${same('t')} RETURNING t.*),
    all_gone AS (SELECT *, count(*) OVER () AS shardwright_count FROM gone)
    INSERT INTO ${table.sql} (${names}) SELECT ${values.join(', ')} FROM all_gone AS g JOIN k ON ${same('g')} WHERE g.shardwright_count > 0`;
  return { text, values: given.values };
}

/**
 * Rows as a subquery with columns c0, c1, … of the types: one array of text for each, since arrays of arrays cannot be taken apart. Values of enums and ranges are read by the array itself: a cast from text may be a function of
 * whoever owns the type.
 */
function givenRows(types: readonly AppliedType[], rows: readonly StreamedRow[]): { sql: string; values: string[] } {
  const isRead = ({ typeKind }: AppliedType): boolean => ['e', 'm', 'r'].includes(typeKind);
  const columns = types.map((type, i) => (isRead(type) ? `u.c${i}` : `u.c${i}::${type.type} AS c${i}`)).join(', ');
  const arrays = types.map((type, i) => `$${i + 1}::${isRead(type) ? type.type : 'text'}[]`).join(', ');
  const names = types.map((_, i) => `c${i}`).join(', ');
  return { sql: `(SELECT ${columns} FROM unnest(${arrays}) AS u (${names}))`, values: types.map((_, i) => arrayText(rows, i)) };
}

function arrayText(rows: readonly StreamedRow[], column: number): string {
  const elements = rows.map((row) => elementText(row[column]));
  return Buffer.from(`{${elements.join(',')}}`, 'latin1').toString('utf8');
}

function elementText(value: StreamedValue): string {
  if (value === null || value === undefined) return 'NULL';
  return /["\\]/.test(value) ? `"${value.replaceAll(/["\\]/g, '\\$&')}"` : `"${value}"`;
}

const chunkCharacters = 256 * 1024;

async function addRows(
  connection: NodeConnection,
  { sql, columns }: AppliedTable,
  { rows, options }: { readonly rows: readonly StreamedRow[]; readonly options: CallOptions },
): Promise<void> {
  const sink = await connection.copyIn(`COPY ${sql} (${columns.map(({ name }) => name).join(', ')}) FROM STDIN`, options);
  let text = '';
  for (const row of rows) {
    text += lineOf(row);
    if (text.length < chunkCharacters) continue;
    await sink.write(Buffer.from(text, 'latin1'));
    text = '';
  }
  await sink.write(Buffer.from(text, 'latin1'));
  await sink.end();
}

function lineOf(row: StreamedRow): string {
  let line = '';
  for (const [i, value] of row.entries()) line += `${i === 0 ? '' : '\t'}${fieldOf(value)}`;
  return `${line}\n`;
}

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function fieldOf(value: StreamedValue): string {
  if (value === null || value === undefined) return '\\N';
  return /[\\\n\r\t]/.test(value) ? value.replaceAll(/[\\\n\r\t]/g, (character) => escapes[character] ?? character) : value;
}
