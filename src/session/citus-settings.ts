import type { VariableSetStmt } from '@pgsql/types';
import { ClusterError } from '../base/errors.ts';
import { quoteIdentifier } from '../sql/identifiers.ts';
import { parseOne, type Statement } from '../sql/parse.ts';

/** Citus's settings that mean something here. */
const honoured: ReadonlySet<string> = new Set(['citus.shard_count']);

/** Whether a SET is of one of Citus's settings that means nothing here. */
export function hasNoEffect({ name, kind }: VariableSetStmt): boolean {
  const lower = name?.toLowerCase() ?? '';
  return lower.startsWith('citus.') && kind !== 'VAR_RESET' && !honoured.has(lower);
}

/** What they are in Citus, and how things are here, until somebody sets them. */
const defaults: ReadonlyMap<string, string> = new Map([
  ['citus.shard_count', '32'], ['citus.shard_replication_factor', '1'], ['citus.enable_schema_based_sharding', 'off'], ['citus.multi_shard_modify_mode', 'parallel'], ['citus.enable_repartition_joins', 'on'],
  ['citus.enable_ddl_propagation', 'on'], ['citus.use_citus_managed_tables', 'off'], ['citus.local_table_join_policy', 'auto'], ['citus.explain_all_tasks', 'off'], ['citus.max_adaptive_executor_pool_size', '16'],
]);

/** The query for what SHOW of one of Citus's settings gives; undefined for any other statement. */
export function citusSettingShown(node: Statement['node']): Statement | undefined {
  if (!('VariableShowStmt' in node)) return undefined;
  const { name = '' } = node.VariableShowStmt;
  const value = defaults.get(name.toLowerCase());
  if (value === undefined) return undefined;
  return parseOne(`SELECT coalesce(nullif(pg_catalog.current_setting('${name.toLowerCase()}', true), ''), '${value}') AS ${quoteIdentifier(name)}`);
}

/** `citus.shard_count`; undefined where it is not set. `invalidParameter` for what is no number of shards. */
export function shardCountOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (/^\d+$/.test(text)) return Number(text);
  throw new ClusterError('invalidParameter', `"${text}" is no value for "citus.shard_count"`, { hint: 'SET citus.shard_count to a number of shards.' });
}
