import type { CommonTableExpr, WithClause } from '@pgsql/types';
import { at, present } from '../../base/assert.ts';
import type { Statement } from '../../sql/parse.ts';
import { parseOne } from '../../sql/parse.ts';
import { scanTokens, tokenAt } from '../../sql/scan.ts';
import { applyEdits, fillTemplate } from '../../sql/template.ts';
import { endOf } from './common-context.ts';
import { type CommonTables, commonTables, freeNames, neededTables } from './common-names.ts';

/**
 * The statement without the common table expressions that nothing reads: PostgreSQL does not run these. They would be in the way, as relations that
 * no plan asks for. Those that write stay.
 */
export function withoutUnusedCommon(statement: Statement): Statement {
  const clause = clausesIn(statement.node).find((candidate) => unusedOf(candidate).length > 0);
  return clause === undefined ? statement : withoutUnusedCommon(withoutUnused(statement, clause));
}

export function hasUnusedCommon(tree: unknown): boolean {
  return clausesIn(tree).some((clause) => unusedOf(clause).length > 0);
}

interface Clause {
  readonly common: CommonTables;
  /** Names in the statement that the clause belongs to. */
  readonly named: ReadonlySet<string>;
}

function clausesIn(tree: unknown): Clause[] {
  const found: Clause[] = [];
  const visit = (inner: unknown): void => {
    if (typeof inner !== 'object' || inner === null) return;
    if ('withClause' in inner) {
      const { withClause, ...body } = inner;
      found.push({ common: commonTables(withClause as WithClause), named: freeNames(body) });
    }
    for (const value of Object.values(inner)) visit(value);
  };
  visit(tree);
  return found;
}

function unusedOf({ common, named }: Clause): CommonTableExpr[] {
  const { tables } = common;
  const writing = tables.flatMap(({ ctequery }, index) => (ctequery === undefined || !('SelectStmt' in ctequery) ? [index] : []));
  const needed = new Set(neededTables(common, named, writing));
  return tables.filter((_, index) => !needed.has(index));
}

function withoutUnused(statement: Statement, clause: Clause): Statement {
  const tokens = scanTokens(statement.text);
  const unused = unusedOf(clause);
  const startOf = (one: CommonTableExpr): number => tokenAt(tokens, statement.source.index(one.location ?? 0));
  const extents = clause.common.tables.map((one) => ({ one, start: startOf(one) }));
  // Clauses behind a query's parentheses belong to it: each reaches to the comma in front of the next.
  const first = at(extents, 0);
  const last = present(extents.at(-1), 'last common table expression');
  const endOfEach = ({ start }: { readonly start: number }, i: number): number => (i + 1 < extents.length ? at(extents, i + 1).start - 2 : endOf(tokens, start));
  const texts = extents.map((extent, i) => ({ one: extent.one, text: statement.text.slice(at(tokens, extent.start).start, at(tokens, endOfEach(extent, i)).end) }));
  const kept = texts.filter(({ one }) => !unused.includes(one)).map(({ text }) => text);
  const head = kept.length > 0 ? first.start : withBefore(tokens, first.start);
  const edit = { start: at(tokens, head).start, end: at(tokens, endOf(tokens, last.start)).end, parts: [kept.join(', ')] };
  return parseOne(fillTemplate(applyEdits<never>(statement.text, [edit]), () => ''));
}

function withBefore(tokens: ReturnType<typeof scanTokens>, first: number): number {
  return at(tokens, first - 1).text.toUpperCase() === 'RECURSIVE' ? first - 2 : first - 1;
}
