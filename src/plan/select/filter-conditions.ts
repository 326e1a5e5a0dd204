import type { Node } from '@pgsql/types';
import { conjuncts, nameParts } from '../../sql/ast.ts';
import type { DescribedColumn } from '../describe.ts';
import type { ComparisonOperator, FilterCondition } from '../merge-plan.ts';

const exactTypes: ReadonlySet<number> = new Set([20, 21, 23, 1700]);
const operators: ReadonlyMap<string, ComparisonOperator> = new Map(Object.entries({ '=': '=', '<>': '<>', '<': '<', '<=': '<=', '>': '>', '>=': '>=' }));
const mirrored: Readonly<Record<ComparisonOperator, ComparisonOperator>> = { '=': '=', '<>': '<>', '<': '>', '<=': '>=', '>': '<', '>=': '<=' };

/**
 * A HAVING that only compares integers and numerics with constants, so that it can be applied without a PostgreSQL. `columnOf` tells the
 * combined column that a node is. Undefined for any other condition.
 */
export function filterConditions(
  having: Node,
  rows: readonly DescribedColumn[],
  columnOf: (node: Node | undefined) => number | undefined,
): FilterCondition[] | undefined {
  const conditions: FilterCondition[] = [];
  for (const conjunct of conjuncts(having)) {
    if (!('A_Expr' in conjunct) || conjunct.A_Expr.kind !== 'AEXPR_OP') return undefined;
    const { name, lexpr, rexpr } = conjunct.A_Expr;
    const operator = operators.get(nameParts(name).join('.'));
    const left = columnOf(lexpr);
    const column = left ?? columnOf(rexpr);
    const constant = numericConstant(left === undefined ? lexpr : rexpr);
    if (operator === undefined || column === undefined || constant === undefined) return undefined;
    if (!exactTypes.has(rows[column]?.typeOid ?? 0)) return undefined;
    conditions.push({ column, constant, operator: left === undefined ? mirrored[operator] : operator });
  }
  return conditions;
}

function numericConstant(node: Node | undefined): string | undefined {
  if (node === undefined || !('A_Const' in node)) return undefined;
  const { ival, fval } = node.A_Const;
  if (ival !== undefined) return String(ival.ival ?? 0);
  return fval?.fval !== undefined && /^-?\d+(\.\d+)?$/.test(fval.fval) ? fval.fval : undefined;
}
