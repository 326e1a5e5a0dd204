import type { Node, SelectStmt } from '@pgsql/types';
import { at } from '../../base/assert.ts';
import type { Statement } from '../../sql/parse.ts';
import { scanTokens, tokenAt } from '../../sql/scan.ts';
import type { Edit } from '../../sql/template.ts';
import { refused } from '../insert/refused.ts';

export interface ConstantType {
  /** Fit for a cast. */
  readonly typeSql: string;
  /** What DEFAULT stands for, in SQL; undefined where only the statement that inserts can tell. */
  readonly defaultSql: string | undefined;
}

/**
 * Casts string constants, NULLs and DEFAULTs that stand by themselves as values of an INSERT to the types of the columns that they go to: there they have the column's
 * type, but in a query by itself they would be text. `types`: of the columns, in order.
 */
export function typedConstants(statement: Statement, select: SelectStmt, types: readonly ConstantType[]): Edit<never>[] {
  const rows = select.valuesLists === undefined ? [targetsOf(select)] : select.valuesLists.map((row) => ('List' in row ? (row.List.items ?? []) : []));
  return rows.flatMap((row) => row.flatMap((value, i) => constantEdit(statement, value, types[i]) ?? []));
}

/** The values of a select list, as far as it is known which columns they go to: up to the first star. */
function targetsOf({ op, targetList = [] }: SelectStmt): Node[] {
  if (op !== 'SETOP_NONE') return [];
  const values = targetList.map((target) => ('ResTarget' in target ? target.ResTarget.val : undefined));
  const unknown = values.findIndex((value) => value === undefined || isStar(value));
  return values.slice(0, unknown < 0 ? undefined : unknown).flatMap((value) => value ?? []);
}

function isStar(value: Node): boolean {
  return 'ColumnRef' in value && (value.ColumnRef.fields ?? []).some((field) => 'A_Star' in field);
}

function constantEdit(statement: Statement, value: Node, type: ConstantType | undefined): Edit<never> | undefined {
  if (type === undefined) return undefined;
  const constant = 'A_Const' in value && (value.A_Const.sval !== undefined || value.A_Const.isnull === true) ? value.A_Const : 'SetToDefault' in value ? value.SetToDefault : undefined;
  if (constant === undefined) return undefined;
  const tokens = scanTokens(statement.text);
  const { start, end, text } = at(tokens, tokenAt(tokens, statement.source.index(constant.location ?? 0)));
  const meant = 'SetToDefault' in value ? type.defaultSql : text;
  if (meant === undefined) throw refused('DEFAULT stands beside a subquery, and its value comes from a sequence or is generated.', 'Leave the column out of the list, or insert the row by a statement of its own.');
  return { start, end, parts: [`CAST((${meant}) AS ${type.typeSql})`] };
}
