import type { SelectStmt } from '@pgsql/types';
import type { ResultTable } from '../../analyze/result-table.ts';
import { resultSchema } from '../../analyze/result-table.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import type { Statement } from '../../sql/parse.ts';
import { parseOne } from '../../sql/parse.ts';
import type { Extent } from '../../sql/query-extent.ts';
import { queryExtent } from '../../sql/query-extent.ts';
import type { DescribedColumn } from '../describe.ts';
import { nullRow } from '../select/null-row.ts';
import { withCommonContext } from './common-context.ts';
import { resultColumn } from './result-column.ts';
import type { Stage } from './stage.ts';
import type { StagedState } from './staged-state.ts';

export interface QuerySource {
  readonly stage: Stage;
  readonly extent: Extent;
  /** What stands in the query's place then. */
  readonly replacement: string;
}

/** record, record[] and void: values that no table holds. */
export const unheldTypes: ReadonlySet<number> = new Set([2249, 2287, 2278]);

/** A query within a statement as a stage; undefined when it cannot be cut out, or its rows cannot be held. */
export async function querySource(state: StagedState, statement: Statement, query: SelectStmt): Promise<QuerySource | undefined> {
  const extent = queryExtent(statement, query);
  if (extent === undefined) return undefined;
  const text = withCommonContext(statement, query, statement.text.slice(extent.start, extent.end));
  if (text === undefined) return undefined;
  const { columns } = await state.partInput().describe.statement(text, { collations: true });
  if (columns.length === 0 || columns.some(({ typeOid }) => unheldTypes.has(typeOid))) return undefined;
  const held = columns.map((column, i) => resultColumn(`c${i + 1}`, column));
  const result: ResultTable = {
    kind: 'result', name: state.context.resultNames.next(), columns: held, distribution: undefined, lookups: [], sampled: false,
    standIn: nullRow(held), label: 'subquery',
  };
  const stage = { result, source: await state.source(parseOne(text)) };
  return { stage, extent, replacement: `SELECT ${listOf(columns)} FROM ${quoteQualified(resultSchema, result.name)} AS ${quoteIdentifier(result.name)}` };
}

function listOf(columns: readonly DescribedColumn[]): string {
  return columns.map(({ name }, i) => `c${i + 1} AS ${quoteIdentifier(name)}`).join(', ');
}
