import { ClusterError } from '../base/errors.ts';
import type { ClusterNode } from '../catalog/catalog-snapshot.ts';
import type { AlterDistributedTableOptions } from '../ddl/alter-distributed-table.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import type { UtilityCall } from '../plan/statement-plan.ts';
import { argumentValue } from '../plan/utility-call.ts';
import type { UtilityRun, UtilityValue } from '../session/session-services.ts';
import { readStrategy, type RebalanceStrategyName } from '../rebalance/strategy.ts';
import type { ShardInfo } from './cluster-tables.ts';
import { argumentText, type RebalanceTarget, runRebalanceUtility } from './rebalance-utility.ts';

/** By its address, or its id. */
type GivenNode = { readonly host: string; readonly port: number } | number;

/** What the SQL functions call: `Cluster` has these as methods. */
export interface UtilityTarget extends RebalanceTarget, TableCreator {
  alterDistributedTable(table: string, options: AlterDistributedTableOptions): Promise<void>;
  undistributeTable(table: string, options: CallOptions): Promise<void>;
  createUniqueLookup(table: string, columns: string | readonly string[], options: CallOptions & { name?: string }): Promise<void>;
  dropUniqueLookup(table: string, columns: string | readonly string[], options: CallOptions): Promise<void>;
  distributeSchema(schema: string, options: CallOptions): Promise<void>;
  undistributeSchema(schema: string, options: CallOptions): Promise<void>;
  moveSchema(schema: string, options: CallOptions & { to: { host: string; port: number } }): Promise<unknown>;
  addNode(address: { host: string; port: number }, options: CallOptions): Promise<{ readonly id: number }>;
  removeNode(address: { host: string; port: number }, options: CallOptions): Promise<void>;
  nodes(options: CallOptions): Promise<readonly ClusterNode[]>;
  replaceNode(which: number, options: CallOptions & { to: { host: string; port: number; database?: string } }): Promise<unknown>;
  checkSchema(options: CallOptions): Promise<{ readonly text: string }>;
  verify(table: string | undefined, options: CallOptions): Promise<{ readonly text: string }>;
  moveShardGroup(shardId: string, options: CallOptions & { from: GivenNode; to: GivenNode }): Promise<unknown>;
  splitShardGroup(shardId: string, options: CallOptions & { at: readonly number[]; nodes: readonly number[] }): Promise<unknown>;
  isolateTenant(table: string, value: unknown, options: CallOptions): Promise<{ readonly shard: { readonly shardId: number } }>;
  drainNode(address: { host: string; port: number }, options: CallOptions & { strategy: RebalanceStrategyName }): Promise<unknown>;
  shardOf(table: string, value: unknown, options: CallOptions): Promise<Pick<ShardInfo, 'shardId' | 'shardGroupId'>>;
  shards(options: CallOptions): Promise<readonly ShardInfo[]>;
}

/** What may be a part of a transaction. */
export interface TableCreator {
  createDistributedTable(table: string, column: string | null, options: CallOptions & { colocateWith?: string; shardCount?: number; defaultShardCount?: number; online?: boolean }): Promise<void>;
  createReferenceTable(table: string, options: CallOptions): Promise<void>;
}

/** Runs a call of a Citus function by its own arguments; resolves to what it gives. Tables are distributed by `creator`. */
export async function runUtility(cluster: UtilityTarget, { call, values, signal, shardCount: shardCountSet }: Omit<UtilityRun, 'within'>, creator: TableCreator): Promise<UtilityValue> {
  const options = { signal };
  const given = (name: string): unknown => argumentValue(call.arguments.get(name), values);
  const text = (name: string): string => required(call, name, given(name));
  const nodeGiven = (side: string): GivenNode =>
    (given(`${side}_node_id`) === undefined ? { host: text(`${side}_node_name`), port: Number(text(`${side}_node_port`)) } : Number(text(`${side}_node_id`)));
  checkTransferMode(argumentText(given('shard_transfer_mode')));
  switch (call.name) {
    case 'create_distributed_table':
    case 'create_distributed_table_concurrently': {
      if ((given('distribution_type') ?? 'hash') !== 'hash') {
        throw new ClusterError('invalidParameter', 'tables can be distributed by hash only', { hint: 'Leave distribution_type out.' });
      }
      const colocateWith = given('colocate_with');
      const shardCount = given('shard_count');
      await creator.createDistributedTable(text('table_name'), given('distribution_column') === null ? null : text('distribution_column'), {
        ...options,
        ...(typeof colocateWith === 'string' ? { colocateWith } : {}),
        ...(shardCount === undefined || shardCount === null ? {} : { shardCount: Number(shardCount) }),
        ...(shardCountSet === undefined ? {} : { defaultShardCount: shardCountSet }),
        online: call.name === 'create_distributed_table_concurrently',
      });
      return undefined;
    }
    // Its rows went to the shards when it was distributed; where the coordinator database is, every node knows; nodes hold no metadata.
    case 'truncate_local_data_after_distributing_table':
    case 'citus_set_coordinator_host':
    case 'start_metadata_sync_to_node':
      return undefined;
    case 'alter_distributed_table': {
      const [column, shardCount, colocateWith, cascade] = ['distribution_column', 'shard_count', 'colocate_with', 'cascade_to_colocated'].map(given);
      await cluster.alterDistributedTable(text('table_name'), {
        ...options,
        ...(typeof column === 'string' ? { column } : {}),
        ...(typeof colocateWith === 'string' ? { colocateWith } : {}),
        ...(shardCount === undefined || shardCount === null ? {} : { shardCount: Number(shardCount) }),
        cascadeToColocated: cascade === true || cascade === 'true' || cascade === 't',
      });
      return undefined;
    }
    case 'create_reference_table':
      await creator.createReferenceTable(text('table_name'), options);
      return undefined;
    case 'undistribute_table':
      await cluster.undistributeTable(text('table_name'), options);
      return undefined;
    case 'create_unique_lookup': {
      const name = given('name');
      await cluster.createUniqueLookup(text('table_name'), columnsGiven(call, given('columns')), { ...options, ...(typeof name === 'string' ? { name } : {}) });
      return undefined;
    }
    case 'drop_unique_lookup':
      await cluster.dropUniqueLookup(text('table_name'), columnsGiven(call, given('columns')), options);
      return undefined;
    case 'citus_schema_distribute':
      await cluster.distributeSchema(text('schemaname'), options);
      return undefined;
    case 'citus_schema_undistribute':
      await cluster.undistributeSchema(text('schemaname'), options);
      return undefined;
    case 'citus_schema_move':
      await cluster.moveSchema(text('schema_id'), { ...options, to: { host: text('target_node_name'), port: Number(text('target_node_port')) } });
      return undefined;
    case 'citus_add_node':
    case 'master_add_node':
      return String((await cluster.addNode({ host: text('nodename'), port: Number(text('nodeport')) }, options)).id);
    case 'citus_remove_node':
    case 'master_remove_node':
      await cluster.removeNode({ host: text('nodename'), port: Number(text('nodeport')) }, options);
      return undefined;
    case 'citus_update_node': {
      const id = Number(text('node_id'));
      // As in Citus, the database's name stays.
      const database = (await cluster.nodes(options)).find((node) => node.id === id)?.database;
      await cluster.replaceNode(id, { ...options, to: { host: text('new_node_name'), port: Number(text('new_node_port')), ...(database === undefined ? {} : { database }) } });
      return undefined;
    }
    case 'citus_move_shard_placement':
    case 'master_move_shard_placement':
      await cluster.moveShardGroup(text('shard_id'), {
        ...options,
        from: nodeGiven('source'),
        to: nodeGiven('target'),
      });
      return undefined;
    case 'citus_split_shard_by_split_points':
      await cluster.splitShardGroup(text('shard_id'), { ...options, at: integersOf('split_points', given('split_points')), nodes: integersOf('node_ids', given('node_ids')) });
      return undefined;
    case 'isolate_tenant_to_new_shard':
      await checkCascade(cluster, { table: text('table_name'), value: given('tenant_id'), cascade: argumentText(given('cascade_option')) ?? '' }, options);
      return String((await cluster.isolateTenant(text('table_name'), given('tenant_id'), options)).shard.shardId);
    case 'citus_drain_node': {
      const strategy = readStrategy(argumentText(given('rebalance_strategy')) ?? 'by_disk_size');
      await cluster.drainNode({ host: text('nodename'), port: Number(text('nodeport')) }, { ...options, strategy });
      return undefined;
    }
    case 'get_shard_id_for_distribution_column':
      return String((await cluster.shardOf(text('table_name'), given('distribution_value'), options)).shardId);
    case 'shardwright_check_schema':
      return (await cluster.checkSchema(options)).text;
    case 'shardwright_verify': {
      const table = given('table_name');
      return (await cluster.verify(typeof table === 'string' ? table : undefined, options)).text;
    }
    case 'citus_rebalance_start':
    case 'citus_rebalance_stop':
    case 'citus_rebalance_wait':
    case 'citus_rebalance_status':
    case 'citus_job_status':
    case 'citus_job_list':
    case 'citus_job_wait':
    case 'citus_job_cancel':
    case 'rebalance_table_shards':
    case 'get_rebalance_table_shards_plan':
    case 'citus_rebalance_strategies':
      return runRebalanceUtility(cluster, { name: call.name, given, signal });
    default:
      throw new ClusterError('invalidParameter', `function ${call.name}() is not known`);
  }
}

/** All of them leave shards to be written while they are copied, which is more than the last one asks for. */
function checkTransferMode(mode: string | undefined): void {
  if (mode === undefined || ['auto', 'force_logical', 'block_writes'].includes(mode)) return;
  throw new ClusterError('invalidParameter', `invalid input value for enum citus.shard_transfer_mode: "${mode}"`, { sqlState: '22P02' });
}

/** As in Citus: the shards of co-located tables are isolated only where that is said. */
async function checkCascade(cluster: UtilityTarget, { table, value, cascade }: { readonly table: string; readonly value: unknown; readonly cascade: string }, options: CallOptions): Promise<void> {
  if (/^cascade$/i.test(cascade)) return;
  if (cascade !== '') throw new ClusterError('invalidParameter', `cascade_option "${cascade}" is not known`, { hint: "It is 'CASCADE', or left out." });
  const own = await cluster.shardOf(table, value, options);
  const colocated = (await cluster.shards(options)).filter(({ shardId, shardGroupId, schema }) => shardGroupId === own.shardGroupId && shardId !== own.shardId && schema !== 'shardwright').map((shard) => shard.table);
  if (colocated.length === 0) return;
  throw new ClusterError('invalidParameter', `a tenant of table "${table}" cannot be isolated alone, since it has co-located tables`, {
    detail: `They are ${colocated.join(', ')}.`, hint: `Isolate it in all of them: isolate_tenant_to_new_shard('${table}', …, 'CASCADE').`,
  });
}

/** A name, or an array of names. */
function columnsGiven(call: UtilityCall, value: unknown): string | readonly string[] {
  return Array.isArray(value) ? value.map(String) : required(call, 'columns', value);
}

/** Of an array, or its text. */
function integersOf(name: string, value: unknown): number[] {
  const elements = Array.isArray(value) ? value.map(String) : typeof value === 'string' ? value.replaceAll(/[{}"]/g, '').split(',') : [];
  if (elements.every((element) => /^\s*-?\d+\s*$/.test(element)) && elements.length > 0) return elements.map(Number);
  throw new ClusterError('invalidParameter', `argument ${name} must be an array of integers`);
}

function required(call: UtilityCall, name: string, value: unknown): string {
  if (value === undefined || value === null) throw new ClusterError('invalidParameter', `argument ${name} of ${call.name}() is missing`);
  return typeof value === 'string' ? value : JSON.stringify(value);
}
