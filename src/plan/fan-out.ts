import type { DescribedColumn } from './describe.ts';
import type { MergePlan } from './merge-plan.ts';
import type { ShardTemplate } from './shard-template.ts';

/** A query that every shard group answers for itself, and what is done with the answers. */
export interface FanOut {
  readonly shardQuery: ShardTemplate;
  /** ORDER BY of the shard query by output positions, when its rows come sorted: for fusing several into one statement. */
  readonly shardOrder: string | undefined;
  readonly merge: MergePlan;
  /** What the caller gets. */
  readonly columns: readonly DescribedColumn[];
  readonly parameters: number;
  /** The rules that made it, in order: what EXPLAIN names. */
  readonly rules: readonly string[];
  /** Number of leading parameters of the caller's; further ones are `evaluated`. */
  readonly evaluated: readonly EvaluatedExpression[];
}

/** An expression that must have one value in the whole statement: evaluated by the coordinator database, passed as parameter `number`. */
export interface EvaluatedExpression {
  readonly sql: string;
  readonly number: number;
}
