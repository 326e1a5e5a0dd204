import type { QueryResult, QueryResultRow } from 'pg';

export interface SameRowsOptions {
  /** Whether the order of the rows counts. */
  readonly ordered: boolean;
}

/** Compares two results: columns (names and types), rows and their values. Says in a sentence what differs, if anything. */
export function differenceOf(
  plain: QueryResult<QueryResultRow>,
  cluster: QueryResult<QueryResultRow>,
  { ordered }: SameRowsOptions,
): string | undefined {
  const columns = [columnsOf(plain), columnsOf(cluster)] as const;
  if (columns[0] !== columns[1]) return `columns differ: plain has ${columns[0]}, the cluster ${columns[1]}`;
  if (plain.rows.length !== cluster.rows.length) return `plain returns ${plain.rows.length} rows, the cluster ${cluster.rows.length}`;
  const lines = [linesOf(plain, ordered), linesOf(cluster, ordered)] as const;
  const at = lines[0].findIndex((line, index) => line !== lines[1][index]);
  return at === -1 ? undefined : `row ${at + 1} differs: plain has ${lines[0][at] ?? ''}, the cluster ${lines[1][at] ?? ''}`;
}

function columnsOf(result: QueryResult<QueryResultRow>): string {
  return result.fields.map((field) => `${field.name}:${field.dataTypeID}:${field.dataTypeModifier}`).join(' ');
}

function linesOf(result: QueryResult<QueryResultRow>, ordered: boolean): string[] {
  const lines = result.rows.map((row) => JSON.stringify(Object.values(row).map(typedValue)));
  return ordered ? lines : lines.sort();
}

/** JSON alone would make NULL of NaN, drop the sign of zero, and read a bigint as an error. */
function typedValue(value: unknown): unknown {
  if (value instanceof Date) return `date ${value.getTime()}`;
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : `number ${value}`;
  return typeof value === 'bigint' ? `bigint ${value}` : value;
}
