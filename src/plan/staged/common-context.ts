import type { CommonTableExpr, WithClause } from '@pgsql/types';
import { namedRelations } from '../../analyze/analyze-statement.ts';
import { at } from '../../base/assert.ts';
import type { Statement } from '../../sql/parse.ts';
import { afterGroup, scanTokens, tokenAt } from '../../sql/scan.ts';

/**
 * The text of a query that is cut out of a statement, with the common table expressions of the statement that it names in front. Undefined when
 * that cannot be done by text: it names itself (recursion), has a WITH of its own too, or names some of a WITH further in.
 */
export function withCommonContext(statement: Statement, query: object, text: string): string | undefined {
  const { node } = statement;
  const [body]: { readonly withClause?: WithClause }[] = Object.values(node);
  const clause = body?.withClause;
  const named = namedHere(query);
  if (innerClauses(node, clause, query).some((inner) => commonTables(inner).some(({ ctename }) => named.has(ctename ?? '')))) return undefined;
  if (clause === undefined) return text;
  const common = commonTables(clause);
  const own = common.findIndex(({ ctequery }) => ctequery !== undefined && 'SelectStmt' in ctequery && ctequery.SelectStmt === query);
  const needed = neededTables(common, named);
  if (needed.length === 0) return text;
  // A later one, or itself, is in sight of a common table expression only in WITH RECURSIVE.
  if (own >= 0 && needed.some((index) => index >= own)) return undefined;
  if ('withClause' in query || clause.recursive === true) return undefined;
  const tokens = scanTokens(statement.text);
  const list = needed.map((index) => {
    const start = tokenAt(tokens, statement.source.index(at(common, index).location ?? 0));
    return statement.text.slice(at(tokens, start).start, at(tokens, endOf(tokens, start)).end);
  });
  return `WITH ${list.join(', ')} ${text}`;
}

export function commonTables({ ctes }: WithClause): CommonTableExpr[] {
  return (ctes ?? []).flatMap((node) => ('CommonTableExpr' in node ? [node.CommonTableExpr] : []));
}

/** Relation names without schema: those of common table expressions among them. */
export function namedHere(tree: unknown): Set<string> {
  return new Set(namedRelations(tree).flatMap(({ schemaname, relname }) => (schemaname === undefined ? [relname ?? ''] : [])));
}

/** Those named, and those that these name, in their order. */
export function neededTables(common: readonly CommonTableExpr[], named: ReadonlySet<string>): number[] {
  const needed = new Set<number>();
  const visit = (names: ReadonlySet<string>): void => {
    for (const [index, { ctename, ctequery }] of common.entries()) {
      if (!names.has(ctename ?? '') || needed.has(index)) continue;
      needed.add(index);
      visit(namedHere(ctequery));
    }
  };
  visit(named);
  return [...needed].sort((a, b) => a - b);
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

/** The last token of `name (columns) AS MATERIALIZED (query)`; SEARCH and CYCLE only follow recursive ones. */
export function endOf(tokens: ReturnType<typeof scanTokens>, start: number): number {
  let position = start + 1;
  if (tokens[position]?.text === '(') position = afterGroup(tokens, position);
  while (tokens[position]?.text !== '(') position += 1;
  return afterGroup(tokens, position) - 1;
}
