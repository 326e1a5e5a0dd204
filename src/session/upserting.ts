import type { QueryResult } from 'pg';
import { makeQueryResult } from '../cluster/query-result.ts';
import { fieldsOf } from '../execute/fields.ts';
import type { ResultOptions, StatementScope } from '../execute/statement-scope.ts';
import type { InsertPlan } from '../plan/insert/insert-plan.ts';
import type { UpsertPlan } from '../plan/lookups/upsert-plan.ts';
import type { ShardLoad } from '../store/shard-load.ts';
import type { Insert } from './insert-parts.ts';
import type { PreparedPlan } from './planner.ts';

export interface UpsertSteps {
  readonly insert: Insert;
  /** The rows that are proposed, as texts. */
  readonly propose: Insert;
  run(prepared: PreparedPlan, values: readonly unknown[], scope: StatementScope, result: ResultOptions): Promise<QueryResult>;
  readonly load: Pick<ShardLoad, 'note'>;
}

export interface Upserting {
  readonly plan: InsertPlan;
  readonly upsert: UpsertPlan;
  /** What is done to a row that is there; undefined for DO NOTHING. */
  readonly prepared: PreparedPlan['upsert'];
  readonly values: readonly unknown[];
  readonly result: ResultOptions;
  readonly steps: UpsertSteps;
  readonly memory: UpsertMemory;
}

/** Shared by all parts of a statement. */
export interface UpsertMemory {
  /** Keys, with the distribution values of their rows, that it has written, as the lookup's changes have them. */
  readonly written: Set<string>;
  /** Whether keys of the rows that come next are likely to be taken, since some were before. */
  expectsTaken: boolean;
}

export function upsertMemory(): UpsertMemory {
  return { written: new Set(), expectsTaken: false };
}

/** The result where no row has been written. */
export function affectedNone({ upsert: { returned }, result }: Pick<Upserting, 'upsert' | 'result'>): QueryResult {
  return makeQueryResult({ command: 'INSERT', rowCount: 0, fields: fieldsOf(returned), rows: [], ...result });
}
