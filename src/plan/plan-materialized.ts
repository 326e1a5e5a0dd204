import { createHash } from 'node:crypto';
import type { CreateTableAsStmt, IntoClause, RangeVar, RefreshMatViewStmt, SelectStmt } from '@pgsql/types';
import { present } from '../base/assert.ts';
import { ClusterError } from '../base/errors.ts';
import { mayAskTheCluster, type RewrittenStatement, withComputed } from './computed/with-computed.ts';
import type { DependentView } from '../catalog/catalog-snapshot.ts';
import { nameParts, sameTree } from '../sql/ast.ts';
import { columnDefinitions } from '../sql/column-definitions.ts';
import { quoteName } from '../sql/identifiers.ts';
import { parseOne, parseOneIfValid, type Statement } from '../sql/parse.ts';
import { queryExtent } from '../sql/query-extent.ts';
import { afterGroup, scanTokens, type Token } from '../sql/scan.ts';
import type { Named } from './plan-select.ts';
import { planSelect } from './plan-select.ts';
import { readsDistributed } from './ddl/reads-distributed.ts';
import { isInDistributedSchema } from './ddl/schema-tables.ts';
import { unsupported } from './select/unsupported.ts';
import type { MaterializePlan, StatementPlan } from './statement-plan.ts';

/**
 * A materialized view over distributed or reference tables is one of the coordinator database, and read as a local table. Its definition has two arms: a function
 * that gives the rows which the cluster has just brought, and the query as the user wrote it, which is never run there but makes the view depend on the tables, and
 * tells every process what to fill it with:
 *
 *     SELECT * FROM shardwright.materialized_rows('…') AS rows (…) UNION ALL SELECT * FROM (query) AS query WHERE false
 *
 * A table that CREATE TABLE AS makes needs the first arm only.
 */
export async function planMaterialized(statement: Statement, input: Named): Promise<StatementPlan | undefined> {
  const { node } = statement;
  if ('RefreshMatViewStmt' in node) return planRefresh(statement, node.RefreshMatViewStmt, input);
  return 'CreateTableAsStmt' in node ? planCreate(statement, node.CreateTableAsStmt, input) : undefined;
}

async function planCreate(statement: Statement, create: CreateTableAsStmt, input: Named): Promise<StatementPlan | undefined> {
  const { query, into, objtype, if_not_exists: ifNotExists } = create;
  const { names } = input;
  const known = await planComputedTable(statement, create, input);
  if (known !== undefined) return known;
  if (!readsDistributed(query, names) || query === undefined || !('SelectStmt' in query) || into?.rel === undefined) return undefined;
  const isView = objtype === 'OBJECT_MATVIEW';
  if (!isView && into.rel.relpersistence === 't') throw unsupported('CREATE TEMPORARY TABLE AS reads distributed or reference tables.', 'Leave TEMPORARY out, or make the table first and fill it from the application.');
  const { start, end } = writtenQuery(statement, query.SelectStmt);
  const source = parseOne(statement.text.slice(start, end));
  if (!isView && isInDistributedSchema(into.rel, names)) return planMade(statement, into, { source, end, ifNotExists: ifNotExists === true });
  const { columns } = await input.describe.statement(source.text, { collations: true });
  const named = columns.map((column, i) => ({ ...column, name: nameParts(into.colNames)[i] ?? column.name }));
  // Two relations may have one: their temporary tables are on different connections.
  const fill = `fill_${createHash('sha256').update(statement.text).digest('hex').slice(0, 16)}`;
  const arms = [
    `SELECT * FROM shardwright.materialized_rows('${fill}') AS rows (${columnDefinitions(named.map(({ collation, ...column }) => ({ ...column, collation: collation?.sql })))})`,
    ...(isView ? [`SELECT * FROM (${source.text}) AS query WHERE false`] : []),
  ];
  const text = `${statement.text.slice(0, start)}${arms.join(' UNION ALL ')}${statement.text.slice(end)}`;
  if (into.skipData === true) return { kind: 'coordinator', text, effect: 'write', ...(isView ? { changesViews: { created: undefined } } : {}) };
  const { schemaname, relname = '' } = into.rel;
  const name = quoteName(schemaname, relname);
  return { kind: 'materialize', source, query: isView ? checkRights(await planned(source, input)) : await planned(source, input), columns: named, fill, text, created: { name, isQualified: schemaname !== undefined, ifNotExists: ifNotExists === true, isView } };
}

/** A table of what only the cluster knows, such as Citus's views: its columns are those that the query has once that is computed. */
async function planComputedTable(statement: Statement, { query, into, objtype, if_not_exists: ifNotExists }: CreateTableAsStmt, input: Named): Promise<StatementPlan | undefined> {
  if (query === undefined || !('SelectStmt' in query) || into?.rel === undefined || !mayAskTheCluster(statement.text)) return undefined;
  const { start, end } = writtenQuery(statement, query.SelectStmt);
  const source = parseOne(statement.text.slice(start, end));
  const computed = await withComputed(source, input);
  if (computed === undefined || computed.inputs.length === 0) return undefined;
  if (objtype === 'OBJECT_MATVIEW') {
    if (!knowsMore(computed)) return undefined;
    throw unknownToServers('A materialized view');
  }
  const { columns } = await input.describe.statement(computed.statement.text, { collations: true });
  const rows = `SELECT * FROM shardwright.materialized_rows('') AS rows (${columnDefinitions(columns.map(({ collation, ...column }) => ({ ...column, collation: collation?.sql })))})`;
  const create = `${statement.text.slice(0, start)}${rows} WITH NO DATA`;
  if (into.skipData === true) return { kind: 'coordinator', text: create, effect: 'write' };
  return filledTable(into.rel, { create, source, ifNotExists: ifNotExists === true });
}

/** `unsupportedDdl` for a view over what only the cluster knows: no server has relations or functions of these names. */
export async function checkView(statement: Statement, query: SelectStmt, input: Named): Promise<void> {
  if (!mayAskTheCluster(statement.text)) return;
  const source = parseOneIfValid(statement.text.slice(scanTokens(statement.text)[afterAs(scanTokens(statement.text))]?.start ?? 0));
  if (source === undefined || !('SelectStmt' in source.node) || !sameTree(source.node.SelectStmt, query)) return;
  const computed = await withComputed(source, input);
  if (computed !== undefined && knowsMore(computed)) throw unknownToServers('A view');
}

/** Sizes and catalogs a server has as well. */
function knowsMore({ inputs }: RewrittenStatement): boolean {
  return inputs.some(({ kind }) => kind !== 'shard_relations' && kind !== 'relation_sizes');
}

function unknownToServers(what: string): ClusterError {
  // No 0A000, which would have the server asked first.
  return new ClusterError('unsupportedDdl', 'views cannot read what only the cluster knows', {
    sqlState: '42P16',
    detail: `${what} is one of the coordinator database, which has no such relation or function.`, hint: 'Ask when you need it, or keep the rows: CREATE TABLE … AS.',
  });
}

/** A table of a distributed schema has its rows on a node: it is made empty, as any other there, and then filled. */
function planMade({ text }: Statement, { rel, skipData }: IntoClause, { source, end, ifNotExists }: Made): StatementPlan | undefined {
  if (skipData === true) return undefined;
  return filledTable(rel, { create: `${text.slice(0, end)} WITH NO DATA`, source, ifNotExists });
}

function filledTable(rel: RangeVar | undefined, { create, source, ifNotExists }: { readonly create: string; readonly source: Statement; readonly ifNotExists: boolean }): StatementPlan {
  const name = quoteName(rel?.schemaname, rel?.relname ?? '');
  return { kind: 'made_by_query', create, insert: `INSERT INTO ${name} ${source.text}`, created: { name, isQualified: rel?.schemaname !== undefined, ifNotExists } };
}

interface Made {
  readonly source: Statement;
  readonly end: number;
  readonly ifNotExists: boolean;
}

async function planRefresh({ text }: Statement, { relation, skipData }: RefreshMatViewStmt, input: Named): Promise<StatementPlan | undefined> {
  const view = input.names.filledView(relation?.schemaname, relation?.relname ?? '');
  if (view?.fill === undefined) return undefined;
  if (skipData === true) return { kind: 'coordinator', text, effect: 'write' };
  const source = parseOne(definedQuery(view));
  const { columns } = await input.describe.statement(source.text, { collations: true });
  const plan: MaterializePlan = { kind: 'materialize', source, query: checkRights(await planned(source, input)), columns, fill: view.fill, text, created: undefined };
  return plan;
}

async function planned(source: Statement, input: Named): Promise<StatementPlan> {
  const { node } = source;
  return planSelect(source, present('SelectStmt' in node ? node.SelectStmt : undefined, 'query of a materialized view'), input);
}

/** A materialized view is filled with what its owner sees, whoever asks for it. */
function checkRights(plan: StatementPlan): StatementPlan {
  const table = plan.kind === 'select' ? plan.tables.find(({ rowSecurity }) => rowSecurity) : undefined;
  if (table === undefined) return plan;
  throw unsupported(`A materialized view would read table "${table.name}", which has row level security, with the rights of the view's owner.`, 'Make it an ordinary view WITH (security_invoker), or a table.');
}

/** Behind AS, without WITH DATA. */
function writtenQuery({ text }: Statement, query: SelectStmt): { readonly start: number; readonly end: number } {
  const tokens = scanTokens(text);
  const first = tokens[afterAs(tokens)];
  const last = tokens[tokens.length - 1 - trailing(tokens)];
  const [start, end] = [first?.start ?? 0, last?.end ?? 0];
  const { node } = parseOne(text.slice(start, end));
  if ('SelectStmt' in node && sameTree(node.SelectStmt, query)) return { start, end };
  throw unsupported('The query of the materialized view cannot be told from what stands around it.', 'Write CREATE MATERIALIZED VIEW name AS query.');
}

function afterAs(tokens: readonly Token[]): number {
  let position = 0;
  while (position < tokens.length && tokens[position]?.text.toUpperCase() !== 'AS') position = tokens[position]?.text === '(' ? afterGroup(tokens, position) : position + 1;
  return position + 1;
}

/** How many tokens WITH DATA or WITH NO DATA takes. */
function trailing(tokens: readonly Token[]): number {
  const words = tokens.slice(-3).map(({ text }) => text.toUpperCase());
  if (words.join(' ') === 'WITH NO DATA') return 3;
  return words.slice(-2).join(' ') === 'WITH DATA' ? 2 : 0;
}

/** The user's query, as the server prints it. */
function definedQuery(view: DependentView): string {
  const statement = parseOne(view.sql);
  const select = 'SelectStmt' in statement.node ? statement.node.SelectStmt : undefined;
  const from = select?.rarg?.fromClause?.[0];
  const query = from !== undefined && 'RangeSubselect' in from ? from.RangeSubselect.subquery : undefined;
  const extent = query !== undefined && 'SelectStmt' in query ? queryExtent(statement, query.SelectStmt) : undefined;
  if (extent === undefined) throw unsupported(`The query of materialized view "${view.name}" was not found in its definition.`, 'Drop it, and create it again through the cluster.');
  return view.sql.slice(extent.start, extent.end);
}
