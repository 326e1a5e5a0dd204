import type { Node } from '@pgsql/types';
import type { FunctionRules } from '../../analyze/function-calls.ts';
import { hasVolatileCall } from '../../analyze/function-calls.ts';
import type { Relation } from '../../analyze/relation.ts';
import type { Scope } from '../../analyze/scope.ts';
import { resolveColumn } from '../../analyze/scope.ts';
import { conjuncts, walk } from '../../sql/ast.ts';
import type { UsePlace } from './use-places.ts';

/**
 * Conditions on one relation alone, which can be applied where its rows are read: PostgreSQL itself would do so. From `(a AND b) OR (c AND d)` with
 * a and c on the relation follows `a OR c`.
 */
export function tableFilters({ conditions, sampled, relation, query }: UsePlace, rules: FunctionRules): Node[] {
  if (sampled) return [];
  const isOwn = (node: Node): boolean => isOf(node, relation, query.scope) && !hasVolatileCall(node, rules);
  return conditions.flatMap((condition) => {
    if (isOwn(condition)) return [condition];
    const weaker = weakened(condition, isOwn);
    return weaker === undefined ? [] : [weaker];
  });
}

/** Whether an expression reads columns of the relation, and nothing else that has rows. */
function isOf(node: Node, relation: Relation, scope: Scope): boolean {
  let reads = false;
  let others = false;
  const count = relation.columns?.length ?? 0;
  walk(node, (kind, body) => {
    if (kind === 'SubLink') others = true;
    if (kind !== 'ColumnRef' || !('fields' in body)) return !others;
    const id = resolveColumn(scope, body.fields as Node[])?.id;
    if (id !== undefined && id >= relation.firstColumn && id < relation.firstColumn + count) reads = true;
    else others = true;
    return !others;
  });
  return reads && !others;
}

function weakened(condition: Node, isOwn: (node: Node) => boolean): Node | undefined {
  if (!('BoolExpr' in condition) || condition.BoolExpr.boolop !== 'OR_EXPR') return undefined;
  const branches = (condition.BoolExpr.args ?? []).map((branch) => conjuncts(branch).filter(isOwn));
  if (branches.length === 0 || branches.some((own) => own.length === 0)) return undefined;
  return { BoolExpr: { boolop: 'OR_EXPR', args: branches.map(allOf) } };
}

/** Their conjunction; of one condition, the condition itself. */
export function allOf(conditions: readonly Node[]): Node {
  const [first] = conditions;
  if (conditions.length === 1 && first !== undefined) return first;
  return { BoolExpr: { boolop: 'AND_EXPR', args: [...conditions] } };
}
