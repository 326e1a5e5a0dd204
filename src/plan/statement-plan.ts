import type { ConstantSet } from '../analyze/constant-set.ts';
import type { ResultTable } from '../analyze/result-table.ts';
import type { CatalogTable, DistributedTable, ReferenceTable } from '../catalog/catalog-snapshot.ts';
import type { RangeVar } from '../sql/ast.ts';
import type { Statement } from '../sql/parse.ts';
import type { ComputedPlan } from './computed/computed-plan.ts';
import type { DefinitionPlan } from './ddl/definition-plan.ts';
import type { ConcurrentIndexPlan, LockPlan, MaintenancePlan } from './ddl/maintenance-plan.ts';
import type { DescribedColumn } from './describe.ts';
import type { FanOut } from './fan-out.ts';
import type { ComputedValue, InsertPlan } from './insert/insert-plan.ts';
import type { ExplainOptions } from './plan-explain.ts';
import type { UseSecurity } from './policy-restrictions.ts';
import type { LookedUpPlan } from './lookups/looked-up-plan.ts';
import type { Placer } from './prune.ts';
import type { ShardTemplate } from './shard-template.ts';
import type { StageSource } from './staged/stage.ts';

/** A statement planned without its parameter values; cached by text, search path and catalog version. */
export type StatementPlan =
  /** No distributed or reference table is in it: the coordinator database runs it as it is. */
  | CoordinatorPlan
  | SelectPlan
  | ModifyPlan
  | InsertPlan
  | QueriedInsertPlan
  | TruncatePlan
  | DefinitionPlan
  | MaintenancePlan
  | LockPlan
  | ConcurrentIndexPlan
  | MaterializePlan
  | MadeByQueryPlan
  | ExplainPlan
  | ComputedPlan
  | UtilityCall;

export interface CoordinatorPlan {
  readonly kind: 'coordinator';
  readonly text: string;
  readonly effect: 'read' | 'write' | 'session';
  /** It changes views over distributed tables, and so the catalog. */
  readonly changesViews?: ViewChange;
  /** Names of local relations may stand for what runs other code from now on: a new version of the catalog tells other processes. */
  readonly changesCode?: true;
}

export interface ViewChange {
  /** The view that is made or replaced. */
  readonly created: RangeVar | undefined;
}

/** One occurrence of a distributed table, ready to be pruned; or of an intermediate result that is placed like one, which has no `table`. */
export interface PrunableUse {
  readonly table: DistributedTable | undefined;
  readonly placer: Placer;
  readonly restrictions: readonly ConstantSet[];
  /** The target of an INSERT: the restrictions are values that are assigned, by VALUES or by a query. */
  readonly assigned?: 'values' | 'select' | undefined;
  /** What prunes it further, once the session's role is known. */
  readonly security?: UseSecurity | undefined;
  /** What of the session has pruned it, for EXPLAIN. */
  readonly prunedBy?: readonly string[] | undefined;
}

export interface SelectPlan {
  readonly kind: 'select';
  /** The whole statement for one node: for when all its tables' rows lie in shard groups of one node. */
  readonly whole: ShardTemplate;
  /** All distributed and reference tables in it. */
  readonly tables: readonly CatalogTable[];
  readonly uses: readonly PrunableUse[];
  /** Whether one node can answer it when all its tables' rows lie there. False also when local tables are read. */
  readonly routable: boolean;
  /** FOR UPDATE and the like. */
  readonly locks: boolean;
  /** What the statement returns, where that names views that are not in the plan any more. */
  readonly columns?: readonly DescribedColumn[];
  /** How it runs on one shard, once a unique lookup has told which. */
  readonly lookedUp?: LookedUpPlan;
  /** For many shard groups; made when first needed. Rejects with the refusal. */
  fanOut(): Promise<FanOut>;
}

export interface ModifyPlan {
  readonly kind: 'modify';
  readonly command: 'UPDATE' | 'DELETE' | 'INSERT' | 'MERGE' | 'SELECT';
  readonly whole: ShardTemplate;
  /** All distributed and reference tables in it. */
  readonly tables: readonly CatalogTable[];
  readonly uses: readonly PrunableUse[];
  /** Whether one node can do it when all its tables' rows lie there. */
  readonly routable: boolean;
  /** The target, where that is a reference table: the statement runs on each copy. */
  readonly everywhere: ReferenceTable | undefined;
  /** Sequences whose next values are sent behind the caller's. */
  readonly sequences: readonly string[];
  /** How it runs on one shard, once a unique lookup has told which. */
  readonly lookedUp?: LookedUpPlan;
  spread(): Promise<SpreadModify | WritingParts>;
}

/** INSERT of a query's rows with an ON CONFLICT that may mean unique lookups, of which only INSERT … VALUES knows: the query is run first, and what it gives is then written some rows at a time. */
export interface QueriedInsertPlan {
  readonly kind: 'queried_insert';
  readonly table: DistributedTable;
  /** Of RETURNING; empty without. */
  readonly returned: readonly DescribedColumn[];
  /** How many of the caller's parameters there are. Behind them are the values of a row: `width` of each. */
  readonly parameters: number;
  readonly width: number;
  /** `numbers`: which of these parameters its own are. */
  readonly source: { readonly statement: Statement; readonly plan: SelectPlan | CoordinatorPlan; readonly numbers: readonly number[] };
  /** As many rows as are written at once; of fewer, the first. */
  readonly insert: { readonly statement: Statement; readonly plan: InsertPlan; readonly numbers: readonly number[] };
}

/** A statement whose WITH writes: its writes in order, and then what is left. */
export interface WritingParts {
  readonly parts: readonly WrittenPart[];
  readonly main: RowPlan | SelectPlan;
  /** What the caller gets. */
  readonly columns: readonly DescribedColumn[];
}

export interface WrittenPart {
  /** In WITH. */
  readonly name: string | undefined;
  readonly plan: RowPlan | SelectPlan;
  /** What its RETURNING gives, as later parts call it. */
  readonly result: ResultTable | undefined;
}

/** A plan that writes rows; of a local table, the coordinator database's own. */
export type RowPlan = ModifyPlan | InsertPlan | CoordinatorPlan;

/** The rows of a query that a write takes in: INSERT … SELECT, or MERGE. */
export interface WrittenRows {
  /** As the template calls them. */
  readonly result: ResultTable;
  /** Gives the first columns of the result. */
  readonly source: StageSource | WriteSource;
  /** Values for its last columns, each row another where they differ from call to call. */
  readonly supplies: readonly ComputedValue[];
  /** Each row goes to the shard of its value; undefined when all rows go wherever the statement does. */
  readonly key: RowKey | undefined;
  /** The statement runs on shard groups without rows, too. */
  readonly everyShard: boolean;
}

/** A write whose RETURNING gives the rows. */
export interface WriteSource {
  readonly kind: 'write';
  readonly plan: ModifyPlan;
}

export interface RowKey {
  /** Rows without a value go to the first shard: that of a MERGE may not be inserted. */
  readonly nulls?: 'first_shard' | undefined;
  /** Among the columns of the result; undefined where a single-shard table takes all. */
  readonly position: number | undefined;
  readonly table: DistributedTable;
  readonly placer: Placer;
}

/**
 * Copies of a reference table are written at different moments, between which others may commit.
 * `compared`: each returns, behind the caller's columns, a hash of what it has written of each row; nothing is kept unless these are the same everywhere. `mayDiffer`: also where nobody else
 * writes, since the statement leaves something open. `locked`: nobody else writes to the table, from before the first copy is written until the transaction ends; and where copies `mayDiffer`, all rows of
 * them are compared then.
 */
export type CopyCheck = { readonly kind: 'compared'; readonly mayDiffer: boolean } | { readonly kind: 'locked'; readonly table: ReferenceTable; readonly mayDiffer: boolean };

/** What the other copies do where one has computed what is written: the same to the same rows. */
export interface FollowingCopies {
  /** The rows that the first copy has written: what it returns behind the caller's columns and before the hash. */
  readonly result: ResultTable;
  /** Reads them, and returns the hash of each row written, and nothing else; or, where it `counts`, one row with the number of rows written and the sum of their hashes. */
  readonly template: ShardTemplate;
  readonly counts?: boolean;
  /** Whether the table has triggers, which the first copy runs for all. */
  readonly triggers: boolean;
}

/** A write that each shard group, or each copy, does for itself, all of them in one transaction: `template`, after `stages`. */
export interface SpreadModify extends Pick<FanOut, 'evaluated' | 'parameters' | 'stages' | 'readsLocalTables'> {
  readonly template: ShardTemplate;
  /** Of RETURNING; empty without. */
  readonly columns: readonly DescribedColumn[];
  /** Given when it needs rows that are not beside its target; those of the template. */
  readonly uses: readonly PrunableUse[] | undefined;
  /** What is written, where that comes from a query of its own. */
  readonly rows: WrittenRows | undefined;
  /** A table that no foreign key may point to, or the write is refused. */
  readonly unreferenced?: DistributedTable | undefined;
  /** What keeps the copies alike where a reference table is written; undefined where each is sent the same rows. */
  readonly check?: CopyCheck | undefined;
  /** Given where one copy of a reference table runs the template, and the others follow it: what is computed is computed once. */
  readonly follow?: FollowingCopies | undefined;
  /** In the coordinator database, when the target is a local table. */
  readonly site: 'shards' | 'coordinator';
}

/** EXPLAIN of a statement with a plan of its own. */
export interface ExplainPlan {
  readonly kind: 'explain';
  readonly statement: Statement;
  readonly plan: StatementPlan;
  readonly options: ExplainOptions;
}

export interface TruncatePlan {
  readonly kind: 'truncate';
  readonly tables: readonly CatalogTable[];
  readonly restartIdentity: boolean;
  readonly cascade: boolean;
}

/**
 * CREATE or REFRESH MATERIALIZED VIEW or CREATE TABLE AS over distributed or reference tables: rows of the query become those of a relation in the coordinator
 * database.
 */
export interface MaterializePlan {
  readonly kind: 'materialize';
  readonly source: Statement;
  readonly query: StatementPlan;
  readonly columns: readonly DescribedColumn[];
  /** The temporary table that holds the rows while `text` runs. */
  readonly fill: string;
  readonly text: string;
  /** The relation that `text` makes. When there is one already and `text` has IF NOT EXISTS, nothing is to be filled. A view changes the catalog. */
  readonly created: { readonly name: string; readonly isQualified: boolean; readonly ifNotExists: boolean; readonly isView: boolean } | undefined;
}

/** CREATE TABLE AS over distributed or reference tables into a distributed schema: two statements in one transaction, whose result is that of the second. */
export interface MadeByQueryPlan {
  readonly kind: 'made_by_query';
  readonly create: string;
  readonly insert: string;
  readonly created: Omit<NonNullable<MaterializePlan['created']>, 'isView'>;
}

/** A call of one of the cluster's own functions, such as create_distributed_table. */
export interface UtilityCall {
  readonly kind: 'utility';
  readonly name: string;
  readonly column: string;
  readonly arguments: ReadonlyMap<string, UtilityArgument>;
}

export type UtilityArgument =
  | { readonly kind: 'literal'; readonly text: string | null }
  | { readonly kind: 'parameter'; readonly number: number };
