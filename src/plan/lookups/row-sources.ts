import type { Node, RangeVar, WithClause } from '@pgsql/types';
import type { ColumnId } from '../../analyze/facts.ts';
import type { Relation } from '../../analyze/relation.ts';
import type { RelationNames } from '../../analyze/relation-names.ts';
import type { Scope } from '../../analyze/scope.ts';
import type { DistributedTable } from '../../catalog/catalog-snapshot.ts';
import { columnTypeName } from '../insert/plan-insert.ts';

/** A distributed table as its columns are called in a statement. */
export interface NamedTable {
  readonly name: string;
  readonly table: DistributedTable;
  /** The id of a column in `RowSources.scope`. */
  columnId(column: string): ColumnId | undefined;
}

export interface RowSources {
  readonly tables: readonly NamedTable[];
  readonly where: Node | undefined;
  /** What columns are called. One without a qualifier is known only where all that stands in FROM is. */
  readonly scope: Scope;
}

interface Clauses {
  readonly items: readonly Node[];
  readonly where: Node | undefined;
  readonly withClause: WithClause | undefined;
}

/** The distributed tables beside each other in the outermost FROM of a query or write. Undefined for other statements, and for set operations. */
export function rowSources(node: Node, names: RelationNames): RowSources | undefined {
  const clauses = clausesOf(node);
  if (clauses === undefined) return undefined;
  const common = new Set((clauses.withClause?.ctes ?? []).map((one) => ('CommonTableExpr' in one ? one.CommonTableExpr.ctename : undefined)));
  const relations = clauses.items.flatMap(relationsIn);
  const tables = relations.flatMap((relation, i): KnownTable[] => {
    if (relation === undefined || (relation.schemaname === undefined && common.has(relation.relname))) return [];
    const table = names.resolve(relation.schemaname, relation.relname ?? '');
    if (table?.kind !== 'distributed' || (relation.alias?.colnames?.length ?? 0) > 0) return [];
    return [knownTable(relation.alias?.aliasname ?? relation.relname ?? '', table, 1 + i * columnsMax)];
  });
  const isAll = tables.length === relations.length;
  const shown = tables.map(({ relation }) => relation);
  const visible = isAll ? shown.flatMap(({ columns = [], firstColumn }) => columns.map((column, i) => ({ ...column, id: firstColumn + i }))) : [];
  return { tables, where: clauses.where, scope: { relations: isAll ? shown : [...shown, unknownRelation], visible, outer: undefined } };
}

/** More than a table may have. */
const columnsMax = 2_000;

interface KnownTable extends NamedTable {
  readonly relation: Relation;
}

/** Columns with a schema before the table's name are not found: such a query asks all shards. */
function knownTable(name: string, table: DistributedTable, firstColumn: ColumnId): KnownTable {
  const columns = table.columns.map((column) => ({ name: column.name, type: column.deterministic ? columnTypeName(column) : undefined }));
  const columnId = (wanted: string): ColumnId | undefined => {
    const position = columns.findIndex((column) => column.name === wanted);
    return position < 0 ? undefined : firstColumn + position;
  };
  return { name, table, columnId, relation: { alias: name, schema: undefined, firstColumn, columns } };
}

const unknownRelation: Relation = { alias: '', schema: undefined, firstColumn: 0, columns: undefined };

function clausesOf(node: Node): Clauses | undefined {
  if ('SelectStmt' in node) {
    const { op, fromClause = [], whereClause: where, withClause } = node.SelectStmt;
    return op === undefined || op === 'SETOP_NONE' ? { items: fromClause, where, withClause } : undefined;
  }
  if ('UpdateStmt' in node) {
    const { relation, fromClause = [], whereClause: where, withClause } = node.UpdateStmt;
    return { items: [...targetOf(relation), ...fromClause], where, withClause };
  }
  if ('DeleteStmt' in node) {
    const { relation, usingClause = [], whereClause: where, withClause } = node.DeleteStmt;
    return { items: [...targetOf(relation), ...usingClause], where, withClause };
  }
  return undefined;
}

function targetOf(relation: RangeVar | undefined): Node[] {
  return relation === undefined ? [] : [{ RangeVar: relation }];
}

/** Undefined for what is no relation's name, or is hidden behind a join's alias. */
function relationsIn(item: Node): (RangeVar | undefined)[] {
  if ('RangeVar' in item) return [item.RangeVar];
  if (!('JoinExpr' in item) || item.JoinExpr.alias !== undefined) return [undefined];
  const { larg, rarg } = item.JoinExpr;
  return [larg, rarg].flatMap((side) => (side === undefined ? [undefined] : relationsIn(side)));
}
