import { resultSchema, type ResultColumn, type ResultTable } from '../../analyze/result-table.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import { nullRow } from '../select/null-row.ts';

/** An intermediate result whose rows no table of the catalog has: those of a query or of a write. */
export function madeResult(name: string, columns: readonly ResultColumn[], label: string): ResultTable {
  return { kind: 'result', name, columns, distribution: undefined, lookups: [], sampled: false, standIn: nullRow(columns), label };
}

/** A query of such a result, with its columns `c1`, `c2` … under the names that they have to the caller. */
export function queryOfResult({ name }: ResultTable, columns: readonly { readonly name: string }[]): string {
  const list = columns.map((column, i) => `c${i + 1} AS ${quoteIdentifier(column.name)}`).join(', ');
  return `SELECT ${list} FROM ${quoteQualified(resultSchema, name)} AS ${quoteIdentifier(name)}`;
}
