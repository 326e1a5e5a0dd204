import type { Node, RangeVar, WithClause } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import type { DistributedTable } from '../../catalog/catalog-snapshot.ts';

/** A distributed table as its columns are called in a statement. */
export interface NamedTable {
  readonly name: string;
  readonly table: DistributedTable;
}

export interface RowSources {
  readonly tables: readonly NamedTable[];
  readonly where: Node | undefined;
  /** The table that a column without a qualifier belongs to, where that is certain. */
  readonly ownerOf: (column: string) => NamedTable | undefined;
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
  const tables = relations.flatMap((relation): NamedTable[] => {
    if (relation === undefined || (relation.schemaname === undefined && common.has(relation.relname))) return [];
    const table = names.resolve(relation.schemaname, relation.relname ?? '');
    if (table?.kind !== 'distributed' || (relation.alias?.colnames?.length ?? 0) > 0) return [];
    return [{ name: relation.alias?.aliasname ?? relation.relname ?? '', table }];
  });
  const isAll = tables.length === relations.length;
  const ownerOf = (column: string): NamedTable | undefined => {
    const owners = isAll ? tables.filter(({ table }) => table.columns.some(({ name }) => name === column)) : [];
    return owners.length === 1 ? owners[0] : undefined;
  };
  return { tables, where: clauses.where, ownerOf };
}

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
