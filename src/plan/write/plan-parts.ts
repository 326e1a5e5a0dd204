import type { CommonTableExpr, Node, RangeVar, WithClause } from '@pgsql/types';
import { namedRelations } from '../../analyze/analyze-statement.ts';
import { RelationNames } from '../../analyze/relation-names.ts';
import type { ResultTable } from '../../analyze/result-table.ts';
import { at } from '../../base/assert.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import type { Extent } from '../../sql/query-extent.ts';
import { scanTokens, tokenAt } from '../../sql/scan.ts';
import type { DescribedColumn } from '../describe.ts';
import { refused } from '../insert/refused.ts';
import type { Named } from '../plan-select.ts';
import { endOf, withCommonContext } from '../staged/common-context.ts';
import { commonTables, freeNames } from '../staged/common-names.ts';
import { describeParts } from '../staged/describe-parts.ts';
import { madeResult, queryOfResult } from '../staged/made-result.ts';
import { unheldTypes } from '../staged/query-source.ts';
import { ResultNames } from '../staged/result-names.ts';
import { typedStatement } from '../staged/typed-statement.ts';
import { withoutUnusedCommon } from '../staged/unused-common.ts';
import type { WritingParts, WrittenPart } from '../statement-plan.ts';
import { checkFloats } from './check-floats.ts';

/**
 * A statement whose WITH writes, in parts: each write as a statement of its own, in order, and then what is left, which reads what they returned. To PostgreSQL all parts see what was
 * there before; so no table that is written may stand in another part.
 */
export async function planParts(original: Statement, input: Named): Promise<WritingParts> {
  const { columns, parameterTypes } = await input.describe.statement(original.text);
  checkFloats(input);
  checkApart(original.node, input.names);
  const resultNames = input.part ?? new ResultNames();
  const results = new Map(input.names.results);
  const parts: WrittenPart[] = [];
  let statement = typedStatement(original, parameterTypes);
  const shared = sharedTables(original.node);
  const isPart = (table: CommonTableExpr): boolean => shared.has(table.ctename ?? '') && parts.every(({ name }) => name !== table.ctename);
  for (let next = nextPart(statement.node, isPart); next !== undefined; next = nextPart(statement.node, isPart)) {
    const named = partInput(input, results, resultNames);
    const { extent, part } = partOf(statement, next);
    const returned = (await named.describe.statement(part.text)).columns;
    const plan = await named.planPart(part, named);
    if (plan.kind !== 'modify' && plan.kind !== 'insert' && plan.kind !== 'coordinator' && plan.kind !== 'select') throw refused('A statement in WITH that cannot be run by itself.', 'Run it as a statement of its own, in a transaction.');
    if (returned.some(({ typeOid }) => unheldTypes.has(typeOid))) throw refused('A statement in WITH returns whole rows or records.', 'Return their columns.');
    const result = returned.length === 0 ? undefined : resultOf(returned, resultNames);
    if (result !== undefined) results.set(result.name, result);
    parts.push({ name: next.table.ctename, plan, result });
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

interface PartTable {
  readonly table: CommonTableExpr;
  readonly query: object;
}

/** The first in WITH that writes, or is a part all the same. */
function nextPart(node: Node, isPart: (table: CommonTableExpr) => boolean): PartTable | undefined {
  for (const table of tablesOf(node)) {
    const { ctequery } = table;
    const query: unknown = ctequery === undefined ? undefined : Object.values(ctequery)[0];
    if (ctequery !== undefined && typeof query === 'object' && query !== null && (!('SelectStmt' in ctequery) || isPart(table))) return { table, query };
  }
  return undefined;
}

/** Queries of WITH that several others, or one and what is left, name: copied into each they might give other rows there. */
function sharedTables(node: Node): Set<string> {
  const tables = tablesOf(node);
  const [{ withClause: _with, ...main } = {}]: { readonly withClause?: WithClause }[] = Object.values(node);
  const places = [...tables.map(({ ctequery }) => freeNames(ctequery)), freeNames(main)];
  return new Set(tables.flatMap(({ ctename = '' }) => (places.filter((names) => names.has(ctename)).length > 1 ? [ctename] : [])));
}

function tablesOf(node: Node): readonly CommonTableExpr[] {
  const [body]: { readonly withClause?: WithClause }[] = Object.values(node);
  return body?.withClause === undefined ? [] : commonTables(body.withClause).tables;
}

function partOf(statement: Statement, { table, query }: PartTable): { readonly extent: Extent; readonly part: Statement } {
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
  return madeResult(names.next(), columns, 'rows of WITH');
}

/** What stands in the place of the write then. */
function rowsOf(returned: readonly DescribedColumn[], result: ResultTable | undefined): string {
  return result === undefined ? 'SELECT' : queryOfResult(result, returned);
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
