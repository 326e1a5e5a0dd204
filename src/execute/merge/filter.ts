import { present } from '../../base/assert.ts';
import type { RawRow } from '../../cluster/node-connection.ts';
import type { ComparisonOperator, FilterCondition } from '../../plan/merge-plan.ts';
import { comparatorFor } from '../../sql/values/comparator.ts';
import { typeOid } from '../../sql/values/type-oid.ts';
import type { RowStage } from './row-stage.ts';

/** Rows for which every condition is true; one on NULL is not. Integers and numerics compare as numerics. */
export class Filter implements RowStage {
  readonly satisfied = false;

  constructor(private readonly conditions: readonly FilterCondition[]) {}

  push(rows: readonly RawRow[]): readonly RawRow[] {
    return rows.filter((row) => this.conditions.every((condition) => holds(condition, row[condition.column] ?? null)));
  }

  finish(): readonly RawRow[] {
    return [];
  }
}

const compare = present(comparatorFor(typeOid.numeric, true), 'comparator of numeric');

function holds({ operator, constant }: FilterCondition, value: string | null): boolean {
  return value !== null && outcomes[operator](compare(value, constant));
}

const outcomes: Readonly<Record<ComparisonOperator, (order: number) => boolean>> = {
  '=': (order) => order === 0,
  '<>': (order) => order !== 0,
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};
