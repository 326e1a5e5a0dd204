import type { OwnWrites } from './own-writes.ts';
import type { ReadOptions } from './read-options.ts';
import type { Milliseconds } from '../base/deadline.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { RawRow } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import type { ClientActivity } from '../execute/computed/client-activity.ts';
import type { NodeObjects } from '../execute/node-objects.ts';
import type { FanOutOptions } from '../execute/run-fan-out.ts';
import type { HotTexts } from '../execute/write/hot-texts.ts';
import type { SequenceBlocks } from '../execute/write/sequence-blocks.ts';
import type { Finishing } from '../plan/select/select-context.ts';
import type { UtilityCall } from '../plan/statement-plan.ts';
import type { Within } from '../ddl/ddl-context.ts';
import type { CatalogStore } from '../store/catalog-store.ts';
import type { ShardLoad } from '../store/shard-load.ts';
import type { TransactionWatch } from '../txn/distributed-transaction.ts';
import type { DescribeMemory } from './describer.ts';
import type { Planner } from './planner.ts';
import type { TableStatistics } from './table-statistics.ts';

/** What sessions share; made once per cluster object. */
export interface SessionServices {
  readonly pools: NodePools;
  readonly store: CatalogStore;
  readonly planner: Planner;
  readonly sequences: SequenceBlocks;
  readonly hotTexts: HotTexts;
  readonly load: ShardLoad;
  readonly describeMemory: DescribeMemory;
  readonly statistics: TableStatistics;
  readonly objects: NodeObjects;
  readonly options: FanOutOptions;
  /** Who finishes merges, unless a session's settings say more. */
  readonly finishing: Finishing;
  readonly deadlocks: TransactionWatch;
  /** Where queries read that do not say so themselves. */
  readonly reads?: ReadOptions | undefined;
  readonly writes: OwnWrites;
  /** How long one statement may take. */
  readonly statementTimeoutMs: Milliseconds;
  /** How long a change of definitions waits for its locks; 0: for ever. */
  readonly ddlLockTimeoutMs: number;
  /** Whether schemas that are made are distributed, unless a session says otherwise. */
  readonly distributesSchemas: boolean;
  nextNode(): NodeId;
  /** Gives all nodes what an older version of this library has not given them, by the cluster's own user. */
  renewNodes(): Promise<void>;
  /** What clients of the process's wire servers do. */
  clients(): Promise<readonly ClientActivity[]>;
  /** For a session of another role: whether the cluster's own functions do for it whatever the cluster's user may. Else it distributes its own tables alone, in transactions of its own. */
  actsForAll?: (() => Promise<boolean>) | undefined;
  /** For sessions of another role: the search path that they begin with, where they look for names. */
  searchPath?: (() => Promise<readonly string[]>) | undefined;
  /** Runs one of the cluster's own functions, outside any transaction where it is not given one. */
  utility(run: UtilityRun): Promise<UtilityValue>;
}

/** What one of them gives: a value's text or NULL, undefined for void; or rows. */
export type UtilityValue = string | null | undefined | UtilityRows;

export interface UtilityRows {
  /** Names of the columns; their values are texts. */
  readonly columns: readonly string[];
  readonly rows: readonly RawRow[];
}

/** A call of one of the cluster's own functions. */
export interface UtilityRun {
  readonly call: UtilityCall;
  readonly values: readonly unknown[];
  readonly signal: AbortSignal | undefined;
  /** With how many shards a table is made for which nobody says so, if the session has set that. */
  readonly shardCount?: number | undefined;
  /** The transaction block that it becomes a part of: for `blockUtilities` alone. */
  readonly within?: Within | undefined;
}
