import type { Node, SelectStmt } from '@pgsql/types';
import { type FunctionRules, windowClauses } from '../../analyze/function-calls.ts';
import { isGrouped } from '../../analyze/place-query.ts';
import type { Query } from '../../analyze/query-level.ts';
import { resolveColumn, type Scope } from '../../analyze/scope.ts';
import { nameParts, sameTree } from '../../sql/ast.ts';
import { quoteIdentifier } from '../../sql/identifiers.ts';
import { parseOne, parseOneIfValid, type Statement } from '../../sql/parse.ts';
import { scanTokens, type Token } from '../../sql/scan.ts';
import { typeOid } from '../../sql/values/type-oid.ts';
import { limitOf, type MergePlan, type RowCount, type SortKey } from '../merge-plan.ts';
import { selectOf } from '../staged/staged-state.ts';
import { bareName } from './output-index.ts';

/** Stands for the bound in the text: larger than the number of any other parameter. */
export const boundParameter = 65_000;

/** Types whose values mean the same in their text, under any settings with which the application compares them. */
const boundTypes: ReadonlyMap<number, string> = new Map([
  [typeOid.int2, 'int2'], [typeOid.int4, 'int4'], [typeOid.int8, 'int8'], [typeOid.numeric, 'numeric'], [typeOid.float4, 'float4'], [typeOid.float8, 'float8'],
  [typeOid.oid, 'oid'], [typeOid.uuid, 'uuid'], [typeOid.date, 'date'], [typeOid.timestamp, 'timestamp'], [typeOid.timestamptz, 'timestamptz'],
]);

/**
 * The shard query of `ORDER BY column … LIMIT n` for a shard that is asked when others have answered: without the rows that are behind the n-th best of those, whose value of the first
 * key is the last parameter. A server then sorts and sends only what may still be among the first. Rows that tie with it stay, and NULLs where they come first. Undefined
 * where rows are more than filtered and sorted, where the key is no plain column, or a condition on it might mean something else than the key.
 */
export function boundedStatement(statement: Statement, query: Query, { merge, rules }: { readonly merge: MergePlan; readonly rules: FunctionRules }): Statement | undefined {
  const select = selectOf(statement);
  const limit = limitOf(merge);
  if (limit?.limit === undefined || isTrivial(limit.limit) || limit.ties !== undefined || limit.input.kind !== 'merge_sorted' || query.kind !== 'select') return undefined;
  if (select.distinctClause !== undefined || select.lockingClause !== undefined || isGrouped(query, rules) || windowClauses(select).length > 0) return undefined;
  const [key] = limit.input.keys;
  const type = key === undefined ? undefined : boundTypes.get(key.typeOid);
  if (key === undefined || type === undefined) return undefined;
  const column = keyColumn(select, query.scope, key);
  if (column === undefined) return undefined;
  return withCondition(statement, notBehind(column, `$${boundParameter}::pg_catalog.${type}`, key));
}

/** Of no rows, or of all. */
function isTrivial(limit: RowCount): boolean {
  return limit.kind === 'constant' && (limit.rows === null || limit.rows === 0);
}

/** The column of a table that is the sort key, as an expression of WHERE. */
function keyColumn(select: SelectStmt, scope: Scope, key: SortKey): string | undefined {
  const targets = select.targetList ?? [];
  const node = targets.some(isStar) ? keyBesideStars(select, scope) : valueOf(targets[key.column]);
  if (node === undefined || !('ColumnRef' in node) || columnOf(node, scope) === undefined) return undefined;
  return nameParts(node.ColumnRef.fields).map(quoteIdentifier).join('.');
}

/** Where a star stands for several columns, ORDER BY names one of them, unless another expression has that name. */
function keyBesideStars({ targetList, sortClause }: SelectStmt, scope: Scope): Node | undefined {
  const [item] = sortClause ?? [];
  const node = item !== undefined && 'SortBy' in item ? item.SortBy.node : undefined;
  const name = node === undefined ? undefined : bareName(node);
  if (node === undefined || !('ColumnRef' in node)) return undefined;
  const id = columnOf(node, scope);
  const others = (targetList ?? []).filter((target) => !isStar(target) && columnOf(valueOf(target), scope) !== id);
  return name === undefined || others.every((target) => isNamedApart(target, name)) ? node : undefined;
}

/** Whether the output column has a name of its own that is another one. What a server would call an expression is not looked into. */
function isNamedApart(target: Node, name: string): boolean {
  const own = 'ResTarget' in target ? target.ResTarget.name : undefined;
  return own !== undefined && own !== name;
}

function columnOf(node: Node | undefined, scope: Scope): number | undefined {
  return node !== undefined && 'ColumnRef' in node ? resolveColumn(scope, node.ColumnRef.fields)?.id : undefined;
}

function valueOf(target: Node | undefined): Node | undefined {
  return target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined;
}

function isStar(target: Node): boolean {
  const value = valueOf(target);
  const last = value !== undefined && 'ColumnRef' in value ? value.ColumnRef.fields?.at(-1) : undefined;
  return last !== undefined && 'A_Star' in last;
}

function notBehind(column: string, bound: string, { descending, nullsFirst }: SortKey): string {
  if (!nullsFirst) return `${column} OPERATOR(pg_catalog.${descending ? '>=' : '<='}) ${bound}`;
  return `(${column} OPERATOR(pg_catalog.${descending ? '<' : '>'}) ${bound}) IS NOT TRUE`;
}

/** The query, which has an ORDER BY, with one more condition. Undefined where its clauses are not told from the text. */
function withCondition(original: Statement, condition: string): Statement | undefined {
  const { text } = original;
  const tokens = outermost(scanTokens(text));
  const where = tokens.find(({ text: word }) => word.toUpperCase() === 'WHERE');
  const order = tokens.findLast(({ text: word }) => word.toUpperCase() === 'ORDER');
  if (order === undefined) return undefined;
  const made = where === undefined
    ? `${text.slice(0, order.start)}WHERE ${condition} ${text.slice(order.start)}`
    : `${text.slice(0, where.end)} (${text.slice(where.end, order.start)}) AND ${condition} ${text.slice(order.start)}`;
  const statement = parseOneIfValid(made);
  if (statement === undefined) return undefined;
  const select = selectOf(original);
  const added = selectOf(parseOne(`SELECT WHERE ${condition}`)).whereClause;
  return added !== undefined && sameTree(selectOf(statement), { ...select, whereClause: both(select.whereClause, added) }) ? statement : undefined;
}

/** The tokens that stand in no parentheses. */
function outermost(tokens: readonly Token[]): Token[] {
  let depth = 0;
  return tokens.filter(({ text }) => {
    if (text === ')' || text === ']') depth -= 1;
    const isOutermost = depth === 0;
    if (text === '(' || text === '[') depth += 1;
    return isOutermost;
  });
}

/** In the form that the parser gives: a condition that is an AND takes another one in. */
function both(condition: Node | undefined, other: Node): Node {
  if (condition === undefined) return other;
  if ('BoolExpr' in condition && condition.BoolExpr.boolop === 'AND_EXPR') return { BoolExpr: { ...condition.BoolExpr, args: [...(condition.BoolExpr.args ?? []), other] } };
  return { BoolExpr: { boolop: 'AND_EXPR', args: [condition, other] } };
}
