import { at } from '../base/assert.ts';
import type { NodeConnection } from '../cluster/node-connection.ts';
import { closeParameterGaps } from '../sql/parameters.ts';
import type { Statement } from '../sql/parse.ts';
import { afterGroup, scanTokens, tokenAt } from '../sql/scan.ts';
import { type ConfigCall, type ConfigCalls, settingTo, type SetConfig } from './set-config.ts';

/** What a statement of a session may set, and what it is before. */
export interface WatchedSettings {
  readonly calls: readonly ConfigCall[];
  /** Of each; undefined where it is certain that they are made. */
  readonly before: readonly (string | null)[] | undefined;
}

/** To be asked before the statement runs, on the session's own connection to the coordinator database. */
export async function watchSettings(connection: Pick<NodeConnection, 'query'>, calls: Exclude<ConfigCalls, { kind: 'plain' }>, { statement, values }: { readonly statement: Statement; readonly values: readonly unknown[] }): Promise<WatchedSettings> {
  if (calls.kind === 'calls' && calls.isCertain) return { calls: calls.calls, before: undefined };
  const all = calls.kind === 'calls' ? calls.calls : await callsOfRows(connection, calls.kind === 'view' ? viewQuery : callsQuery(statement, calls), values);
  return { calls: all, before: await valuesOf(connection, all) };
}

/** To be asked when it has run: what has another value now, or has been set for certain. */
export async function settingsSince(connection: Pick<NodeConnection, 'query'>, { calls, before }: WatchedSettings): Promise<SetConfig[]> {
  const now = await valuesOf(connection, calls);
  return calls.flatMap((call, i) => {
    const value = now[i] ?? null;
    return value === null || value === before?.[i] ? [] : [settingTo(call, value)];
  });
}

async function valuesOf(connection: Pick<NodeConnection, 'query'>, calls: readonly ConfigCall[]): Promise<(string | null)[]> {
  const text = 'SELECT pg_catalog.current_setting(name, true) FROM pg_catalog.unnest($1::text[]) WITH ORDINALITY AS called(name, place) ORDER BY place';
  return (await connection.query({ text, values: [calls.map(({ name }) => name)] })).rows.map(([value]) => value ?? null);
}

async function callsOfRows(connection: Pick<NodeConnection, 'query'>, query: string, values: readonly unknown[]): Promise<ConfigCall[]> {
  const { text, numbers } = closeParameterGaps(query);
  const { rows } = await connection.query({ text, values: numbers.map((number) => values[number - 1]) });
  return rows.flatMap((row) => Array.from({ length: row.length / 2 }, (_, i) => ({ name: row[2 * i] ?? null, local: row[2 * i + 1] ?? null })))
    .flatMap(({ name, local }) => (name === null ? [] : [{ name: name.toLowerCase(), local: local === 't' }]));
}

const viewQuery = `SELECT name, false FROM pg_catalog.pg_settings WHERE context IN ('user', 'superuser') AND name NOT LIKE 'transaction\\_%'`;

/** The rows of a query, with the first and the third argument of each call in the place of what it selects. */
function callsQuery({ text, source }: Statement, { calls }: Extract<ConfigCalls, { kind: 'by_rows' }>): string {
  const tokens = scanTokens(text);
  const wanted = calls.flatMap(({ funcname = [], location = 0 }) => {
    const open = tokenAt(tokens, source.index(location)) + 2 * funcname.length - 1;
    const commas = [open];
    const end = afterGroup(tokens, open) - 1;
    for (let i = open + 1; i < end; i += 1) {
      if (at(tokens, i).text === ',') commas.push(i);
      else if (/^[([]$/.test(at(tokens, i).text)) i = afterGroup(tokens, i) - 1;
    }
    const [name = '', , local = ''] = commas.map((comma, i) => text.slice(at(tokens, comma).end, at(tokens, commas[i + 1] ?? end).start));
    return [`(${name})::pg_catalog.text`, `(${local})::pg_catalog.bool`];
  });
  let from = 0;
  while (at(tokens, from).text.toUpperCase() !== 'FROM') from = /^[([]$/.test(at(tokens, from).text) ? afterGroup(tokens, from) : from + 1;
  return `SELECT ${wanted.join(', ')} ${text.slice(at(tokens, from).start)}`;
}
