import type { Node, SelectStmt } from '@pgsql/types';
import { aggregateCalls, type FunctionRules } from '../../analyze/function-calls.ts';
import { holds, replaceNodes } from '../../sql/ast.ts';
import { deparseChecked } from '../../sql/deparse.ts';
import type { Statement } from '../../sql/parse.ts';
import { columnNode, targetNode } from '../select/made-nodes.ts';

const alias = 'aggregated';

/**
 * `SELECT setval('s', max(id)) FROM t` as `SELECT setval('s', aggregated.c0) FROM (SELECT max(id) AS c0 FROM t) AS aggregated`: what the coordinator database is to compute reads one row then, and not those of the table. The same statement
 * where it has no such form: with groups, subqueries in its list, aggregates of values that only the coordinator database has.
 */
export function withAggregatesBelow(statement: Statement, rules: Pick<FunctionRules, 'isAggregate'>, isForCoordinator: (tree: unknown) => boolean): Statement {
  const select = 'SelectStmt' in statement.node ? statement.node.SelectStmt : undefined;
  if (select === undefined || !isPlain(select) || holds(select.targetList ?? [], 'SubLink')) return statement;
  const { targetList = [], fromClause = [], whereClause } = select;
  const calls = aggregateCalls(targetList, (call) => rules.isAggregate(call));
  if (calls.length === 0 || isForCoordinator([calls, fromClause, whereClause])) return statement;
  const below: SelectStmt = {
    targetList: calls.map((call, i) => targetNode({ FuncCall: call }, columnOf(i))), fromClause, ...(whereClause === undefined ? {} : { whereClause }), op: 'SETOP_NONE', limitOption: 'LIMIT_OPTION_DEFAULT',
  };
  const from: Node = { RangeSubselect: { subquery: { SelectStmt: below }, alias: { aliasname: alias } } };
  const above = replaceNodes(targetList, (node) => ('FuncCall' in node && calls.includes(node.FuncCall) ? columnNode(alias, columnOf(calls.indexOf(node.FuncCall))) : undefined));
  return deparseChecked({ SelectStmt: { targetList: above, fromClause: [from], op: 'SETOP_NONE', limitOption: 'LIMIT_OPTION_DEFAULT' } }) ?? statement;
}

function columnOf(index: number): string {
  return `c${index}`;
}

/** Nothing but a list, FROM and WHERE. */
function isPlain({ op, fromClause = [], groupClause, havingClause, windowClause, distinctClause, sortClause, limitCount, limitOffset, lockingClause, withClause, intoClause }: SelectStmt): boolean {
  const others = [groupClause, havingClause, windowClause, distinctClause, sortClause, limitCount, limitOffset, lockingClause, withClause, intoClause];
  return op === 'SETOP_NONE' && fromClause.length > 0 && others.every((one) => one === undefined);
}
