import type { FuncCall, Node, SelectStmt, WindowDef } from '@pgsql/types';
import { builtinName, nameParts } from '../sql/ast.ts';

/** Aggregates that PostgreSQL brings, by name. Others are found by their syntax or by asking the server. */
export const builtinAggregates: ReadonlySet<string> = new Set([
  'count', 'sum', 'avg', 'min', 'max', 'bool_and', 'bool_or', 'every', 'bit_and', 'bit_or', 'bit_xor',
  'stddev', 'stddev_pop', 'stddev_samp', 'variance', 'var_pop', 'var_samp',
  'string_agg', 'array_agg', 'json_agg', 'jsonb_agg', 'json_object_agg', 'jsonb_object_agg', 'xmlagg', 'any_value',
  'json_agg_strict', 'jsonb_agg_strict', 'json_object_agg_strict', 'jsonb_object_agg_strict', 'json_object_agg_unique',
  'jsonb_object_agg_unique', 'json_object_agg_unique_strict', 'jsonb_object_agg_unique_strict',
  'range_agg', 'range_intersect_agg', 'corr', 'covar_pop', 'covar_samp', 'regr_avgx', 'regr_avgy', 'regr_count',
  'regr_intercept', 'regr_r2', 'regr_slope', 'regr_sxx', 'regr_sxy', 'regr_syy',
  'mode', 'percentile_cont', 'percentile_disc', 'rank', 'dense_rank', 'percent_rank', 'cume_dist', 'grouping',
]);

/** Names that are an aggregate only in WITHIN GROUP; else a window function. */
const hypothetical: ReadonlySet<string> = new Set(['rank', 'dense_rank', 'percent_rank', 'cume_dist']);

/** Functions of PostgreSQL whose result may differ between two calls in one statement. */
const volatileFunctions: ReadonlySet<string> = new Set([
  'random', 'random_normal', 'setseed', 'array_sample', 'array_shuffle', 'gen_random_uuid', 'uuidv4', 'uuidv7', 'clock_timestamp', 'timeofday', 'nextval', 'setval', 'currval', 'lastval',
  'pg_sleep', 'pg_sleep_for', 'pg_sleep_until', 'pg_current_wal_lsn', 'pg_current_wal_insert_lsn', 'pg_current_wal_flush_lsn',
  'query_to_xml', 'cursor_to_xml', 'ts_stat', 'ts_rewrite', 'pg_relation_size', 'pg_table_size', 'pg_indexes_size', 'pg_total_relation_size',
  'pg_database_size', 'pg_tablespace_size', 'pg_is_in_recovery', 'pg_try_advisory_lock_shared', 'pg_advisory_lock_shared', 'pg_advisory_unlock',
  'pg_advisory_unlock_all', 'pg_advisory_unlock_shared', 'pg_advisory_xact_lock_shared', 'pg_try_advisory_xact_lock_shared', 'pg_advisory_lock', 'pg_try_advisory_lock', 'pg_advisory_xact_lock', 'set_config', 'pg_notify', 'txid_current', 'pg_current_xact_id',
  'run_command_on_workers', 'run_command_on_all_nodes', 'run_command_on_coordinator', 'run_command_on_shards', 'run_command_on_placements', 'run_command_on_colocated_placements',
]);

/** Aggregate calls below a tree at its own query level: not those with OVER, nor in subqueries. */
export function aggregateCalls(tree: unknown, isAggregate: (call: FuncCall) => boolean): FuncCall[] {
  const found: FuncCall[] = [];
  collectCalls(tree, (call) => {
    if (call.over !== undefined || !isAggregate(call)) return true;
    found.push(call);
    return false;
  });
  return found;
}

export function isBuiltinAggregate(call: FuncCall): boolean {
  if (call.agg_star === true || call.agg_distinct === true || call.agg_within_group === true) return true;
  if (call.agg_filter !== undefined || call.agg_order !== undefined) return true;
  const name = builtinName(call.funcname);
  return name !== undefined && builtinAggregates.has(name) && !hypothetical.has(name);
}

/** The PARTITION BY list of every window used at this level; named windows are looked up in the WINDOW clause. */
export function windowClauses(statement: SelectStmt): (readonly Node[])[] {
  const found: (readonly Node[])[] = [];
  collectCalls([statement.targetList, statement.sortClause], (call) => {
    if (call.over !== undefined) found.push(partitionOf(call.over, statement));
    return true;
  });
  return found;
}

function partitionOf(window: WindowDef, statement: SelectStmt): readonly Node[] {
  const base = window.refname ?? window.name;
  if (window.partitionClause !== undefined || base === undefined) return window.partitionClause ?? [];
  for (const node of statement.windowClause ?? []) {
    if ('WindowDef' in node && node.WindowDef.name === base) return partitionOf({ ...node.WindowDef, name: undefined as never }, statement);
  }
  return [];
}

export function hasVolatileCall(tree: unknown, rules: FunctionRules): boolean {
  let found = false;
  collectCalls(tree, (call) => {
    found ||= rules.isVolatile(call);
    return true;
  }, true);
  return found;
}

/** What is known of functions: of PostgreSQL's own by name, of others by asking the server. */
export interface FunctionRules {
  isAggregate(call: FuncCall): boolean;
  isVolatile(call: FuncCall): boolean;
  /** Whether the call is certainly of PostgreSQL's own function of that name: no other function is called so. */
  isBuiltin(call: FuncCall): boolean;
}

export const builtinRules: FunctionRules = {
  isAggregate: isBuiltinAggregate,
  isBuiltin: () => true,
  isVolatile: (call) => volatileFunctions.has(nameParts(call.funcname).at(-1) ?? ''),
};

/** Visits function calls; returning false leaves out what is below a call. */
export function collectCalls(tree: unknown, visit: (call: FuncCall) => boolean, intoQueries = false): void {
  if (Array.isArray(tree)) {
    for (const item of tree) collectCalls(item, visit, intoQueries);
    return;
  }
  if (typeof tree !== 'object' || tree === null) return;
  if ('FuncCall' in tree && !visit(tree.FuncCall as FuncCall)) return;
  if (!intoQueries && ('SubLink' in tree || 'RangeSubselect' in tree)) {
    if ('SubLink' in tree) collectCalls((tree.SubLink as { testexpr?: Node }).testexpr, visit, intoQueries);
    return;
  }
  for (const value of Object.values(tree)) collectCalls(value, visit, intoQueries);
}
