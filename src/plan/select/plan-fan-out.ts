import type { FuncCall, Node, SelectStmt } from '@pgsql/types';
import type { FunctionRules } from '../../analyze/function-calls.ts';
import { collectCalls, windowClauses } from '../../analyze/function-calls.ts';
import type { PlacedQuery } from '../../analyze/place-query.ts';
import { hasGroupingSets } from '../../analyze/grouping.ts';
import { expressionIsKey, isDistinctOn, isGrouped } from '../../analyze/place-query.ts';
import { isUnusual } from '../../analyze/unusual-levels.ts';
import type { Query, SelectQuery } from '../../analyze/query-level.ts';
import { builtinName } from '../../sql/ast.ts';
import type { Statement } from '../../sql/parse.ts';
import type { Describe, StatementDescription } from '../describe.ts';
import type { MergePlan } from '../merge-plan.ts';
import { groupExpressions } from './expressions.ts';
import { mergesGroups, planAggregate } from './plan-aggregate.ts';
import { planGathered } from './plan-gathered.ts';
import { planRows } from './plan-rows.ts';
import type { FanOutDraft, Finishing, SelectContext } from './select-context.ts';
import { refusal, unsupported } from './unsupported.ts';

export interface FanOutInput {
  readonly original: Statement;
  readonly statement: SelectStmt;
  readonly query: Query;
  readonly placed: PlacedQuery;
  readonly description: StatementDescription;
  readonly describe: Describe;
  readonly rules: FunctionRules;
  readonly rowTypes: ReadonlySet<string>;
  readonly finishing: Finishing;
}

/** The first rule that fits: complete rows per shard group, split aggregates, or gathered columns finished by a PostgreSQL. */
export async function planFanOut(input: FanOutInput): Promise<FanOutDraft> {
  const draft = await planByRule(input);
  if (input.finishing === 'server_rounded_floats' && finishesFloats(draft.merge)) {
    throw unsupported('Floating-point values would reach the last step of the query rounded by extra_float_digits.', 'RESET extra_float_digits.');
  }
  return draft;
}

function finishesFloats(merge: MergePlan): boolean {
  if (merge.kind === 'residual') return merge.residual.columns.some(({ typeSql }) => /^(float|double|real)/.test(typeSql));
  return 'input' in merge && finishesFloats(merge.input);
}

async function planByRule(input: FanOutInput): Promise<FanOutDraft> {
  const { query, placed, statement, rules } = input;
  if (placed.rows.kind === 'scattered') throw refusal(placed.rows.obstacle);
  if (placed.rows.kind !== 'by_shard') throw unsupported('The statement joins no distributed table by its distribution column.', 'Filter by the distribution column.');
  const context: SelectContext = {
    ...input,
    query: query.kind === 'select' ? query : undefined,
    isAggregate: (call: FuncCall) => rules.isAggregate(call),
    isBuiltin: (call: FuncCall) => rules.isBuiltin(call),
  };
  if (query.kind !== 'select') return planRows(context, { distinctByShard: true });
  if (isDistinctOn(statement) && returnsSets(statement, rules)) {
    throw unsupported('DISTINCT ON stands beside a function that returns a set, which PostgreSQL calls afterwards.', 'Call the function in a query around it.');
  }
  const isKey = keyTest(query, placed);
  const grouped = isGrouped(query, rules);
  const groupedByKey = !hasGroupingSets(statement) && groupExpressions(statement, query.scope).some(isKey);
  const windowsByKey = windowClauses(statement).every((partition) => partition.some(isKey));
  const distinctOnByKey = !isDistinctOn(statement) || (statement.distinctClause ?? []).some(isKey) || !grouped;
  if ((!grouped || groupedByKey) && windowsByKey && distinctOnByKey) {
    return planRows(context, { distinctByShard: selectsKey(statement, isKey) });
  }
  if (hasGroupingSets(statement) && mergesGroups(statement, query.scope)) {
    throw unsupported('Two names or positions in grouping sets stand for equal expressions, which PostgreSQL keeps apart.', 'Filter by the distribution column.');
  }
  if (isUnusual(query, rules)) throw unsupported('An aggregate stands where it cannot be told from what is around it.', 'Filter by the distribution column.');
  const split = grouped && !groupedByKey ? await planAggregate(context) : undefined;
  return split ?? planGathered(context);
}

/** Whether the select list may call a function that returns several rows. */
function returnsSets({ targetList }: SelectStmt, rules: FunctionRules): boolean {
  let found = false;
  collectCalls(targetList, (call) => {
    found ||= !rules.isBuiltin(call) || /^(generate_|unnest$|json|regexp_|string_to_table$|pg_|_pg_)/.test(builtinName(call.funcname) ?? '');
    return !found;
  });
  return found;
}

function keyTest(query: SelectQuery, { rows, facts }: PlacedQuery): (node: Node) => boolean {
  return (node) => rows.kind === 'by_shard' && expressionIsKey(node, query.scope, facts, rows.keys);
}

/** DISTINCT over rows that show the distribution column is done by each shard group alone. */
function selectsKey(statement: SelectStmt, isKey: (node: Node) => boolean): boolean {
  return (statement.targetList ?? []).some((target) => 'ResTarget' in target && target.ResTarget.val !== undefined && isKey(target.ResTarget.val));
}
