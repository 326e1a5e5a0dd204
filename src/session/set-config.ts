import type { Node, SelectStmt } from '@pgsql/types';
import { builtinName } from '../sql/ast.ts';
import { quoteLiteral } from '../sql/identifiers.ts';
import type { Setting } from './session-settings.ts';

export interface SetConfig extends Setting {
  readonly local: boolean;
}

/**
 * The settings that a query made which is nothing but calls of set_config, by the values that it gave: `row` has them in order of the
 * target list. Empty for any other query.
 */
export function settingsMade(node: Node, values: readonly unknown[], row: readonly unknown[]): SetConfig[] {
  if (!('SelectStmt' in node) || !isBare(node.SelectStmt)) return [];
  return (node.SelectStmt.targetList ?? []).flatMap((target, i) => settingOf(target, values, row[i]) ?? []);
}

function isBare({ fromClause, whereClause, withClause, op }: SelectStmt): boolean {
  return fromClause === undefined && whereClause === undefined && withClause === undefined && (op === undefined || op === 'SETOP_NONE');
}

function settingOf(target: Node, values: readonly unknown[], made: unknown): SetConfig | undefined {
  const value = 'ResTarget' in target ? target.ResTarget.val : undefined;
  const call = value !== undefined && 'FuncCall' in value ? value.FuncCall : undefined;
  if (call === undefined || builtinName(call.funcname) !== 'set_config') return undefined;
  const [name, , local] = (call.args ?? []).map((argument) => constantOf(argument, values));
  if (typeof name !== 'string' || typeof local !== 'boolean' || typeof made !== 'string') return undefined;
  return { name: name.toLowerCase(), local, value: made, text: `SELECT pg_catalog.set_config(${quoteLiteral(name)}, ${quoteLiteral(made)}, ${local})` };
}

function constantOf(node: Node, values: readonly unknown[]): unknown {
  const bare = 'TypeCast' in node && node.TypeCast.arg !== undefined ? node.TypeCast.arg : node;
  if ('ParamRef' in bare) return booleanOf(values[(bare.ParamRef.number ?? 0) - 1]);
  if (!('A_Const' in bare)) return undefined;
  return bare.A_Const.boolval === undefined ? bare.A_Const.sval?.sval : (bare.A_Const.boolval.boolval ?? false);
}

function booleanOf(value: unknown): unknown {
  return value === 'true' || value === 't' ? true : value === 'false' || value === 'f' ? false : value;
}
