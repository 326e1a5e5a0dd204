import type { DescribedColumn } from './describe.ts';
import type { MergePlan } from './merge-plan.ts';
import type { RowLocks } from './row-locks.ts';
import type { ShardTemplate } from './shard-template.ts';
import type { FirstValue, Stage } from './staged/stage.ts';
import type { PrunableUse } from './statement-plan.ts';

/** A query that every shard group answers for itself, and what is done with the answers. */
export interface FanOut {
  readonly shardQuery: ShardTemplate;
  /** ORDER BY of the shard query by output positions, when its rows come sorted: for fusing several into one statement. */
  readonly shardOrder: string | undefined;
  /** The columns that the shard query needs of its only distributed table, when a node's shard groups may be read as one: see `unitedColumns`. */
  readonly united: readonly string[] | undefined;
  /** The shard query for a shard that is asked when others have answered, with a last parameter: see `boundedStatement`. */
  readonly bounded: ShardTemplate | undefined;
  readonly merge: MergePlan;
  /** FOR UPDATE and the like; undefined for a query that only reads. */
  readonly locks: RowLocks | undefined;
  /** What the caller gets. */
  readonly columns: readonly DescribedColumn[];
  readonly parameters: number;
  /** The rules that made it, in order: what EXPLAIN names. */
  readonly rules: readonly string[];
  /** Number of leading parameters of the caller's; further ones are `evaluated`. */
  readonly evaluated: readonly EvaluatedExpression[];
  /** Parameters behind those: asked for before anything else, side by side. */
  readonly firstValues: readonly FirstValue[];
  /** Intermediate results that are made first, in order: later ones may read earlier ones. */
  readonly stages: readonly Stage[];
  /** Where `shardQuery` runs: on each shard group; or once, on any one node or in the coordinator database. */
  readonly site: 'shards' | 'node' | 'coordinator';
  /** What one statement of the shard query reads: a shard of each table, or all those of a node together. Both give the same rows. */
  readonly unit: 'shard' | 'node';
  /** It or one of its stages reads tables that the snapshot takes for local ones. */
  readonly readsLocalTables: boolean;
  /** It takes values of sequences, in the coordinator database. */
  readonly takesValues?: boolean;
  /** It was planned for a text made from the caller's, whose uses may be others. */
  readonly rewritten: boolean;
  /** The uses of `shardQuery`, where it is not the caller's own statement. */
  readonly uses: readonly PrunableUse[] | undefined;
  /**
   * The same query over whole tables, gathered on one server which then computes all of it: for when a part that is run first fails in a way in which the whole
   * might not. Undefined where no part is.
   */
  readonly overWholeTables: (() => Promise<FanOut>) | undefined;
}

/** An expression that must have one value in the whole statement: evaluated by the coordinator database, passed as parameter `number`. */
export interface EvaluatedExpression {
  readonly sql: string;
  readonly number: number;
}

/** Whether it takes more than one statement for each shard group of the tables that the caller names, and a merge. */
export function isStaged({ firstValues, stages, site, rewritten }: FanOut): boolean {
  return firstValues.length > 0 || stages.length > 0 || site !== 'shards' || rewritten;
}
