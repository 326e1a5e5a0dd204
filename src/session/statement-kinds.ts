import type { DefElem, Node, TransactionStmt, VariableSetStmt } from '@pgsql/types';
import type { StatementPlan } from '../plan/statement-plan.ts';
import type { PreparedPlan } from './planner.ts';
import { nameParts } from '../sql/ast.ts';

/** Whether a statement calls one of the cluster's own functions that has a transaction of its own. */
export function isUtilityCall(node: Node): boolean {
  const name = calledFunction(node);
  return name !== undefined && utilityNames.test(name) && !blockUtilities.has(name);
}

const utilityNames = /^(undistribute_table|alter_distributed_table|(create|drop)_unique_lookup|shardwright_check_schema|shardwright_verify|(citus|master)_(add|remove)_node|citus_(rebalance|job)_[a-z]+|rebalance_table_shards|run_command_on_[a-z_]+|citus_update_node|citus_schema_(distribute|undistribute|move))$/;

function calledFunction(node: Node): string | undefined {
  if (!('SelectStmt' in node)) return undefined;
  const [target] = node.SelectStmt.targetList ?? [];
  const [item] = node.SelectStmt.fromClause ?? [];
  const list = item !== undefined && 'RangeFunction' in item ? item.RangeFunction.functions?.[0] : undefined;
  const value = list !== undefined && 'List' in list ? list.List.items?.[0] : target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined;
  return value !== undefined && 'FuncCall' in value ? nameParts(value.FuncCall.funcname).at(-1) : undefined;
}

/** Functions of the cluster that only read, and may do so in a transaction block. */
export const readingUtilities: ReadonlySet<string> = new Set([
  'get_shard_id_for_distribution_column', 'citus_rebalance_status', 'citus_job_status', 'citus_job_list', 'get_rebalance_table_shards_plan', 'citus_rebalance_strategies',
]);

/** Those that change the catalog in the transaction that they are called in. */
export const blockUtilities: ReadonlySet<string> = new Set(['create_distributed_table', 'create_reference_table']);

/** Those that make shards, for which the session may say how many. */
export const distributingUtilities: ReadonlySet<string> = new Set(['create_distributed_table', 'create_distributed_table_concurrently']);

/** What a statement may leave behind in its server session: such a session keeps its connection. */
export function leavesState(node: Node, text: string): boolean {
  if ('ListenStmt' in node || 'UnlistenStmt' in node || 'PrepareStmt' in node || 'ExecuteStmt' in node || 'DeallocateStmt' in node) return true;
  if ('DeclareCursorStmt' in node || 'FetchStmt' in node || 'ClosePortalStmt' in node || 'LoadStmt' in node) return true;
  return changesState.test(text) || /currval|lastval/i.test(text);
}

const changesState = /\b(temp|temporary|pg_temp|set_config|setseed)\b|advisory_(un)?lock/i;

/** Whether a session keeps its connection to the coordinator database from this statement on. One that only asks for values of sequences that the session has need not. */
export function keepsConnection({ plan, statement: { node, text }, sequenceEffects: effects }: Pick<PreparedPlan, 'plan' | 'statement' | 'sequenceEffects'>): boolean {
  if (plan.kind === 'coordinator') return leavesState(node, text);
  if (plan.kind !== 'computed') return false;
  if (!plan.inputs.some(({ kind }) => kind === 'current_value')) return leavesState(node, text);
  const mayTake = effects.kind === 'unknown' || (effects.kind === 'named' && (effects.writes || effects.sequences.length + effects.functions.length > 0));
  return changesState.test(text) || (plan.plan.kind === 'coordinator' && mayTake);
}

/** Whether nothing but its result comes of a plan that the session would have to see to. */
export function isOnlyRows({ kind }: StatementPlan): boolean {
  return !seenToKinds.has(kind);
}

/** Whether it reads or writes rows of shards, and does nothing else. */
export function isOfRows({ kind }: StatementPlan): boolean {
  return kind === 'select' || kind === 'insert' || kind === 'modify';
}

/** What may change the session's settings, or values of sequences that it keeps. */
export const changesSession = /set_config|setval/i;

const seenToKinds: ReadonlySet<StatementPlan['kind']> = new Set(['coordinator', 'computed', 'materialize', 'made_by_query', 'definition', 'maintenance', 'lock', 'concurrent_index']);

/** What stands behind BEGIN or START TRANSACTION, without comments. */
export function modesOf({ options = [] }: TransactionStmt): string {
  return options.flatMap((node) => ('DefElem' in node ? [modeOf(node.DefElem)] : [])).join(', ');
}

function modeOf({ defname, arg }: DefElem): string {
  const value = arg !== undefined && 'A_Const' in arg ? arg.A_Const : undefined;
  const isOn = (value?.ival?.ival ?? 0) !== 0;
  if (defname === 'transaction_isolation') return `ISOLATION LEVEL ${(value?.sval?.sval ?? '').toUpperCase()}`;
  if (defname === 'transaction_read_only') return isOn ? 'READ ONLY' : 'READ WRITE';
  return isOn ? 'DEFERRABLE' : 'NOT DEFERRABLE';
}

/** Whether SET or RESET may change the modes of the transaction that it stands in. */
export function setsModes({ kind, name }: VariableSetStmt): boolean {
  return kind === 'VAR_SET_MULTI' || kind === 'VAR_RESET_ALL' || /^transaction_/i.test(name ?? '');
}

/** Whether running the plan makes another catalog, which the session must see. */
export function changesCatalog(plan: StatementPlan): boolean {
  if (plan.kind === 'definition' || plan.kind === 'concurrent_index' || (plan.kind === 'utility' && blockUtilities.has(plan.name))) return true;
  return plan.kind === 'coordinator' ? plan.changesViews !== undefined || plan.changesCode === true : plan.kind === 'materialize' && plan.created?.isView === true;
}

/** Whether it takes locks on tables that keep readers away until the transaction ends. */
export function locksTables(plan: StatementPlan, node: Node): boolean {
  if (plan.kind === 'coordinator') return plan.changesViews === undefined && locking.has(Object.keys(node)[0] ?? '');
  return plan.kind === 'definition' || (plan.kind === 'utility' && blockUtilities.has(plan.name)) || plan.kind === 'lock' || plan.kind === 'truncate';
}

/** Whether it changes sequences, which nobody else can take values of until the transaction ends. */
export function locksSequences(plan: StatementPlan, node: Node): boolean {
  return (plan.kind === 'truncate' && plan.restartIdentity) || 'AlterSeqStmt' in node || ('TruncateStmt' in node && node.TruncateStmt.restart_seqs === true);
}

/** Whether the coordinator database runs functions for it, or other code that nobody has looked into. */
export function runsCode({ plan, sequenceEffects: effects }: Pick<PreparedPlan, 'plan' | 'sequenceEffects'>): boolean {
  return plan.kind === 'coordinator' && (effects.kind === 'unknown' || (effects.kind === 'named' && effects.functions.length > 0));
}

const locking: ReadonlySet<string> = new Set(['AlterTableStmt', 'RenameStmt', 'AlterObjectSchemaStmt', 'DropStmt', 'TruncateStmt', 'LockStmt', 'ClusterStmt', 'ReindexStmt', 'CreateTrigStmt']);
