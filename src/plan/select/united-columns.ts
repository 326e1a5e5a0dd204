import type { SelectStmt } from '@pgsql/types';
import type { TableUse } from '../../analyze/relation.ts';
import { walk } from '../../sql/ast.ts';
import type { MergePlan } from '../merge-plan.ts';

/**
 * A query over several shard groups of a node may read them as one: `(SELECT … FROM orders_1 UNION ALL SELECT … FROM orders_2) AS orders`. Groups
 * then come once from each node, not once from each shard group. That is the same query over a larger shard group, so its rows combine alike.
 * Returns the columns of the table that it needs; undefined for queries that gain nothing by it, or that are not certain to mean the same:
 * those that read several distributed tables, samples, or whole rows, whose type would be another.
 */
export function unitedColumns(statement: SelectStmt, uses: readonly TableUse[], merge: MergePlan): readonly string[] | undefined {
  const distributed = uses.filter(({ table }) => table.kind === 'distributed');
  const [use] = distributed;
  if (use === undefined || distributed.length > 1 || !combines(merge)) return undefined;
  const { rangeVar, table } = use;
  if (rangeVar.inh !== true || rangeVar.alias?.colnames !== undefined) return undefined;
  const named = columnsNamed(statement, rangeVar.alias?.aliasname ?? table.name);
  return named === undefined ? undefined : table.columns.filter(({ name }) => named.has(name)).map(({ name }) => name);
}

function combines(merge: MergePlan): boolean {
  if (merge.kind === 'combine_aggregates') return merge.input.kind === 'gather';
  return 'input' in merge && combines(merge.input);
}

/** The last parts of all column references. Undefined where columns are meant without being named. */
function columnsNamed(statement: SelectStmt, alias: string): Set<string> | undefined {
  const names = new Set<string>();
  let certain = true;
  walk(statement, (kind, body) => {
    if (kind === 'RangeTableSample' || kind === 'LockingClause' || kind === 'A_Star') certain = false;
    if (kind === 'JoinExpr' && (('isNatural' in body && body.isNatural === true) || 'usingClause' in body)) certain = false;
    if (kind !== 'ColumnRef' || !('fields' in body) || !Array.isArray(body.fields)) return undefined;
    const last: unknown = body.fields.at(-1);
    const name = lastName(last);
    if (name === undefined || name === alias) certain = false;
    else names.add(name);
    return undefined;
  });
  return certain ? names : undefined;
}

function lastName(part: unknown): string | undefined {
  if (typeof part !== 'object' || part === null || !('String' in part)) return undefined;
  const { String: string } = part;
  return typeof string === 'object' && string !== null && 'sval' in string && typeof string.sval === 'string' ? string.sval : undefined;
}
