import type { Node, SelectStmt } from '@pgsql/types';
import { nameParts } from '../sql/ast.ts';
import { computedRelations } from './computed/computed-relations.ts';
import type { UtilityArgument, UtilityCall } from './statement-plan.ts';

/** Functions of the cluster that SQL may call by Citus's names, with Citus's argument names in order. */
export const utilityFunctions: Readonly<Record<string, readonly string[]>> = {
  create_distributed_table: ['table_name', 'distribution_column', 'distribution_type', 'colocate_with', 'shard_count'],
  alter_distributed_table: ['table_name', 'distribution_column', 'shard_count', 'colocate_with', 'cascade_to_colocated'],
  create_reference_table: ['table_name'],
  undistribute_table: ['table_name', 'cascade_via_foreign_keys'],
  create_unique_lookup: ['table_name', 'columns', 'name'],
  drop_unique_lookup: ['table_name', 'columns'],
  citus_schema_distribute: ['schemaname'],
  citus_schema_undistribute: ['schemaname'],
  citus_schema_move: ['schema_id', 'target_node_name', 'target_node_port', 'shard_transfer_mode'],
  citus_add_node: ['nodename', 'nodeport', 'groupid', 'noderole', 'nodecluster'],
  master_add_node: ['nodename', 'nodeport', 'groupid', 'noderole', 'nodecluster'],
  citus_remove_node: ['nodename', 'nodeport'],
  master_remove_node: ['nodename', 'nodeport'],
  get_shard_id_for_distribution_column: ['table_name', 'distribution_value'],
  shardwright_check_schema: [],
  shardwright_verify: ['table_name'],
  citus_move_shard_placement: ['shard_id', 'source_node_name', 'source_node_port', 'target_node_name', 'target_node_port', 'shard_transfer_mode'],
  citus_split_shard_by_split_points: ['shard_id', 'split_points', 'node_ids', 'shard_transfer_mode'],
  isolate_tenant_to_new_shard: ['table_name', 'tenant_id', 'cascade_option', 'shard_transfer_mode'],
  citus_drain_node: ['nodename', 'nodeport', 'shard_transfer_mode', 'rebalance_strategy'],
  master_move_shard_placement: ['shard_id', 'source_node_name', 'source_node_port', 'target_node_name', 'target_node_port', 'shard_transfer_mode'],
  citus_update_node: ['node_id', 'new_node_name', 'new_node_port', 'force', 'lock_cooldown'],
  citus_rebalance_start: ['rebalance_strategy', 'drain_only', 'shard_transfer_mode', 'parallel_transfer_reference_tables', 'parallel_transfer_colocated_shards'],
  citus_rebalance_stop: [],
  citus_rebalance_wait: [],
  citus_rebalance_status: ['raw'],
  citus_job_status: ['job_id', 'raw'],
  citus_job_list: [],
  citus_job_wait: ['jobid', 'desired_status'],
  citus_job_cancel: ['jobid'],
  rebalance_table_shards: ['relation', 'threshold', 'max_shard_moves', 'excluded_shard_list', 'shard_transfer_mode', 'drain_only', 'rebalance_strategy', 'improvement_threshold'],
  get_rebalance_table_shards_plan: ['relation', 'threshold', 'max_shard_moves', 'excluded_shard_list', 'drain_only', 'rebalance_strategy', 'improvement_threshold'],
  create_distributed_table_concurrently: ['table_name', 'distribution_column', 'distribution_type', 'colocate_with', 'shard_count'],
  truncate_local_data_after_distributing_table: ['function_name'],
  citus_set_coordinator_host: ['host', 'port', 'node_role', 'node_cluster'],
  start_metadata_sync_to_node: ['nodename', 'nodeport'],
  citus_shard_sizes: [],
  citus_get_active_worker_nodes: [],
  master_get_active_worker_nodes: [],
  run_command_on_workers: ['command', 'parallel'],
  run_command_on_all_nodes: ['command', 'parallel', 'give_warning_for_connection_errors'],
  run_command_on_coordinator: ['command', 'give_warning_for_connection_errors'],
  run_command_on_shards: ['table_name', 'command', 'parallel'],
  run_command_on_placements: ['table_name', 'command', 'parallel'],
  run_command_on_colocated_placements: ['table_name1', 'table_name2', 'command', 'parallel'],
};

/** How many leading arguments have no default. */
const argumentsNeeded: Readonly<Record<string, number>> = {
  create_distributed_table: 2, create_reference_table: 1, alter_distributed_table: 1, undistribute_table: 1, create_unique_lookup: 2, drop_unique_lookup: 2, citus_schema_distribute: 1, citus_schema_undistribute: 1, citus_schema_move: 3, citus_add_node: 2, master_add_node: 2,
  citus_remove_node: 2, master_remove_node: 2, get_shard_id_for_distribution_column: 1, shardwright_check_schema: 0, shardwright_verify: 0,
  citus_move_shard_placement: 5, citus_split_shard_by_split_points: 3, isolate_tenant_to_new_shard: 2, citus_drain_node: 2, master_move_shard_placement: 5,
  create_distributed_table_concurrently: 2, truncate_local_data_after_distributing_table: 1, citus_set_coordinator_host: 1, start_metadata_sync_to_node: 2, run_command_on_workers: 1, run_command_on_all_nodes: 1,
  run_command_on_coordinator: 1, run_command_on_shards: 2, run_command_on_placements: 2, run_command_on_colocated_placements: 3, citus_update_node: 3, citus_job_status: 1, citus_job_wait: 1, citus_job_cancel: 1,
};

/** Arguments of those that can be called in another way, too; the last may be left out. */
const otherArguments: Readonly<Record<string, readonly string[]>> = {
  citus_move_shard_placement: ['shard_id', 'source_node_id', 'target_node_id', 'shard_transfer_mode'],
};

/** `SELECT create_distributed_table('t', 'c')` and its like: one call with constants or parameters and nothing else. Functions that give rows stand in queries: see computed/. */
export function planUtilityCall(select: SelectStmt): UtilityCall | undefined {
  const [target, ...others] = select.targetList ?? [];
  const call = calledFunction(target) ?? calledFunction(fromFunction(select));
  if (call === undefined || others.length > 0 || select.whereClause !== undefined) return undefined;
  const column = target !== undefined && 'ResTarget' in target ? target.ResTarget.name : undefined;
  const planned = callOf(call, column);
  return planned === undefined || Object.hasOwn(computedRelations, planned.name) ? undefined : planned;
}

/** The call of one of them by its arguments; its column has the function's name where it has no other. Undefined where an argument is no constant or parameter. */
export function callOf(call: Call, column: string | undefined): UtilityCall | undefined {
  const parts = nameParts(call.funcname);
  const name = parts.at(-1) ?? '';
  const names = Object.hasOwn(utilityFunctions, name) ? utilityFunctions[name] : undefined;
  if (names === undefined || (parts.length > 1 && parts[0] !== 'pg_catalog')) return undefined;
  const other = otherArguments[name];
  const given = argumentsGiven(call, names, argumentsNeeded[name] ?? 0) ?? (other === undefined ? undefined : argumentsGiven(call, other, other.length - 1));
  return given === undefined ? undefined : { kind: 'utility', name, column: column ?? name, arguments: given };
}

/** By name; undefined where one does not fit. */
function argumentsGiven({ args = [] }: Call, names: readonly string[], needed: number): Map<string, UtilityArgument> | undefined {
  const given = new Map<string, UtilityArgument>();
  for (const [i, node] of args.entries()) {
    const named = 'NamedArgExpr' in node ? node.NamedArgExpr : undefined;
    const key = named?.name ?? names[i];
    const value = constantArgument(named?.arg ?? node);
    // What does not fit is left to PostgreSQL, which knows no such function.
    if (key === undefined || value === undefined || !names.includes(key) || given.has(key)) return undefined;
    given.set(key, value);
  }
  return names.slice(0, needed).every((argument) => given.has(argument)) ? given : undefined;
}

interface Call {
  readonly funcname?: Node[];
  readonly args?: Node[];
}

function calledFunction(target: Node | undefined): Call | undefined {
  const value = target !== undefined && 'ResTarget' in target ? target.ResTarget.val : target;
  return value !== undefined && 'FuncCall' in value ? value.FuncCall : undefined;
}

/** `SELECT * FROM f(…)`. */
function fromFunction(select: SelectStmt): Node | undefined {
  const [item] = select.fromClause ?? [];
  const functions = item !== undefined && 'RangeFunction' in item ? item.RangeFunction.functions : undefined;
  const list = functions?.[0];
  return list !== undefined && 'List' in list ? list.List.items?.[0] : undefined;
}

function constantArgument(node: Node): UtilityArgument | undefined {
  const bare = 'TypeCast' in node && node.TypeCast.arg !== undefined ? node.TypeCast.arg : node;
  if ('A_ArrayExpr' in bare) return constantArray(bare.A_ArrayExpr.elements ?? []);
  if ('ParamRef' in bare) return { kind: 'parameter', number: bare.ParamRef.number ?? 0 };
  if (!('A_Const' in bare)) return undefined;
  const { isnull, ival, fval, sval, boolval } = bare.A_Const;
  if (isnull === true) return { kind: 'literal', text: null };
  if (ival !== undefined) return { kind: 'literal', text: String(ival.ival ?? 0) };
  if (boolval !== undefined) return { kind: 'literal', text: String(boolval.boolval ?? false) };
  return { kind: 'literal', text: sval?.sval ?? fval?.fval ?? '' };
}

/** `ARRAY['1', '2']` as the text of an array. Numbers and words only: nothing in them needs quotes. */
function constantArray(elements: readonly Node[]): UtilityArgument | undefined {
  const texts = elements.map((element) => constantArgument(element)).map((argument) => (argument?.kind === 'literal' ? argument.text : null));
  return texts.every((text) => text !== null && /^[\w.+-]+$/.test(text)) ? { kind: 'literal', text: `{${texts.join(',')}}` } : undefined;
}

/** What an argument is, by the values of the statement's parameters; undefined where it is not given. */
export function argumentValue(argument: UtilityArgument | undefined, values: readonly unknown[]): unknown {
  if (argument === undefined) return undefined;
  return argument.kind === 'literal' ? argument.text : values[argument.number - 1];
}
