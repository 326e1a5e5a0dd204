import type { QueryResult } from 'pg';
import { ClusterError } from '../base/errors.ts';
import { makeQueryResult } from '../cluster/query-result.ts';

/** The answer to a statement that only has a tag. */
export function tagged(command: string): QueryResult {
  return makeQueryResult({ command, rowCount: null, fields: [], rows: [] });
}

export function outsideBlock(command: string): ClusterError {
  return new ClusterError('invalidParameter', `${command} can only be used in transaction blocks`, { sqlState: '25P01' });
}

export function transactionAborted(): ClusterError {
  return new ClusterError('transactionAborted', 'current transaction is aborted, commands ignored until end of transaction block');
}

/** The values of the first row in order of columns, however the caller wants rows. */
export function rowOf({ rows, fields }: QueryResult): readonly unknown[] {
  const row: unknown = rows[0];
  if (Array.isArray(row)) return row;
  return typeof row === 'object' && row !== null ? fields.map(({ name }) => Reflect.get(row, name) as unknown) : [];
}
