import type { FuncCall, InsertStmt } from '@pgsql/types';
import { collectCalls } from '../../analyze/function-calls.ts';
import { present } from '../../base/assert.ts';
import { builtinName, nameParts } from '../../sql/ast.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import { afterGroup, scanTokens, tokenAt } from '../../sql/scan.ts';
import type { Describe } from '../describe.ts';
import { refused } from '../insert/refused.ts';
import { isDefault, rowNodes } from '../insert/row-nodes.ts';
import { keywordAt } from '../insert/value-rows.ts';

/** Whether a function in VALUES returns a set. PostgreSQL allows it in a single row, which then is as many. */
export async function valuesReturnSets(insert: InsertStmt, describe: Describe): Promise<boolean> {
  const rows = rowNodes(insert);
  if (rows.length !== 1) return false;
  const calls: FuncCall[] = [];
  collectCalls(rows, (call) => calls.push(call) > 0);
  if (calls.some(({ funcname }) => sets.test(builtinName(funcname) ?? ''))) return true;
  const names = calls.flatMap(({ funcname }) => nameParts(funcname).at(-1) ?? []);
  return names.length > 0 && [...(await describe.functions(names)).values()].some(({ setReturning }) => setReturning);
}

const sets = /^(generate_(series|subscripts)|unnest|jsonb?_(array_elements|array_elements_text|each|each_text|object_keys|populate_recordset|to_recordset)|jsonb_path_query(_tz)?|regexp_(matches|split_to_table)|string_to_table|aclexplode|ts_(parse|stat|token_type|debug)|pg_(ls_dir|get_keywords|options_to_table|listening_channels))$/;

/** The same rows as those of a query, which is what a single row of VALUES is: nothing else of the text stands elsewhere. */
export function valuesAsQuery({ text, source }: Statement, insert: InsertStmt): Statement {
  if (rowNodes(insert).some((row) => row.some(isDefault))) throw refused('DEFAULT stands beside a function that returns a set.', 'Leave the column out.');
  const { location = 0, schemaname } = present(insert.relation, 'target');
  const tokens = scanTokens(text);
  const keyword = keywordAt(tokens, 'VALUES', tokenAt(tokens, source.index(location)) + (schemaname === undefined ? 1 : 3));
  const [values, open, close] = [tokens[keyword], tokens[keyword + 1], tokens[afterGroup(tokens, keyword + 1) - 1]].map((token) => present(token, 'token'));
  return parseOne(`${text.slice(0, present(values, 'token').start)}SELECT${text.slice(present(values, 'token').end, present(open, 'token').start)} ${text.slice(present(open, 'token').end, present(close, 'token').start)} ${text.slice(present(close, 'token').end)}`);
}
