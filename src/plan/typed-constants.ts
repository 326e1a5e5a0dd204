import type { Node, SelectStmt } from '@pgsql/types';
import { at } from '../base/assert.ts';
import { firstLocation } from '../sql/first-location.ts';
import type { Statement } from '../sql/parse.ts';
import { scanTokens, tokenAt } from '../sql/scan.ts';
import type { Edit } from '../sql/template.ts';
import { refused } from './insert/refused.ts';
import { valueRows } from './insert/value-rows.ts';

export interface ConstantType {
  /** Fit for a cast. */
  readonly typeSql: string;
  /** What DEFAULT stands for, in SQL; undefined where only the statement that inserts can tell. */
  readonly defaultSql: string | undefined;
}

/**
 * Casts string constants and NULLs that stand by themselves as values of an INSERT, and every value of VALUES, to the types of the columns that they go to: there they have the column's
 * type, but in a query by itself they would be text. `types`: of the columns, in order.
 */
export function typedConstants(statement: Statement, select: SelectStmt, types: readonly ConstantType[]): Edit<never>[] {
  if (select.valuesLists !== undefined) return typedRows(statement, select, types);
  return targetsOf(select).flatMap((value, i) => constantEdit(statement, value, types[i]) ?? []);
}

/** VALUES alone would have one type for all rows of a column; in an INSERT each value is assigned by itself. */
function typedRows(statement: Statement, { valuesLists = [] }: SelectStmt, types: readonly ConstantType[]): Edit<never>[] {
  const tokens = scanTokens(statement.text);
  let values = tokenAt(tokens, statement.source.index(firstLocation(valuesLists) ?? 0));
  while (values > 0 && at(tokens, values).text.toUpperCase() !== 'VALUES') values -= 1;
  const spans = valueRows(tokens, values);
  return valuesLists.flatMap((row, i) => {
    const items = 'List' in row ? (row.List.items ?? []) : [];
    const span = spans[i]?.items;
    if (span?.length !== items.length) throw refused('The rows of VALUES cannot be told from each other.', 'Write them without parentheses around VALUES.');
    return items.flatMap((item, place): Edit<never>[] => {
      const type = types[place];
      const { start, end } = at(span, place);
      return type === undefined ? [] : [{ start, end, parts: [`CAST((${'SetToDefault' in item ? meantByDefault(type) : statement.text.slice(start, end)}) AS ${type.typeSql})`] }];
    });
  });
}

function meantByDefault({ defaultSql }: ConstantType): string {
  if (defaultSql !== undefined) return defaultSql;
  throw refused('DEFAULT stands beside a subquery, and its value comes from a sequence or is generated.', 'Leave the column out of the list, or insert the row by a statement of its own.');
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
  const constant = 'A_Const' in value && (value.A_Const.sval !== undefined || value.A_Const.isnull === true) ? value.A_Const : undefined;
  if (type === undefined || constant === undefined) return undefined;
  const tokens = scanTokens(statement.text);
  const { start, end, text } = at(tokens, tokenAt(tokens, statement.source.index(constant.location ?? 0)));
  if (/^u&/i.test(text)) throw refused('A string with Unicode escapes is inserted by itself.', 'Write it with its characters, or as E\'…\'.');
  return { start, end, parts: [`CAST((${text}) AS ${type.typeSql})`] };
}
