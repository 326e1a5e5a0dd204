import type { SelectStmt } from '@pgsql/types';
import type { Statement } from '../../sql/parse.ts';
import { parseOne } from '../../sql/parse.ts';
import type { Extent } from '../../sql/query-extent.ts';
import { queryExtent } from '../../sql/query-extent.ts';
import { applyEdits, fillTemplate } from '../../sql/template.ts';
import { typedConstants } from '../typed-constants.ts';
import { withCommonContext } from './common-context.ts';
import { madeResult, queryOfResult } from './made-result.ts';
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
  const text = withCommonContext(statement, query, await operandText(state, statement, { query, extent }));
  if (text === undefined) return undefined;
  const { columns } = await state.partInput().describe.statement(text, { collations: true });
  if (columns.length === 0 || columns.some(({ typeOid }) => unheldTypes.has(typeOid))) return undefined;
  const held = columns.map((column, i) => resultColumn(`c${i + 1}`, column));
  const result = madeResult(state.context.resultNames.next(), held, 'subquery');
  const stage = { result, source: await state.source(parseOne(text)) };
  return { stage, extent, replacement: queryOfResult(result, columns) };
}

interface FoundQuery {
  readonly query: SelectStmt;
  readonly extent: Extent;
}

/** A query's text. Where it is an operand of UNION and the like, its bare constants and NULLs have the types that the operands have together: by itself they would be text. */
async function operandText(state: StagedState, statement: Statement, { query, extent }: FoundQuery): Promise<string> {
  const own = statement.text.slice(extent.start, extent.end);
  const whole = operationAround(statement.node, query);
  const around = whole === undefined ? undefined : queryExtent(statement, whole);
  const columns = (query.targetList ?? []).map(() => ({ typeSql: 'text', defaultSql: undefined }));
  if (whole === undefined || around === undefined || query.valuesLists !== undefined || typedConstants(statement, query, columns).length === 0) return own;
  const text = withCommonContext(statement, whole, statement.text.slice(around.start, around.end));
  if (text === undefined) return own;
  const types = (await state.partInput().describe.statement(text)).columns.map(({ typeSql }) => ({ typeSql, defaultSql: undefined }));
  const edits = typedConstants(statement, query, types).map((edit) => ({ ...edit, start: edit.start - extent.start, end: edit.end - extent.start }));
  return fillTemplate(applyEdits<never>(own, edits), () => '');
}

/** The outermost set operation that a query is an operand of. */
function operationAround(tree: unknown, query: SelectStmt): SelectStmt | undefined {
  if (typeof tree !== 'object' || tree === null) return undefined;
  const operation = tree as SelectStmt;
  if ('larg' in tree && isOperand(operation, query)) return operation;
  for (const value of Object.values(tree)) {
    const found = operationAround(value, query);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isOperand({ larg, rarg }: SelectStmt, query: SelectStmt): boolean {
  return [larg, rarg].some((side) => side !== undefined && (side === query || isOperand(side, query)));
}
