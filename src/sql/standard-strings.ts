import type { Node, VariableSetStmt } from '@pgsql/types';
import { ClusterError } from '../base/errors.ts';
import { builtinName, walk } from './ast.ts';
import type { Statement } from './parse.ts';

/**
 * Texts are read here with `standard_conforming_strings` on, as PostgreSQL has it since 9.1 and alone from 19 on: with the setting off, a server would find other constants in the same text than we do. Throws
 * `unsupportedQuery` for a statement that says it shall be off, in the session or in those to come; where its words do not show it, the connection tells (`nonstandardStrings`).
 */
export function checkStandardStrings(statements: readonly Statement[]): void {
  for (const { node, text } of statements) if (text.toLowerCase().includes(setting) && turnsOff(node)) throw nonstandardStrings();
}

/** `detail`: who has it off, where that is no statement. */
export function nonstandardStrings(detail = 'In a text with backslashes the cluster would find other strings than its servers.'): ClusterError {
  return new ClusterError('unsupportedQuery', `"${setting}" cannot be off`, { detail, hint: `Write strings with escapes as E'…'.` });
}

const setting = 'standard_conforming_strings';
/** As PostgreSQL reads a boolean. */
const off = /^(f|fa|fal|fals|false|n|no|of|off|0)$/i;

function turnsOff(node: Node): boolean {
  let found = false;
  walk(node, (kind, body) => {
    if (kind === 'VariableSetStmt') found ||= setsOff(body);
    if (kind === 'AlterRoleSetStmt' || kind === 'AlterDatabaseSetStmt' || kind === 'AlterSystemStmt') found ||= setsOff((body as { readonly setstmt?: VariableSetStmt }).setstmt ?? {});
    if (kind === 'FuncCall') found ||= callsOff(body);
    return !found;
  });
  return found;
}

function setsOff({ name, kind, args = [] }: VariableSetStmt): boolean {
  return name?.toLowerCase() === setting && kind === 'VAR_SET_VALUE' && off.test(constantOf(args[0]) ?? '');
}

function callsOff({ funcname, args = [] }: { readonly funcname?: Node[]; readonly args?: Node[] }): boolean {
  return builtinName(funcname) === 'set_config' && constantOf(args[0])?.toLowerCase() === setting && off.test(constantOf(args[1]) ?? '');
}

function constantOf(node: Node | undefined): string | undefined {
  if (node === undefined || !('A_Const' in node)) return undefined;
  const { sval, ival } = node.A_Const;
  return ival === undefined ? sval?.sval : String(ival.ival ?? 0);
}
