import type { RangeVar } from '@pgsql/types';
import type { AnalyzedStatement } from '../../analyze/analyze-statement.ts';
import type { ResultColumn } from '../../analyze/result-table.ts';
import { quoteName, quoteQualified } from '../../sql/identifiers.ts';
import { resultColumn } from './result-column.ts';
import type { StagedState } from './staged-state.ts';

/** A table whose rows are read for a stage. */
export interface SourceTable {
  /** Undefined for a local table that is named without one. */
  readonly schema: string | undefined;
  readonly name: string;
  /** What SQL calls it. */
  readonly sql: string;
  readonly columns: readonly ResultColumn[];
}

/** The table behind an occurrence; the coordinator database is asked for the columns of a local one. */
export async function sourceTable(state: StagedState, rangeVar: RangeVar, { uses }: AnalyzedStatement): Promise<SourceTable> {
  const table = uses.find((use) => use.rangeVar === rangeVar)?.table;
  if (table !== undefined) {
    const { schema, name } = table;
    return { schema, name, sql: quoteQualified(schema, name), columns: table.columns.map(({ name: column, type, collation, deterministic }) => ({ name: column, typeSql: type.sql, collation, deterministic })) };
  }
  const { schemaname: schema, relname: name = '' } = rangeVar;
  const sql = quoteName(schema, name);
  const { columns } = await state.partInput().describe.statement(`SELECT * FROM ${sql}`, { collations: true });
  return { schema, name, sql, columns: columns.map((column) => resultColumn(column.name, column)) };
}
