import type { A_Expr, ColumnRef, DeleteStmt, Node, RangeVar, SelectStmt, SubLink, UpdateStmt } from '@pgsql/types';
import type { RelationNames } from '../../analyze/relation-names.ts';
import { at } from '../../base/assert.ts';
import type { CatalogTable, DistributedTable } from '../../catalog/catalog-snapshot.ts';
import { conjuncts, nameParts, relationAlias } from '../../sql/ast.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { parseOne, type Statement } from '../../sql/parse.ts';
import { type Extent, queryExtent } from '../../sql/query-extent.ts';
import { applyEdits, fillTemplate } from '../../sql/template.ts';
import { NameCutter } from '../name-cutter.ts';
import { keyOf } from './compare-copies.ts';

export interface KeyedInput {
  readonly target: CatalogTable | undefined;
  readonly names: RelationNames;
}

/**
 * `DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE … LIMIT 1000)`, and UPDATE, also by `= ANY (ARRAY(SELECT …))` and `= (SELECT … LIMIT 1)`, as the same statement over a key of the table, in
 * which the subquery locks its rows: positions say nothing about rows of several shards. Locked, a row that was chosen stays as it was until it is written, so that a row which another transaction has
 * changed meanwhile is chosen only if it still meets the conditions. One PostgreSQL leaves such a row out, or chooses it when it comes a moment later. Undefined for a statement of any other form, and for
 * tables of which rows are not told by a key, or may not be locked by who may write them: partitioned ones, in which several rows have one position, and those with row security.
 */
export function rowsByKey(statement: Statement, modify: UpdateStmt | DeleteStmt, { target, names }: KeyedInput): Statement | undefined {
  const key = target?.kind !== 'distributed' || target.partitioned ? undefined : keyOf(told(target), new Set());
  const relation = modify.relation;
  if (key === undefined || relation === undefined) return undefined;
  const found = conjuncts(modify.whereClause).flatMap((condition) => chosen(condition) ?? []);
  const [choice, ...others] = found;
  if (choice === undefined || others.length > 0 || !isPositionOf(choice.position, relation, isAlone(modify))) return undefined;
  const { query } = choice;
  const table = onlyTable(query);
  const column = onlyColumn(query);
  if (table === undefined || column === undefined || names.resolve(table.schemaname, table.relname ?? '') !== target || !isPositionOf(column, table, true)) return undefined;
  const locks = lockOf(query);
  if (locks === 'too_weak' || (locks === 'none' && target?.rowSecurity === true)) return undefined;
  return rewritten(statement, { ...choice, relation, table, column, key, locks });
}

/** What `=` takes for the same may be several keys of an index with another collation. */
function told({ columns, indexes }: DistributedTable): Pick<DistributedTable, 'columns' | 'indexes'> {
  return { columns: columns.filter(({ deterministic }) => deterministic), indexes };
}

/** A condition that says which positions are written. */
interface Choice {
  readonly kind: 'in' | 'any_of_array' | 'is';
  readonly position: ColumnRef;
  readonly query: SelectStmt;
}

function chosen(condition: Node): Choice | undefined {
  if ('SubLink' in condition) return choiceOf('in', condition.SubLink.testexpr, condition.SubLink, 'ANY_SUBLINK');
  if (!('A_Expr' in condition) || !isEquality(condition.A_Expr)) return undefined;
  const { kind, lexpr, rexpr } = condition.A_Expr;
  const sublink = rexpr !== undefined && 'SubLink' in rexpr ? rexpr.SubLink : undefined;
  if (kind === 'AEXPR_OP_ANY') return choiceOf('any_of_array', lexpr, sublink, 'ARRAY_SUBLINK');
  return kind === 'AEXPR_OP' ? choiceOf('is', lexpr, sublink, 'EXPR_SUBLINK') : undefined;
}

function choiceOf(kind: Choice['kind'], position: Node | undefined, sublink: SubLink | undefined, type: SubLink['subLinkType']): Choice | undefined {
  if (position === undefined || !('ColumnRef' in position) || sublink === undefined || sublink.subLinkType !== type || (sublink.operName !== undefined && nameParts(sublink.operName).join('.') !== '=')) return undefined;
  const query = sublink.subselect !== undefined && 'SelectStmt' in sublink.subselect ? sublink.subselect.SelectStmt : undefined;
  // Any other may have several rows, which are an error.
  if (query === undefined || (kind === 'is' && !isOneRow(query))) return undefined;
  return { kind, position: position.ColumnRef, query };
}

function isEquality({ name }: A_Expr): boolean {
  return nameParts(name).join('.') === '=';
}

function isOneRow({ limitCount, limitOption }: SelectStmt): boolean {
  return limitOption === 'LIMIT_OPTION_COUNT' && limitCount !== undefined && 'A_Const' in limitCount && limitCount.A_Const.ival?.ival === 1;
}

/** Whether a column without a relation's name can be of the target alone. */
function isAlone(modify: UpdateStmt | DeleteStmt): boolean {
  return ('fromClause' in modify ? modify.fromClause : undefined) === undefined && ('usingClause' in modify ? modify.usingClause : undefined) === undefined;
}

function isPositionOf({ fields }: ColumnRef, relation: RangeVar, alone: boolean): boolean {
  const parts = nameParts(fields);
  return parts.at(-1) === 'ctid' && (parts.length === 1 ? alone : parts.length === 2 && parts[0] === relationAlias(relation));
}

/** Of a query of one table in which each row stands for one of its rows. */
function onlyTable({ op, fromClause = [], groupClause, groupDistinct, havingClause, distinctClause, windowClause, withClause, valuesLists }: SelectStmt): RangeVar | undefined {
  const [item, ...others] = fromClause;
  if (op !== 'SETOP_NONE' || others.length > 0 || item === undefined || !('RangeVar' in item)) return undefined;
  const isMore = [groupClause, groupDistinct, havingClause, distinctClause, windowClause, withClause, valuesLists].some((clause) => clause !== undefined);
  return isMore || item.RangeVar.alias?.colnames !== undefined ? undefined : item.RangeVar;
}

function onlyColumn({ targetList = [] }: SelectStmt): ColumnRef | undefined {
  const [target, ...others] = targetList;
  const value = target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined;
  return others.length === 0 && value !== undefined && 'ColumnRef' in value ? value.ColumnRef : undefined;
}

/** Whether others may change a row that the query has read. */
function lockOf({ lockingClause = [] }: SelectStmt): 'none' | 'locked' | 'too_weak' {
  const strengths = lockingClause.map((clause) => ('LockingClause' in clause ? clause.LockingClause.strength : undefined));
  if (strengths.length === 0) return 'none';
  return strengths.every((strength) => strength !== undefined && strength !== 'LCS_FORKEYSHARE') ? 'locked' : 'too_weak';
}

interface Rewriting extends Choice {
  readonly relation: RangeVar;
  readonly table: RangeVar;
  readonly column: ColumnRef;
  readonly key: readonly string[];
  readonly locks: 'none' | 'locked';
}

/** What stands between the position and the query. */
const between: Readonly<Record<Choice['kind'], RegExp>> = { in: /^\s*(in|=\s*any)\s*\(\s*$/i, any_of_array: /^\s*=\s*any\s*\(\s*array\s*\(\s*$/i, is: /^\s*=\s*\(\s*$/ };

function rewritten(statement: Statement, { kind, position, query, relation, table, column, key, locks }: Rewriting): Statement | undefined {
  const { text } = statement;
  const cutter = new NameCutter(statement);
  const [written, inner, extent] = [columnExtent(cutter, position), columnExtent(cutter, column), queryExtent(statement, query)];
  if (extent === undefined || !between[kind].test(text.slice(written.end, extent.start))) return undefined;
  const closing = /^\s*\)(\s*\))?/.exec(text.slice(extent.end));
  if (closing === null || (kind === 'any_of_array' && closing[1] === undefined)) return undefined;
  const columns = (of: RangeVar): string => key.map((name) => `${quoteIdentifier(relationAlias(of))}.${quoteIdentifier(name)}`).join(', ');
  const behind = extent.end + (kind === 'any_of_array' ? closing[0].length : closing[0].indexOf(')') + 1);
  return parseOne(fillTemplate(applyEdits<never>(text, [
    { start: written.start, end: extent.start, parts: [`(${columns(relation)}) IN (`] },
    { ...inner, parts: [columns(table)] },
    { start: extent.end, end: behind, parts: [`${locks === 'none' ? ' FOR UPDATE' : ''})`] },
  ]), () => ''));
}

function columnExtent(cutter: NameCutter, { location = 0, fields = [] }: ColumnRef): Extent {
  const tokens = cutter.tokens();
  const first = cutter.tokenOf(location);
  return { start: at(tokens, first).start, end: at(tokens, first + 2 * (fields.length - 1)).end };
}
