import type { Pool } from 'pg';
import type { TpchQuery } from './tpch-queries.ts';

type Row = readonly (string | null)[];

/** What a query returned: values as the server's own text. */
export interface TpchAnswer {
  /** Name and type of each output column. */
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
}

/** Runs the query through pg's interface, on a pool or on a cluster. */
export async function readAnswer(target: Pick<Pool, 'query'>, { sql }: TpchQuery): Promise<TpchAnswer> {
  const { fields, rows } = await target.query<(string | null)[]>({ text: sql, rowMode: 'array', types: { getTypeParser: () => String } });
  return { columns: fields.map(({ name, dataTypeID, dataTypeModifier }) => `${name}:${dataTypeID}:${dataTypeModifier}`), rows };
}

/**
 * Says in a sentence how the answers differ, or nothing. Columns, row count and the sort keys of every row must agree; rows whose sort keys are equal may
 * come in any order, and where a LIMIT cut through them, other ones may have been left out. All values must agree in every digit: the queries
 * calculate in decimals, so that nothing is left to the tolerances of the specification (2.1.3.5: $100 of a sum, 1 % of an average).
 */
export function compareAnswers(query: TpchQuery, expected: TpchAnswer, actual: TpchAnswer): string | undefined {
  const columns = [expected.columns.join(' '), actual.columns.join(' ')] as const;
  if (columns[0] !== columns[1]) return `columns are ${columns[1]} instead of ${columns[0]}`;
  if (expected.rows.length !== actual.rows.length) return `${actual.rows.length} rows instead of ${expected.rows.length}`;
  return compareRows(query, expected.rows, actual.rows);
}

function compareRows(query: TpchQuery, expected: readonly Row[], actual: readonly Row[]): string | undefined {
  const keyOf = (row: Row | undefined): string => JSON.stringify(query.sortedBy.map((column) => row?.[column]));
  const misplaced = expected.findIndex((row, index) => keyOf(row) !== keyOf(actual[index]));
  if (misplaced >= 0) return describe(misplaced, expected, actual);
  const lastKey = expected.length === query.limit ? keyOf(expected.at(-1)) : undefined;
  const linesOf = (rows: readonly Row[]): string[] => rows.filter((row) => keyOf(row) !== lastKey).map((row) => JSON.stringify(row)).sort();
  const [left, right] = [linesOf(expected), linesOf(actual)];
  const other = left.findIndex((line, index) => line !== right[index]);
  return other < 0 ? undefined : `a row is ${right[other] ?? 'missing'} instead of ${left[other] ?? ''}`;
}

function describe(index: number, expected: readonly Row[], actual: readonly Row[]): string {
  return `row ${index + 1} is ${JSON.stringify(actual[index])} instead of ${JSON.stringify(expected[index])}`;
}
