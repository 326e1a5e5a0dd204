import type { Node } from '@pgsql/types';
import { builtinName, nameParts } from '../sql/ast.ts';
import type { SettingSource } from './constant-set.ts';
import { comparableTypes, typeFamily } from './type-family.ts';

/**
 * `current_setting('app.tenant_id')` cast to a type that compares with a column of `type` as a value of it; also in NULLIF with a literal, and as a
 * subquery of nothing else, as policies write it. A cast reads the setting's text as a literal of that type would be read. Only settings with a dot in
 * their names, which mean nothing to a server.
 */
export function settingOf(node: Node, type: string | undefined): SettingSource | undefined {
  const whole = withoutSelect(node);
  const inner = withoutCasts(whole, (name) => comparableTypes(name, type));
  if (inner === whole && typeFamily(type) !== 'text') return undefined;
  return textSetting(inner);
}

/** The same where it is compared as text. */
export function textSetting(node: Node): SettingSource | undefined {
  const inner = withoutCasts(withoutSelect(node), (name) => typeFamily(name) === 'text');
  if ('FuncCall' in inner) return plainSetting(inner);
  if (!('A_Expr' in inner) || inner.A_Expr.kind !== 'AEXPR_NULLIF') return undefined;
  const { lexpr, rexpr } = inner.A_Expr;
  const nullIf = rexpr === undefined ? undefined : literalText(rexpr);
  const setting = lexpr === undefined || nullIf === undefined ? undefined : textSetting(lexpr);
  return setting?.nullIf === undefined && setting !== undefined ? { ...setting, nullIf } : undefined;
}

function plainSetting(node: Node): SettingSource | undefined {
  if (!('FuncCall' in node)) return undefined;
  const { funcname, args = [], over, agg_filter: filter, agg_distinct: distinct, func_variadic: variadic } = node.FuncCall;
  if (builtinName(funcname) !== 'current_setting' || over !== undefined || filter !== undefined || distinct === true || variadic === true) return undefined;
  const [name, missingOk] = args;
  const text = name === undefined ? undefined : literalText(name)?.toLowerCase();
  if (args.length > 2 || text?.includes('.') !== true) return undefined;
  return missingOk === undefined || isBoolean(missingOk) ? { kind: 'setting', name: text, nullIf: undefined } : undefined;
}

function isBoolean(node: Node): boolean {
  return 'A_Const' in node && node.A_Const.boolval !== undefined;
}

function literalText(node: Node): string | undefined {
  const bare = withoutCasts(node, (name) => typeFamily(name) === 'text');
  return 'A_Const' in bare && bare.A_Const.sval !== undefined ? (bare.A_Const.sval.sval ?? '') : undefined;
}

/** `(SELECT value)`, which some write so that it is computed once. */
function withoutSelect(node: Node): Node {
  if (!('SubLink' in node) || node.SubLink.subLinkType !== 'EXPR_SUBLINK') return node;
  const { subselect } = node.SubLink;
  if (subselect === undefined || !('SelectStmt' in subselect)) return node;
  const { targetList = [], op, limitOption, ...rest } = subselect.SelectStmt;
  const [target] = targetList;
  const isPlain = (op === undefined || op === 'SETOP_NONE') && (limitOption === undefined || limitOption === 'LIMIT_OPTION_DEFAULT') && Object.values(rest).every((part) => part === undefined);
  return isPlain && targetList.length === 1 && target !== undefined && 'ResTarget' in target && target.ResTarget.val !== undefined ? withoutSelect(target.ResTarget.val) : node;
}

/** Below casts to types that `accept` takes, one after the other: none changes a value. */
function withoutCasts(node: Node, accept: (type: string) => boolean): Node {
  if (!('TypeCast' in node)) return node;
  const { arg, typeName } = node.TypeCast;
  const parts = nameParts(typeName?.names);
  const name = parts.at(-1);
  if (arg === undefined || name === undefined || (parts.length > 1 && parts[0] !== 'pg_catalog')) return node;
  const isPlain = (typeName?.typmods?.length ?? 0) === 0 && (typeName?.arrayBounds?.length ?? 0) === 0;
  return isPlain && accept(name) ? withoutCasts(arg, accept) : node;
}
