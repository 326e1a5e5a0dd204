import type { FuncCall, Node, SelectStmt, TypeCast } from '@pgsql/types';
import { ClusterError } from '../base/errors.ts';
import { builtinName, walk } from '../sql/ast.ts';
import { quoteLiteral } from '../sql/identifiers.ts';
import type { Statement } from '../sql/parse.ts';
import type { Setting } from './session-settings.ts';

export interface SetConfig extends Setting {
  readonly local: boolean;
}

/** A setting that a statement may set, and for how long. */
export type ConfigCall = Pick<SetConfig, 'name' | 'local'>;

/**
 * What a statement sets by set_config, as far as its text and values tell. `plain`: it is nothing but such calls, and its row has their values, see `settingsMade`; `calls`: these may be made, each once or more, or, unless it is `certain`, not at all; `by_rows`: its
 * rows say what they set, and for how long; `view`: it updates pg_settings, whose rule sets for the session what its rows say. See docs/decisions/0047-what-set-config-sets-is-read-back.md.
 */
export type ConfigCalls =
  | { readonly kind: 'plain' }
  | { readonly kind: 'calls'; readonly calls: readonly ConfigCall[]; readonly isCertain: boolean }
  | { readonly kind: 'by_rows'; readonly calls: readonly FuncCall[] }
  | { readonly kind: 'view' };

/** Undefined where a statement calls no set_config. Throws `unsupportedQuery` for what cannot be told. */
export function configCalls({ node, text }: Statement, values: readonly unknown[]): ConfigCalls | undefined {
  const updates = /pg_settings/i.test(text) && updatesSettings(node);
  const found = /set_config/i.test(text) && Object.keys(node).some((kind) => running.has(kind)) ? callsIn(node) : [];
  if (found.length === 0) return updates ? { kind: 'view' } : undefined;
  if (updates) throw notTold('It updates pg_settings and calls set_config().');
  if ('DeclareCursorStmt' in node) throw notTold('It declares a cursor, whose rows set something when they are fetched.');
  const calls = found.map((call) => callOf(call, values)).filter((call) => call !== undefined);
  const isPlain = 'SelectStmt' in node && isBare(node.SelectStmt) && calls.length === found.length && listedCalls(node.SelectStmt).length === found.length;
  // A row as an object has one value for each name.
  if (isPlain && hasOneOfEachName(node.SelectStmt)) return { kind: 'plain' };
  if (calls.length === found.length) return { kind: 'calls', calls, isCertain: isPlain };
  const listed = 'SelectStmt' in node && isOfRows(node.SelectStmt) ? listedCalls(node.SelectStmt) : [];
  if (listed.length < found.length) throw notTold('What set_config() sets, or for how long, is told by no constant or parameter.');
  return { kind: 'by_rows', calls: listed };
}

/** Of a statement whose rows are read in parts. Throws `unsupportedQuery`. */
export function checkSetsNothing(statement: Statement): void {
  if (/set_config/i.test(statement.text) && configCalls(statement, []) !== undefined) throw notTold('Its rows are read in parts, and it sets something meanwhile.');
}

/** Statements that run what stands in them. */
const running: ReadonlySet<string> = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt', 'DeclareCursorStmt', 'ExplainStmt', 'CreateTableAsStmt', 'CallStmt', 'ExecuteStmt', 'CopyStmt']);

function notTold(detail: string): ClusterError {
  return new ClusterError('unsupportedQuery', 'the statement may set what the session would not know of', {
    detail, hint: "Use SET, or SELECT set_config('name', value, false) alone: every server of the session has to be told.",
  });
}

function callsIn(node: Node): FuncCall[] {
  const found: FuncCall[] = [];
  walk(node, (kind, body) => {
    if (kind === 'FuncCall' && isSetConfig(body)) found.push(body);
    return undefined;
  });
  return found;
}

function isSetConfig({ funcname }: FuncCall): boolean {
  return builtinName(funcname) === 'set_config';
}

function updatesSettings(node: Node): boolean {
  let found = false;
  walk([node], (kind, body) => {
    found ||= kind === 'UpdateStmt' && 'relation' in body && (body.relation as { readonly relname?: string }).relname === 'pg_settings';
    return !found;
  });
  return found;
}

function listedCalls({ targetList = [] }: SelectStmt): FuncCall[] {
  return targetList.flatMap((target) => {
    const value = 'ResTarget' in target ? target.ResTarget.val : undefined;
    return value !== undefined && 'FuncCall' in value && isSetConfig(value.FuncCall) ? [value.FuncCall] : [];
  });
}

function hasOneOfEachName({ targetList = [] }: SelectStmt): boolean {
  const names = targetList.flatMap((target) => ('ResTarget' in target ? [target.ResTarget.name ?? ''] : []));
  return new Set(names).size === targetList.length && (names.length < 2 || !names.includes('set_config'));
}

/** Each row that it gives has called them once. */
function isOfRows({ fromClause, withClause, groupClause, havingClause, windowClause, distinctClause, sortClause, limitCount, limitOffset, op, intoClause }: SelectStmt): boolean {
  const others = [withClause, groupClause, havingClause, windowClause, distinctClause, sortClause, limitCount, limitOffset, intoClause];
  return fromClause !== undefined && others.every((clause) => clause === undefined) && (op === undefined || op === 'SETOP_NONE');
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
  const call = value !== undefined && 'FuncCall' in value && isSetConfig(value.FuncCall) ? callOf(value.FuncCall, values) : undefined;
  return call === undefined || typeof made !== 'string' ? undefined : settingTo(call, made);
}

/** The statement that does the same on another connection. */
export function settingTo({ name, local }: ConfigCall, value: string): SetConfig {
  return { name, local, value, text: `SELECT pg_catalog.set_config(${quoteLiteral(name)}, ${quoteLiteral(value)}, ${local})` };
}

function callOf({ args = [] }: FuncCall, values: readonly unknown[]): ConfigCall | undefined {
  const [name, , local] = args.map((argument) => constantOf(argument, values));
  const isLocal = booleanOf(local);
  return typeof name !== 'string' || typeof isLocal !== 'boolean' ? undefined : { name: name.toLowerCase(), local: isLocal };
}

function constantOf(node: Node, values: readonly unknown[]): unknown {
  const bare = 'TypeCast' in node && isFaithful(node.TypeCast) && node.TypeCast.arg !== undefined ? node.TypeCast.arg : node;
  if ('ParamRef' in bare) return values[(bare.ParamRef.number ?? 0) - 1];
  if (!('A_Const' in bare)) return undefined;
  return bare.A_Const.boolval === undefined ? bare.A_Const.sval?.sval : (bare.A_Const.boolval.boolval ?? false);
}

/** A cast that leaves a name or a boolean what it is. */
function isFaithful({ typeName }: TypeCast): boolean {
  return /^(text|varchar|bool)$/.test(builtinName(typeName?.names) ?? '') && typeName?.typmods === undefined;
}

/** As far as PostgreSQL writes them. */
function booleanOf(value: unknown): unknown {
  return value === 'true' || value === 't' ? true : value === 'false' || value === 'f' ? false : value;
}
