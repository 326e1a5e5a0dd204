import type { ResultTable } from '../../analyze/result-table.ts';
import type { StatementPlan } from '../statement-plan.ts';

/** One intermediate result and the query whose rows it holds. */
export interface Stage {
  readonly result: ResultTable;
  readonly source: StageSource;
  /** As the servers' planners guess. */
  readonly estimatedRows?: number | undefined;
  /** What the plan was chosen by. */
  readonly belief?: Belief | undefined;
}

/** How many bytes a part of a query would have, by estimate, and the text that it is known by. */
export interface Belief {
  readonly part: string;
  readonly bytes: number;
}

/** A query whose one value, or whether it has rows, the rest of the statement reads as parameter `number`. */
export interface FirstValue {
  readonly number: number;
  readonly exists: boolean;
  readonly source: StageSource;
}

/** A planned query: of distributed tables and results, or of local tables alone. */
export type StageSource = Extract<StatementPlan, { readonly kind: 'select' | 'coordinator' }>;
