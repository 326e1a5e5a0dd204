import type { Alias, CommonTableExpr, InsertStmt, MergeStmt, Node } from '@pgsql/types';
import { walk } from '../sql/ast.ts';
import { ShownColumns, type Use } from './shown-columns.ts';

/** What is left as it is, so that its columns go by their places from end to end. */
export interface ByPlaces {
  /** Bodies of queries, and of writes for their RETURNING. */
  readonly queries: ReadonlySet<unknown>;
  /** Bodies of INSERT and MERGE, whose columns are not listed. */
  readonly writes: ReadonlySet<unknown>;
  readonly relations: ReadonlySet<unknown>;
}

/**
 * Of an INSERT that lists no columns either both its columns and those of its query are written out, or neither: a shard's own order on one side, and the table's on the other, would swap values. They are left where it is not known how many
 * columns the query has, or an alias gives names to columns that go by their places; with all queries that its rows may come from, and so with other statements that read these.
 */
export function queriesByPlaces(statement: Node, uses: readonly Use[]): ByPlaces {
  const [queries, writes, relations] = [new Set<unknown>(), new Set<unknown>(), new Set<unknown>()];
  const inserts = unlistedInserts(statement, new ShownColumns(statement, uses, queries));
  for (let before = -1; before < writes.size;) {
    before = writes.size;
    const columns = new ShownColumns(statement, uses, queries);
    for (const { body, source, isCounted } of inserts) {
      const reach = reachOf(source, columns);
      if (writes.has(body) || !((isCounted && columns.namesOf(source) === undefined) || reach.some((one) => namesPlaces(one, columns)))) continue;
      writes.add(body);
      for (const { kind, body: part } of reach) (kind === 'RangeVar' ? relations : queries).add(part);
    }
  }
  return { queries, writes, relations };
}

interface UnlistedInsert {
  readonly body: object;
  readonly source: Node;
  /** Whether the columns of the source are those that are inserted. */
  readonly isCounted: boolean;
}

/** Into tables that the catalog knows. */
function unlistedInserts(statement: Node, columns: ShownColumns): UnlistedInsert[] {
  const found: UnlistedInsert[] = [];
  walk(statement, (kind, body: InsertStmt & MergeStmt) => {
    if (body.relation === undefined || columns.useOf(body.relation) === undefined) return undefined;
    if (kind === 'InsertStmt' && body.cols === undefined && body.selectStmt !== undefined) found.push({ body, source: body.selectStmt, isCounted: true });
    if (kind === 'MergeStmt' && body.sourceRelation !== undefined && unlistedActions(body).length > 0) found.push({ body, source: body.sourceRelation, isCounted: false });
    return undefined;
  });
  return found;
}

function unlistedActions({ mergeWhenClauses = [] }: MergeStmt): Node[] {
  return mergeWhenClauses.filter((clause) => 'MergeWhenClause' in clause && (clause.MergeWhenClause.values ?? []).length > 0 && (clause.MergeWhenClause.targetList ?? []).length === 0);
}

interface Part {
  readonly kind: string;
  readonly body: object;
}

/** All that a query's rows come from, common table expressions included; not what its expressions ask. */
function reachOf(source: Node, columns: ShownColumns): Part[] {
  const parts: Part[] = [];
  const entered = new Set<CommonTableExpr>();
  const enter = (tree: Node): void => walk(tree, (kind, body) => {
    if (kind === 'SubLink') return false;
    parts.push({ kind, body });
    if (kind === 'RangeVar' && columns.useOf(body) === undefined) {
      for (const common of columns.commonOf(body)) {
        if (entered.has(common)) continue;
        entered.add(common);
        enter({ CommonTableExpr: common });
      }
    }
    return undefined;
  });
  enter(source);
  return parts;
}

/** Whether names are given here to columns that go by their places. */
function namesPlaces({ kind, body }: Part, columns: ShownColumns): boolean {
  const { alias, subquery, aliascolnames, ctequery }: { readonly alias?: Alias; readonly subquery?: Node } & CommonTableExpr = body;
  if (kind === 'RangeVar' || kind === 'JoinExpr') return (alias?.colnames ?? []).length > 0 && (kind === 'JoinExpr' || columns.useOf(body) !== undefined);
  const query = kind === 'CommonTableExpr' ? ctequery : subquery;
  const isRenamed = ((kind === 'CommonTableExpr' ? aliascolnames : alias?.colnames) ?? []).length > 0;
  return isRenamed && query !== undefined && columns.namesOf(query) === undefined && reachOf(query, columns).some((one) => one.kind === 'RangeVar' && columns.useOf(one.body) !== undefined);
}
