import { hasSqlDetails, loadModule, parseSync } from 'libpg-query';
import type { Node } from '@pgsql/types';
import { present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import { SourceText } from './source-text.ts';

/** One statement as the caller wrote it. Locations in `node` are bytes; `source` turns them into string indices. */
export interface Statement {
  readonly text: string;
  readonly source: SourceText;
  readonly node: Node;
}

/** Loads the grammar once; every other function here needs it. Cheap when it is loaded already. */
export function loadGrammar(): Promise<void> {
  return loadModule();
}

/**
 * The statements of a text, none for an empty one. `syntaxError` in PostgreSQL's words, with the 1-based position in
 * characters. Source: libpg-query, PostgreSQL 18's grammar.
 */
export function parseStatements(text: string): Statement[] {
  const statements = parseTree(text);
  const only = statements.length === 1 ? statements[0] : undefined;
  if (only?.stmt !== undefined) return [statementOf(withoutEnd(text, only), only.stmt)];
  const source = new SourceText(text);
  return statements.map(({ stmt_location: start = 0, stmt_len: length }) => {
    const end = length === undefined || length === 0 ? text.length : source.index(start + length);
    const slice = text.slice(source.index(start), end).trim();
    return statementOf(slice, present(parseTree(slice)[0]?.stmt, 'statement'));
  });
}

/** Without the semicolon and what stands behind it; positions stay what they are. */
function withoutEnd(text: string, { stmt_location: start = 0, stmt_len: length = 0 }: { readonly stmt_location?: number; readonly stmt_len?: number }): string {
  return length === 0 ? text : text.slice(0, new SourceText(text).index(start + length));
}

/** The one statement of a text that we made ourselves. */
export function parseOne(text: string): Statement {
  return statementOf(text, present(parseTree(text)[0]?.stmt, 'statement'));
}

/** The same of a text that may be none. */
export function parseOneIfValid(text: string): Statement | undefined {
  try {
    return parseOne(text);
  } catch {
    return undefined;
  }
}

function parseTree(text: string): NonNullable<ReturnType<typeof parseSync>['stmts']> {
  if (text.trim() === '') return [];
  try {
    return parseSync(text).stmts ?? [];
  } catch (error) {
    throw syntaxError(error);
  }
}

function statementOf(text: string, node: Node): Statement {
  return { text, source: new SourceText(text), node };
}

function syntaxError(error: unknown): unknown {
  if (!hasSqlDetails(error) || error.sqlDetails === undefined) return error;
  const { message, cursorPosition } = error.sqlDetails;
  // Counted in characters, from 0.
  return new ClusterError('syntaxError', message, { position: String(Math.max(cursorPosition, 0) + 1), cause: error });
}
