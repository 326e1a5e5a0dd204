import type { FuncCall, Node, SQLValueFunction } from '@pgsql/types';
import { at } from '../../base/assert.ts';
import { builtinName, walk } from '../../sql/ast.ts';
import type { Statement } from '../../sql/parse.ts';
import { parseOne } from '../../sql/parse.ts';
import type { Token } from '../../sql/scan.ts';
import { afterGroup, scanTokens, tokenAt } from '../../sql/scan.ts';
import { applyEdits, fillTemplate } from '../../sql/template.ts';
import type { Describe } from '../describe.ts';
import type { EvaluatedExpression } from '../fan-out.ts';

/** Functions without arguments that have one value in a statement on one PostgreSQL, but differ between servers. */
const onceFunctions: ReadonlySet<string> = new Set([
  'now', 'transaction_timestamp', 'statement_timestamp', 'current_database', 'version', 'pg_backend_pid', 'txid_current',
  'pg_current_xact_id', 'inet_client_addr', 'inet_client_port', 'inet_server_addr', 'inet_server_port', 'pg_postmaster_start_time', 'pg_conf_load_time',
]);

export interface EvaluatedOnce {
  readonly statement: Statement;
  readonly evaluated: readonly EvaluatedExpression[];
}

/** Replaces `now()` and its like by parameters numbered after the caller's, so that all shard groups see one value. */
export async function evaluateOnce(statement: Statement, parameters: number, describe: Describe): Promise<EvaluatedOnce> {
  const places = onceExpressions(statement);
  if (places.length === 0) return { statement, evaluated: [] };
  const texts = [...new Set(places.map(({ sql }) => sql))];
  const { columns } = await describe.statement(`SELECT ${texts.join(', ')}`);
  const evaluated = texts.map((sql, i) => ({ sql, number: parameters + i + 1 }));
  const edits = places.map(({ start, end, sql }) => {
    const index = texts.indexOf(sql);
    return { start, end, parts: [`(CAST($${at(evaluated, index).number} AS ${at(columns, index).typeSql}))`] };
  });
  const text = fillTemplate(applyEdits<never>(statement.text, edits), () => '');
  return { statement: parseOne(text), evaluated };
}

/** The type of a once-evaluated time, by its name as written; undefined for the other functions. */
export function onceTimeType(sql: string): string | undefined {
  const name = sql.toLowerCase().replace(/\(.*$/s, '').replaceAll('"', '').trim().replace(/^pg_catalog\s*\.\s*/, '');
  return timeTypes[name];
}

const timeTypes: Readonly<Record<string, string>> = {
  now: 'timestamptz', transaction_timestamp: 'timestamptz', statement_timestamp: 'timestamptz', current_timestamp: 'timestamptz',
  current_date: 'date', localtimestamp: 'timestamp', localtime: 'time', current_time: 'timetz',
};

/** A once-evaluated expression in a statement's text, by string indices. */
export interface OncePlace {
  readonly start: number;
  readonly end: number;
  readonly sql: string;
}

export function onceExpressions(statement: Statement): OncePlace[] {
  const found: OncePlace[] = [];
  let tokens: readonly Token[] | undefined;
  walk(statement.node, (kind, body) => {
    const isOnce = kind === 'SQLValueFunction' || (kind === 'FuncCall' && isOnceCall(body));
    if (!isOnce) return undefined;
    tokens ??= scanTokens(statement.text);
    const location = (body as FuncCall | SQLValueFunction).location ?? 0;
    found.push(extent(statement, tokens, location));
    return undefined;
  });
  return found;
}

/** Whether `evaluateOnce` replaces it. */
export function isOnceCall(call: FuncCall): boolean {
  const name = builtinName(call.funcname);
  return name !== undefined && onceFunctions.has(name) && (call.args ?? []).length === 0;
}

/** From the name to behind its parentheses, if it has any. */
function extent(statement: Statement, tokens: readonly Token[], location: number): OncePlace {
  const first = tokenAt(tokens, statement.source.index(location));
  let last = first;
  while (tokens[last + 1]?.text === '.') last += 2;
  const end = tokens[last + 1]?.text === '(' ? afterGroup(tokens, last + 1) - 1 : last;
  const start = at(tokens, first).start;
  const stop = at(tokens, end).end;
  return { start, end: stop, sql: statement.text.slice(start, stop) };
}

/** Whether an expression must be evaluated once even in a statement for one reference table's copies. */
export function callsOnce(tree: Node): boolean {
  let found = false;
  walk(tree, (kind, body) => {
    found ||= kind === 'SQLValueFunction' || (kind === 'FuncCall' && isOnceCall(body));
    return undefined;
  });
  return found;
}
