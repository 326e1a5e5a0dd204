import type { CommonTableExpr, Node, RangeVar, WithClause } from '@pgsql/types';
import { namedRelations } from '../../analyze/analyze-statement.ts';
import { RelationNames } from '../../analyze/relation-names.ts';
import type { ResultTable } from '../../analyze/result-table.ts';
import { resultSchema } from '../../analyze/result-table.ts';
import { at } from '../../base/assert.ts';
import { quoteIdentifier, quoteQualified } from '../../sql/identifiers.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import type { Extent } from '../../sql/query-extent.ts';
import { scanTokens, tokenAt } from '../../sql/scan.ts';
import type { DescribedColumn } from '../describe.ts';
import { refused } from '../insert/refused.ts';
import type { Named } from '../plan-select.ts';
import { nullRow } from '../select/null-row.ts';
import { endOf, withCommonContext } from '../staged/common-context.ts';
import { commonTables } from '../staged/common-names.ts';
import { describeParts } from '../staged/describe-parts.ts';
import { ResultNames } from '../staged/result-names.ts';
import { typedStatement } from '../staged/typed-statement.ts';
import { withoutUnusedCommon } from '../staged/unused-common.ts';
import type { WritingParts, WrittenPart } from '../statement-plan.ts';

/**
 * A statement whose WITH writes, in parts: each write as a statement of its own, in order, and then what is left, which reads what they returned. To PostgreSQL all parts see what was
 * there before; so no table that is written may stand in another part.
 */
export async function planParts(original: Statement, input: Named): Promise<WritingParts> {
  const { columns, parameterTypes } = await input.describe.statement(original.text);
  checkApart(original.node, input.names);
  const resultNames = input.part ?? new ResultNames();
  const results = new Map(input.names.results);
  const parts: WrittenPart[] = [];
  let statement = typedStatement(original, parameterTypes);
  for (let next = writingTable(statement.node); next !== undefined; next = writingTable(statement.node)) {
    const named = partInput(input, results, resultNames);
    const { extent, part } = partOf(statement, next);
    const returned = (await named.describe.statement(part.text)).columns;
    const plan = await named.planPart(part, named);
    if (plan.kind !== 'modify' && plan.kind !== 'insert' && plan.kind !== 'coordinator') throw refused('A statement in WITH that cannot be run by itself.', 'Run it as a statement of its own, in a transaction.');
    const result = returned.length === 0 ? undefined : resultOf(returned, resultNames);
    if (result !== undefined) results.set(result.name, result);
    parts.push({ plan, result });
    statement = parseOne(`${statement.text.slice(0, extent.start)}${rowsOf(returned, result)}${statement.text.slice(extent.end)}`);
  }
  const named = partInput(input, results, resultNames);
  const main = await named.planPart(withoutUnusedCommon(statement), named);
  if (main.kind === 'select' || main.kind === 'coordinator' || main.kind === 'modify' || main.kind === 'insert') return { parts, main, columns };
  throw refused('A statement whose WITH writes, of a kind that cannot be run in parts.', 'Run the parts as statements of their own, in a transaction.');
}

function partInput(input: Named, results: ReadonlyMap<string, ResultTable>, part: ResultNames): Named {
  return { ...input, names: new RelationNames(input.names.snapshot, input.names.searchPath, new Map(results)), describe: describeParts(input.describe, results), part };
}

interface WritingTable {
  readonly table: CommonTableExpr;
  readonly query: object;
}

/** The first in WITH that writes. */
function writingTable(node: Node): WritingTable | undefined {
  for (const table of tablesOf(node)) {
    const query: unknown = table.ctequery === undefined || 'SelectStmt' in table.ctequery ? undefined : Object.values(table.ctequery)[0];
    if (typeof query === 'object' && query !== null) return { table, query };
  }
  return undefined;
}

function tablesOf(node: Node): readonly CommonTableExpr[] {
  const [body]: { readonly withClause?: WithClause }[] = Object.values(node);
  return body?.withClause === undefined ? [] : commonTables(body.withClause).tables;
}

function partOf(statement: Statement, { table, query }: WritingTable): { readonly extent: Extent; readonly part: Statement } {
  const tokens = scanTokens(statement.text);
  const close = endOf(tokens, tokenAt(tokens, statement.source.index(table.location ?? 0)));
  let open = close;
  for (let depth = 0; open >= 0; open -= 1) {
    const { text } = at(tokens, open);
    if (text === ')' || text === ']') depth += 1;
    if ((text === '(' || text === '[') && (depth -= 1) === 0) break;
  }
  const extent = { start: at(tokens, open + 1).start, end: at(tokens, close - 1).end };
  const text = withCommonContext(statement, query, statement.text.slice(extent.start, extent.end));
  if (text === undefined) throw refused('A statement in WITH reads common table expressions that cannot be put in front of it.', 'Run it as a statement of its own, in a transaction.');
  return { extent, part: parseOne(text) };
}

function resultOf(returned: readonly DescribedColumn[], names: ResultNames): ResultTable {
  const columns = returned.map(({ typeSql }, i) => ({ name: `c${i + 1}`, typeSql, collation: undefined }));
  return { kind: 'result', name: names.next(), columns, distribution: undefined, lookups: [], sampled: false, standIn: nullRow(columns), label: 'rows of WITH' };
}

/** What stands in the place of the write then. */
function rowsOf(returned: readonly DescribedColumn[], result: ResultTable | undefined): string {
  if (result === undefined) return 'SELECT';
  const list = returned.map(({ name }, i) => `c${i + 1} AS ${quoteIdentifier(name)}`).join(', ');
  return `SELECT ${list} FROM ${quoteQualified(resultSchema, result.name)} AS ${quoteIdentifier(result.name)}`;
}

/** No part may see what another has written. */
function checkApart(node: Node, names: RelationNames): void {
  const parts = tablesRead(node);
  for (const { write, relations } of parts) {
    if (write === undefined || !parts.some((other) => other.relations !== relations && other.relations.some((relation) => mayBe(relation, write, names)))) continue;
    throw refused(`Table "${write.relname ?? ''}" is written in WITH on several nodes, and named in another part of the statement, which must not see that.`, 'Run the parts as statements of their own, in a transaction.');
  }
}

/** Whether a relation is the table that is written, or may be a view over it. */
function mayBe({ schemaname, relname = '' }: RangeVar, write: RangeVar, names: RelationNames): boolean {
  const table = names.resolve(schemaname, relname);
  const written = names.resolve(write.schemaname, write.relname ?? '');
  // Of local relations it is not known here what they are.
  if (table === undefined && written === undefined) return true;
  return table === undefined ? names.dependentView(schemaname, relname) !== undefined : table === written;
}

interface TablesRead {
  /** The target of a write in WITH. */
  readonly write: RangeVar | undefined;
  /** The tables that a part names, and not queries of WITH: it sees those before it. */
  readonly relations: readonly RangeVar[];
}

function tablesRead(node: Node): TablesRead[] {
  const seen = new Set<string>();
  const isTable = ({ schemaname, relname = '' }: RangeVar): boolean => schemaname !== undefined || !seen.has(relname);
  const parts = tablesOf(node).map(({ ctename = '', ctequery }): TablesRead => {
    const [body]: { readonly relation?: RangeVar }[] = ctequery === undefined || 'SelectStmt' in ctequery ? [] : Object.values(ctequery);
    const relations = namedRelations(ctequery).filter((relation) => relation === body?.relation || isTable(relation));
    seen.add(ctename);
    return { write: body?.relation, relations };
  });
  const [{ withClause: _with, ...main } = {}]: { readonly withClause?: WithClause }[] = Object.values(node);
  return [...parts, { write: undefined, relations: namedRelations(main).filter(isTable) }];
}
