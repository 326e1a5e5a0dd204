import type { InsertStmt, SelectStmt } from '@pgsql/types';
import { present } from '../../base/assert.ts';
import type { CatalogTable, Column } from '../../catalog/catalog-snapshot.ts';
import { quoteIdentifier, quoteName } from '../../sql/identifiers.ts';
import type { Statement } from '../../sql/parse.ts';
import { applyEdits, fillTemplate } from '../../sql/template.ts';
import { assignableType, withoutLength } from '../insert/assignable-type.ts';
import { keepsIdentity } from '../insert/plan-insert.ts';
import { refused } from '../insert/refused.ts';
import type { StagedInput } from '../staged/staged-state.ts';
import { insertParts } from './insert-parts.ts';
import { type ConstantType, typedConstants } from '../typed-constants.ts';

/** Of an INSERT; undefined for a local table. */
export interface InsertTarget {
  readonly table: CatalogTable | undefined;
  readonly input: StagedInput;
}

/** Its type is without modifier: the assignment checks lengths, where a cast would cut. */
export interface TargetColumn extends ConstantType {
  readonly name: string;
}

/** The columns that the query's go to, in order; all of the table where none are listed. */
async function targetColumns({ relation, cols }: InsertStmt, { table, input }: InsertTarget): Promise<TargetColumn[]> {
  const listed = cols?.map((item) => ('ResTarget' in item && item.ResTarget.indirection === undefined ? (item.ResTarget.name ?? '') : undefined));
  if (listed?.includes(undefined) === true) throw refused('A part of a column is inserted into.', 'Insert the whole column.');
  const all = table === undefined ? await localColumns(relation, input) : table.columns.map((column) => ({ name: column.name, typeSql: assignableType(column), defaultSql: defaultOf(column) }));
  return listed === undefined ? all : listed.map((name) => present(all.find((column) => column.name === name), 'column'));
}

async function localColumns(relation: InsertStmt['relation'], { describe }: StagedInput): Promise<TargetColumn[]> {
  const { columns } = await describe.statement(`SELECT * FROM ${quoteName(relation?.schemaname, relation?.relname ?? '')}`);
  return columns.map(({ name, typeSql }) => ({ name, typeSql: withoutLength(typeSql), defaultSql: undefined }));
}

function defaultOf({ generated, default: value }: Column): string | undefined {
  if (value === undefined) return generated ? undefined : 'NULL';
  return generated || value.kind === 'sequence' || value.ofCoordinator === true ? undefined : value.sql;
}

/** An INSERT with its query taken out, to be put together again with another. */
export interface InsertText {
  readonly insert: InsertStmt;
  readonly select: SelectStmt;
  /** The query by itself: its constants have the types of the columns that they go to. */
  readonly query: string;
  /** The columns that the query's may go to, in order. */
  readonly columns: readonly TargetColumn[];
  /** The statement that inserts the rows of `query` into these columns; `undefined` leaves the column list out. */
  with(columns: readonly string[] | undefined, query: string): string;
}

export async function insertText(statement: Statement, target: InsertTarget): Promise<InsertText> {
  const insert = present('InsertStmt' in statement.node ? statement.node.InsertStmt : undefined, 'INSERT');
  const select = present(insert.selectStmt !== undefined && 'SelectStmt' in insert.selectStmt ? insert.selectStmt.SelectStmt : undefined, 'query of an INSERT');
  const { text } = statement;
  const { targetEnd, query: { start, end } } = insertParts(statement, insert, select);
  const columns = await targetColumns(insert, target);
  const edits = typedConstants(statement, select, columns).map((edit) => ({ ...edit, start: edit.start - start, end: edit.end - start }));
  const overriding = insert.override === 'OVERRIDING_SYSTEM_VALUE' || (target.table !== undefined && keepsIdentity(target.table)) ? ' OVERRIDING SYSTEM VALUE' : '';
  const tail = end === text.length || /\s/.test(text.charAt(end)) ? text.slice(end) : ` ${text.slice(end)}`;
  return {
    insert, select, columns,
    query: fillTemplate(applyEdits<never>(text.slice(start, end), edits), () => ''),
    with: (names, query) => `${text.slice(0, targetEnd)}${names === undefined ? '' : ` (${names.map(quoteIdentifier).join(', ')})`}${overriding} ${query}${tail}`,
  };
}
