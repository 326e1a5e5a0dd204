import { orAborted } from '../base/abort.ts';
import { ClusterError } from '../base/errors.ts';
import type { ClusterNode } from '../catalog/catalog-snapshot.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import type { PlannedShardMove } from '../rebalance/plan-rebalance.ts';
import type { RebalanceInfo, RebalanceMoveInfo } from '../rebalance/rebalances.ts';
import { readStrategy, strategyNames } from '../rebalance/strategy.ts';
import type { UtilityRows, UtilityValue } from '../session/session-services.ts';
import type { RebalanceOptions } from './cluster-rebalance.ts';

/** What the SQL functions about rebalancing call: `Cluster` has these as methods. */
export interface RebalanceTarget {
  nodes(options: CallOptions): Promise<readonly ClusterNode[]>;
  rebalancePlan(options: RebalanceOptions): Promise<PlannedShardMove[]>;
  rebalance(options: RebalanceOptions): Promise<PlannedShardMove[]>;
  startRebalance(options: RebalanceOptions): Promise<string | undefined>;
  rebalances(options: CallOptions & { readonly all?: boolean }): Promise<RebalanceInfo[]>;
  cancelJob(jobId: string): Promise<void>;
  resumeJob(jobId: string): Promise<void>;
}

interface RebalanceCall {
  readonly name: string;
  readonly given: (argument: string) => unknown;
  readonly signal: AbortSignal | undefined;
}

/** Runs a call of one of Citus's functions about rebalancing, by its own arguments. */
export async function runRebalanceUtility(cluster: RebalanceTarget, call: RebalanceCall): Promise<UtilityValue> {
  const { name, given, signal } = call;
  switch (name) {
    case 'citus_rebalance_start':
      return (await cluster.startRebalance(optionsOf(call))) ?? null;
    case 'citus_rebalance_stop': {
      const [running] = await cluster.rebalances({ signal });
      if (running === undefined) throw new ClusterError('unknownJob', 'there is no rebalance that could be stopped');
      await cluster.cancelJob(running.rebalanceId);
      return undefined;
    }
    case 'citus_rebalance_wait': {
      const [running] = await cluster.rebalances({ signal });
      if (running !== undefined) await waitFor(cluster, running.rebalanceId, signal);
      return undefined;
    }
    case 'citus_job_wait':
      return waitForStatus(cluster, call);
    case 'citus_job_cancel':
      await cluster.cancelJob(jobId(given('jobid')));
      return undefined;
    case 'rebalance_table_shards':
      await cluster.rebalance(optionsOf(call));
      return undefined;
    case 'get_rebalance_table_shards_plan':
      return planRows(await cluster.rebalancePlan({ ...optionsOf(call), sizes: true }), await cluster.nodes({ signal }));
    case 'citus_rebalance_strategies':
      return strategies;
    case 'citus_job_list':
      return statusRows(await cluster.rebalances({ all: true, signal }), await cluster.nodes({ signal }));
    case 'citus_job_status': {
      const id = jobId(given('job_id'));
      return statusRows((await cluster.rebalances({ all: true, signal })).filter(({ rebalanceId }) => rebalanceId === id), await cluster.nodes({ signal }));
    }
    // As in Citus, of the last one.
    default:
      return statusRows((await cluster.rebalances({ all: true, signal })).slice(-1), await cluster.nodes({ signal }));
  }
}

/** Arguments that are NULL, or not there, leave their default. */
function optionsOf({ given, signal }: RebalanceCall): RebalanceOptions {
  const text = (argument: string): string | undefined => argumentText(given(argument));
  if (text('improvement_threshold') !== undefined) throw new ClusterError('invalidParameter', 'improvement_threshold is not known', { hint: 'Leave it out: each move makes nodes more alike.' });
  const [threshold, maxMoves, excluded] = [text('threshold'), text('max_shard_moves'), text('excluded_shard_list')];
  const isDraining = /^(t|true|on|1)$/i.test(text('drain_only') ?? '');
  return {
    signal,
    table: text('relation'),
    strategy: readStrategy(text('rebalance_strategy') ?? 'by_disk_size'),
    threshold: isDraining ? Infinity : threshold === undefined ? undefined : Number(threshold),
    maxMoves: maxMoves === undefined ? undefined : Number(maxMoves),
    excludedShardIds: excluded?.match(/\d+/g)?.map(Number),
  };
}

/** An argument's text; undefined where it is NULL, or not given. */
export function argumentText(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function jobId(value: unknown): string {
  const text = argumentText(value) ?? '';
  if (/^\d+$/.test(text)) return text;
  throw new ClusterError('invalidParameter', `"${text}" is no id of a job`, { sqlState: '22P02' });
}

/** Until it is over, however it ends. Aborting ends the waiting alone. */
async function waitFor(cluster: RebalanceTarget, id: string, signal: AbortSignal | undefined): Promise<void> {
  const over = cluster.resumeJob(id).catch((error: unknown) => {
    if (!(error instanceof ClusterError) || !['rebalanceIncomplete', 'canceled', 'moveUndone', 'moveRefused'].includes(error.id)) throw error;
  });
  await orAborted(over, signal);
}

async function waitForStatus(cluster: RebalanceTarget, { given, signal }: RebalanceCall): Promise<undefined> {
  const id = jobId(given('jobid'));
  await waitFor(cluster, id, signal);
  const desired = argumentText(given('desired_status'));
  if (desired === undefined) return undefined;
  const found = (await cluster.rebalances({ all: true, signal })).find(({ rebalanceId }) => rebalanceId === id);
  if (found !== undefined && found.state !== desired) throw new ClusterError('invalidParameter', `job ${id} will not come to status "${desired}"`, { detail: `It is ${found.state}.`, sqlState: '55000' });
  return undefined;
}

function planRows(plan: readonly PlannedShardMove[], nodes: readonly ClusterNode[]): UtilityRows {
  const columns = ['table_name', 'shardid', 'shard_size', 'sourcename', 'sourceport', 'targetname', 'targetport'];
  const rows = plan.flatMap(({ shards, from, to }) => {
    const [source, target] = [from, to].map((id) => nodes.find((node) => node.id === id));
    return shards.map(({ table, shardId, bytes }) => [table, String(shardId), String(bytes), source?.host ?? null, String(source?.port ?? ''), target?.host ?? null, String(target?.port ?? '')]);
  });
  return { columns, rows };
}

const strategies: UtilityRows = {
  columns: ['name', 'default_strategy', 'default_threshold', 'minimum_threshold', 'improvement_threshold'],
  rows: strategyNames.map((strategy) => [strategy, strategy === 'by_disk_size' ? 't' : 'f', '0.1', '0', '0']),
};

function statusRows(rebalances: readonly RebalanceInfo[], nodes: readonly ClusterNode[]): UtilityRows {
  const columns = ['job_id', 'state', 'job_type', 'description', 'started_at', 'finished_at', 'details'];
  const rows = rebalances.map(({ rebalanceId, state, createdAt, finishedAt, moves }) =>
    [rebalanceId, state, 'rebalance', 'Rebalance of the cluster', timeText(createdAt), finishedAt === undefined ? null : timeText(finishedAt), JSON.stringify(detailsOf(moves, nodes))]);
  return { columns, rows };
}

/** As PostgreSQL writes a timestamptz. */
function timeText(time: Date): string {
  return time.toISOString().replace('T', ' ').replace('Z', '+00');
}

const taskStates: Readonly<Record<RebalanceMoveInfo['state'], string>> = { waiting: 'runnable', running: 'running', done: 'done', failed: 'error' };

/** As in Citus: how many moves are in which state, and those that run or have failed. */
function detailsOf(moves: readonly RebalanceMoveInfo[], nodes: readonly ClusterNode[]): object {
  const counts: Record<string, number> = {};
  for (const { state } of moves) counts[taskStates[state]] = (counts[taskStates[state]] ?? 0) + 1;
  const hostOf = (id: number): string => {
    const node = nodes.find((one) => one.id === id);
    return node === undefined ? `node ${id}` : `${node.host}:${node.port}`;
  };
  const tasks = moves.filter(({ state }) => state === 'running' || state === 'failed').map(({ state, jobId: task, shardId, from, to, progress, error }) => ({
    state: taskStates[state], retried: 0, task_id: task === undefined ? null : Number(task), message: error ?? '', shard_id: shardId, hosts: { source: hostOf(from), target: hostOf(to) }, progress,
  }));
  return { tasks, task_state_counts: counts };
}
