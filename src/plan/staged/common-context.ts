import type { WithClause } from '@pgsql/types';
import { at } from '../../base/assert.ts';
import type { Statement } from '../../sql/parse.ts';
import { afterGroup, scanTokens, type Token, tokenAt } from '../../sql/scan.ts';
import { commonTables, freeNames, neededTables } from './common-names.ts';

/**
 * The text of a query that is cut out of a statement, with the common table expressions of the statement that it names in front. Undefined when
 * that cannot be done by text: it names itself (recursion), has a WITH of its own too, or names some of a WITH further in.
 */
export function withCommonContext(statement: Statement, query: object, text: string): string | undefined {
  const { node } = statement;
  const [body]: { readonly withClause?: WithClause }[] = Object.values(node);
  const clause = body?.withClause;
  const named = freeNames(query);
  if (innerClauses(node, clause, query).some((inner) => commonTables(inner).tables.some(({ ctename }) => named.has(ctename ?? '')))) return undefined;
  if (clause === undefined) return text;
  const common = commonTables(clause);
  // Only those before the one that it stands in are in sight, but in WITH RECURSIVE.
  const around = common.recursive ? -1 : common.tables.findIndex(({ ctequery }) => contains(ctequery, query));
  const needed = neededTables(around < 0 ? common : { ...common, tables: common.tables.slice(0, around) }, named);
  if (needed.length === 0) return text;
  if ('withClause' in query || common.recursive) return undefined;
  const tokens = scanTokens(statement.text);
  const list = needed.map((index) => {
    const start = tokenAt(tokens, statement.source.index(at(common.tables, index).location ?? 0));
    return statement.text.slice(at(tokens, start).start, at(tokens, endOf(tokens, start)).end);
  });
  return `WITH ${list.join(', ')} ${text}`;
}

/** Each WITH around the query that is neither the statement's nor the query's own. */
function innerClauses(tree: unknown, outermost: WithClause | undefined, query: object): WithClause[] {
  const found: WithClause[] = [];
  const visit = (inner: unknown): void => {
    if (typeof inner !== 'object' || inner === null || inner === query) return;
    if ('withClause' in inner && inner.withClause !== outermost && contains(inner, query)) found.push(inner.withClause as WithClause);
    for (const value of Object.values(inner)) visit(value);
  };
  visit(tree);
  return found;
}

function contains(tree: unknown, query: object): boolean {
  if (tree === query) return true;
  return typeof tree === 'object' && tree !== null && Object.values(tree).some((value) => contains(value, query));
}

/** The last token of `name (columns) AS MATERIALIZED (query) SEARCH … CYCLE …`. */
export function endOf(tokens: readonly Token[], start: number): number {
  let position = start + 1;
  if (tokens[position]?.text === '(') position = afterGroup(tokens, position);
  while (tokens[position]?.text !== '(') position += 1;
  return afterCycle(tokens, afterSearch(tokens, afterGroup(tokens, position))) - 1;
}

/** `SEARCH DEPTH FIRST BY column, … SET column`: a column may be called "set". */
function afterSearch(tokens: readonly Token[], start: number): number {
  if (!isWord(tokens[start], 'SEARCH')) return start;
  let position = start + 5;
  while (tokens[position]?.text === ',') position += 2;
  return position + 2;
}

/** `CYCLE column, … SET column TO value DEFAULT value USING column`: nothing else can be called USING. */
function afterCycle(tokens: readonly Token[], start: number): number {
  if (!isWord(tokens[start], 'CYCLE')) return start;
  let position = start;
  while (position < tokens.length && !isWord(tokens[position], 'USING')) position += 1;
  return position + 2;
}

function isWord(token: Token | undefined, word: string): boolean {
  return token?.text.toUpperCase() === word;
}
