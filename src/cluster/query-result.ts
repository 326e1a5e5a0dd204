import { Result, types as defaultTypes, type CustomTypesConfig, type QueryResult, type QueryResultRow } from 'pg';
import type { FieldDescriptor, RawRow } from './node-connection.ts';
import { QuickParsers } from './quick-parsers.ts';

export interface ResultInput {
  readonly command: string;
  readonly rowCount: number | null;
  readonly fields: readonly FieldDescriptor[];
  readonly rows: readonly RawRow[];
  readonly rowMode?: string | undefined;
  readonly types?: CustomTypesConfig | undefined;
}

/** What pg's Result does, beyond what its types tell. */
interface ResultBuilder extends QueryResult {
  addFields(fields: readonly FieldDescriptor[]): void;
  parseRow(fields: RawRow): QueryResultRow;
}

const PgResult = Result as unknown as new (rowMode: string | undefined, types: CustomTypesConfig | undefined) => ResultBuilder;

/** For rows that stay what the server sent: text, or null. With `rowMode: 'array'` rows are raw ones. */
export const textTypes = { getTypeParser: () => asIs } as unknown as CustomTypesConfig;
const asIs = (text: string): string => text;

/** With fewer rows, finding quicker parsers takes longer than they save. */
const quickRowsMin = 100;

/** Rows as pg would have parsed them, in pg's own result. */
export function makeQueryResult(input: ResultInput): QueryResult {
  const result = new PgResult(input.rowMode, input.rows.length < quickRowsMin ? (input.types ?? defaultTypes) : new QuickParsers().over(input.types ?? defaultTypes));
  result.command = input.command;
  result.rowCount = input.rowCount as number;
  result.oid = (input.command === 'INSERT' ? 0 : null) as number;
  if (input.fields.length > 0) result.addFields(input.fields);
  result.rows = input.rows.map((row) => result.parseRow(row));
  return result;
}

/** A parser for rows one by one. */
export function rowParser(fields: readonly FieldDescriptor[], { rowMode, types }: Pick<ResultInput, 'rowMode' | 'types'>): (row: RawRow) => unknown {
  const result = new PgResult(rowMode, new QuickParsers().over(types ?? defaultTypes));
  result.addFields(fields);
  return (row) => result.parseRow(row);
}
