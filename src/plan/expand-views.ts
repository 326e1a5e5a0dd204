import type { AnalyzedStatement } from '../analyze/analyze-statement.ts';
import { collectCalls } from '../analyze/function-calls.ts';
import type { RelationNames } from '../analyze/relation-names.ts';
import type { DependentView } from '../catalog/catalog-snapshot.ts';
import type { RangeVar } from '../sql/ast.ts';
import { nameParts, walk } from '../sql/ast.ts';
import { quoteIdentifier, quoteName } from '../sql/identifiers.ts';
import { parseOne, type Statement } from '../sql/parse.ts';
import { applyEdits, type Edit, fillTemplate } from '../sql/template.ts';
import { locksRows } from './check-select.ts';
import type { Describe, DescribedColumn, StatementDescription } from './describe.ts';
import { functionRules } from './function-rules.ts';
import { NameCutter, type NamedUse } from './name-cutter.ts';
import { unsupported } from './select/unsupported.ts';

export interface ViewInput {
  readonly names: RelationNames;
  readonly searchPath: readonly string[];
  readonly describe: Describe;
}

export interface ExpandedStatement {
  readonly statement: Statement;
  /** As the statement with the views describes them. */
  readonly columns: readonly DescribedColumn[];
}

/**
 * The statement with the queries of views in the places of their names, one level deep; undefined when it names no view over distributed or
 * reference tables. Refused where the statement would not mean the same then: its description must stay what it was.
 */
export async function expandViews(statement: Statement, { foreign }: Pick<AnalyzedStatement, 'foreign'>, input: ViewInput): Promise<ExpandedStatement | undefined> {
  const found = foreign.flatMap(({ rangeVar }) => {
    const view = input.names.dependentView(rangeVar.schemaname, rangeVar.relname ?? '');
    return view === undefined ? [] : [{ rangeVar, view }];
  });
  if (found.length === 0) return undefined;
  const described = await input.describe.statement(statement.text);
  if (locksRows(statement) && found.some(({ view }) => view.securityBarrier)) {
    throw unsupported('FOR UPDATE or FOR SHARE reads a security barrier view, whose rows it would not lock.', 'Lock the rows of the table.');
  }
  for (const { rangeVar, view } of found) await checkView(rangeVar, view, input);
  const cutter = new NameCutter(statement);
  const named: NamedUse[] = found.map(({ rangeVar, view: { schema, name } }) => ({ rangeVar, schema, name }));
  const edits: Edit<never>[] = found.map(({ rangeVar, view }) => cutter.relationEdit<never>(rangeVar, relationOf(view)));
  const expanded = parseOne(fillTemplate(applyEdits<never>(statement.text, [...edits, ...cutter.columnEdits(named)]), () => ''));
  await checkSame(described, expanded, input.describe);
  return { statement: expanded, columns: described.columns };
}

/** A materialized common table expression is computed before what stands around it may ask for its rows, whatever functions do that. */
function relationOf({ name, sql, securityBarrier }: DependentView): string {
  const quoted = quoteIdentifier(name);
  return securityBarrier ? `(WITH ${quoted} AS MATERIALIZED (${sql}) SELECT * FROM ${quoted})` : `(${sql})`;
}

async function checkView(rangeVar: RangeVar, view: DependentView, { names, searchPath, describe }: ViewInput): Promise<void> {
  if (view.materialized) {
    throw unsupported(`Materialized view "${view.name}" reads distributed or reference tables, and was made before they were distributed, or past the cluster: a refresh would fill it from empty shells.`, 'Drop it, and create it again through the cluster.');
  }
  if (searchPath.includes('pg_catalog') && searchPath[0] !== 'pg_catalog') {
    throw unsupported('Other schemas stand before pg_catalog in search_path.', 'Leave pg_catalog out of search_path, so that it is searched first.');
  }
  checkRights(view, names);
  await checkIsMeant(rangeVar, view, describe);
  await checkFunctions(view, describe);
}

/** Its query runs as the role that queries. Where policies count, which rows that sees is not what its owner sees. */
function checkRights({ name, sql, securityInvoker }: DependentView, names: RelationNames): void {
  if (securityInvoker) return;
  walk(parseOne(sql).node, (kind, body) => {
    if (kind !== 'RangeVar' || !('relname' in body)) return undefined;
    const table = names.resolve('schemaname' in body ? String(body.schemaname) : undefined, String(body.relname));
    if (table?.rowSecurity !== true) return undefined;
    throw unsupported(`View "${name}" reads table "${table.name}", which has row level security, with the rights of the view's owner.`, `ALTER VIEW … SET (security_invoker = true), where the role that queries shall see its own rows.`);
  });
}

/** The name must not mean another relation: one in an earlier schema, or one that took the place of the view unnoticed. */
async function checkIsMeant({ schemaname }: RangeVar, { oid, schema, name }: DependentView, describe: Describe): Promise<void> {
  const { columns } = await describe.statement(`SELECT * FROM ${quoteName(schemaname, name)}`);
  if (columns.every(({ tableOid }) => tableOid === oid)) return;
  throw unsupported(`A local table "${name}" hides view "${schema}.${name}" in search_path.`, 'Name the view with its schema.');
}

/** The view has a function by its OID; its text by a name, which might fit another one better under the session's search path. */
async function checkFunctions({ name, sql }: DependentView, describe: Describe): Promise<void> {
  const { node } = parseOne(sql);
  const rules = await functionRules(node, describe);
  collectCalls(node, (call) => {
    const parts = nameParts(call.funcname);
    if (parts.length > 1 || rules.isBuiltin(call)) return true;
    throw unsupported(`View "${name}" calls "${parts[0] ?? ''}", and there is another function of that name.`, 'Give the other function another name.');
  }, true);
}

async function checkSame(before: StatementDescription, { text }: Statement, describe: Describe): Promise<void> {
  const after = await describe.attempt(text).catch(() => undefined);
  if (after !== undefined && isSame(before, after)) return;
  throw unsupported('A view over distributed or reference tables is used as a whole row, or in another way in which its query is not.', 'Name the columns of the view.');
}

function isSame(a: StatementDescription, b: StatementDescription): boolean {
  const columns = ({ columns: list }: StatementDescription): string => JSON.stringify(list.map(({ name, typeOid, modifier }) => [name, typeOid, modifier]));
  return columns(a) === columns(b) && a.parameterTypes.join() === b.parameterTypes.join();
}
