import type { DefElem, ExplainStmt } from '@pgsql/types';
import { present } from '../base/assert.ts';
import { sameTree } from '../sql/ast.ts';
import { parseOne, type Statement } from '../sql/parse.ts';
import { afterGroup, scanTokens } from '../sql/scan.ts';
import { unsupported } from './select/unsupported.ts';
import type { StatementPlan } from './statement-plan.ts';

export interface ExplainOptions {
  readonly analyze: boolean;
  readonly verbose: boolean;
  readonly format: 'text' | 'json';
}

/** EXPLAIN of a statement that `plan` plans; what the coordinator database runs alone, it explains itself. */
export async function planExplain(statement: Statement, explain: ExplainStmt, plan: (inner: Statement) => Promise<StatementPlan>): Promise<StatementPlan> {
  const inner = explained(statement, explain);
  const planned = await plan(inner);
  if (planned.kind === 'coordinator') return { kind: 'coordinator', text: statement.text, effect: 'write' };
  return { kind: 'explain', statement: inner, plan: planned, options: optionsOf(explain) };
}

/** The statement behind EXPLAIN and its options, in its own text. */
function explained({ text }: Statement, { query, options = [] }: ExplainStmt): Statement {
  const tokens = scanTokens(text);
  let first = 1;
  if (options.length > 0 && tokens[1]?.text === '(') first = afterGroup(tokens, 1);
  else while (/^(analy[sz]e|verbose)$/i.test(tokens[first]?.text ?? '')) first += 1;
  const inner = parseOne(text.slice(present(tokens[first], 'explained statement').start));
  if (!sameTree(inner.node, query)) throw unsupported('The statement to explain cannot be told from the options.', 'Write EXPLAIN (options) statement.');
  return inner;
}

/** Those that say what else a server prints of its own plan are taken and mean nothing here. */
const ignored: ReadonlySet<string> = new Set(['costs', 'settings', 'buffers', 'wal', 'timing', 'summary', 'memory', 'serialize']);

function optionsOf({ options = [] }: ExplainStmt): ExplainOptions {
  const given = new Map(options.flatMap((node): [string, DefElem][] => ('DefElem' in node ? [[node.DefElem.defname ?? '', node.DefElem]] : [])));
  const format = textOf(given.get('format')) ?? 'text';
  if (format !== 'text' && format !== 'json') throw unsupported(`EXPLAIN in format ${format}.`, 'Use FORMAT TEXT or FORMAT JSON.');
  for (const name of given.keys()) {
    if (!ignored.has(name) && !known.has(name)) throw unsupported(`EXPLAIN with option "${name}".`, 'Leave it out.');
  }
  return { analyze: isOn(given.get('analyze')), verbose: isOn(given.get('verbose')), format };
}

const known: ReadonlySet<string> = new Set(['analyze', 'verbose', 'format']);

function isOn(option: DefElem | undefined): boolean {
  return option !== undefined && !/^(off|false|0)$/.test(textOf(option) ?? 'on');
}

function textOf(option: DefElem | undefined): string | undefined {
  const value = option?.arg;
  if (value === undefined) return undefined;
  if ('String' in value) return value.String.sval?.toLowerCase();
  return 'Integer' in value ? String(value.Integer.ival ?? 0) : undefined;
}
