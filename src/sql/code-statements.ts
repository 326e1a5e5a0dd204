import { parsePlPgSQLSync } from 'libpg-query';
import type { DefElem, Node } from '@pgsql/types';
import { nameParts } from './ast.ts';
import { quoteLiteral } from './identifiers.ts';
import { parseStatements, type Statement } from './parse.ts';
import { type RunTimeText, runTimeText } from './run-time-text.ts';

/** What can be told of the code of a function or a DO block. */
export interface Code {
  /** Its statements and expressions, each expression as a query of it. */
  readonly statements: readonly Statement[];
  /** Of each statement that it makes at run time, what can be told of it beforehand. */
  readonly made: readonly (RunTimeText | undefined)[];
}

/** Undefined for other languages than SQL and PL/pgSQL, and where the code cannot be read. */
export function readCode({ node, text }: Statement): Code | undefined {
  const options = 'CreateFunctionStmt' in node ? node.CreateFunctionStmt.options : 'DoStmt' in node ? node.DoStmt.args : undefined;
  const code = optionOf(options, 'as');
  const language = optionOf(options, 'language')?.toLowerCase() ?? ('DoStmt' in node ? 'plpgsql' : 'sql');
  try {
    if (code === undefined) return undefined;
    if (language === 'sql') return { statements: parseStatements(code), made: [] };
    return language === 'plpgsql' ? plpgsqlBody('DoStmt' in node ? `CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS ${quoteLiteral(code)}` : text) : undefined;
  } catch {
    return undefined;
  }
}

function optionOf(options: readonly Node[] | undefined, name: string): string | undefined {
  const found = (options ?? []).flatMap((option) => ('DefElem' in option && option.DefElem.defname === name ? [option.DefElem] : []))[0];
  return found === undefined ? undefined : textOf(found);
}

function textOf({ arg }: DefElem): string | undefined {
  if (arg !== undefined && 'String' in arg) return arg.String.sval;
  return arg !== undefined && 'List' in arg ? nameParts(arg.List.items)[0] : undefined;
}

function plpgsqlBody(definition: string): Code {
  const tree: unknown = parsePlPgSQLSync(definition);
  const body: Collected = { statements: [], made: [] };
  collect(tree, body);
  return body;
}

interface Collected {
  readonly statements: Statement[];
  readonly made: (RunTimeText | undefined)[];
}

function collect(tree: unknown, body: Collected): void {
  if (typeof tree !== 'object' || tree === null) return;
  for (const [key, value] of Object.entries(tree)) {
    if (key.startsWith('PLpgSQL_stmt_dyn')) body.made.push(madeBy((value as Dynamic).query));
    if (key === 'dynquery') body.made.push(madeBy(value as Dynamic['query']));
    if (key === 'PLpgSQL_expr') body.statements.push(...statementsOf((value as { readonly query?: string }).query ?? ''));
    else collect(value, body);
  }
}

/** EXECUTE, or FOR … IN EXECUTE. */
interface Dynamic {
  readonly query?: { readonly PLpgSQL_expr?: { readonly query?: string } };
}

function madeBy(expression: Dynamic['query']): RunTimeText | undefined {
  return runTimeText(expression?.PLpgSQL_expr?.query ?? '');
}

/** An expression, or an assignment, is the query of its value. */
function statementsOf(text: string): Statement[] {
  for (const candidate of [text, `SELECT ${text}`, `SELECT ${text.replace(/^.*?:?=/s, '')}`]) {
    try {
      return parseStatements(candidate);
    } catch {
      // Not of this sort.
    }
  }
  return [];
}
