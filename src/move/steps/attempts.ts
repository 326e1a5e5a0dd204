import { setTimeout as delay } from 'node:timers/promises';
import { ClusterError } from '../../base/errors.ts';
import { inTime } from '../../base/in-time.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { NodeConnection } from '../../cluster/node-connection.ts';
import type { NodePools } from '../../cluster/node-pools.ts';
import { definitionSettings } from '../../ddl/definition-settings.ts';
import { lockCatalog } from '../../store/catalog-changes.ts';
import { changeState } from '../../store/jobs.ts';
import type { DistributedTransaction } from '../../txn/distributed-transaction.ts';
import type { MoveContext } from '../move-context.ts';
import { type MovedGroups, nodesOf } from '../moved-tables.ts';
import { readGroupsIn } from '../read-groups.ts';
import { settlePrepared } from '../settle-prepared.ts';
import { checkUnchanged, unchangedGroups } from '../unchanged-group.ts';
import { isLockConflict } from '../../cluster/with-connection.ts';
import { type Feeds, runningFeeds, settle } from './catch-up.ts';

const firstTimeoutMs = 30;
/** Longest of an attempt whose time nobody has set. */
const unaskedBudgetMs = 4_000;
const backOffMs = { first: 50, max: 2_000 } as const;

export interface Attempt {
  readonly groups: MovedGroups;
  readonly feeds: Feeds;
  /** Of the locks. */
  readonly timeoutMs: number;
  /** Of the locks and the last changes together. */
  readonly budgetMs: number;
}

/**
 * Makes attempts, behind whose locks on the sources others wait, until one succeeds: first with little time, later with more, up to `drainTimeoutMs`. Where nobody has asked for
 * that, the last changes have longer in the end: on servers that need so long for any change there would be no end otherwise. Each begins with little left to apply. In between all that waited goes on.
 */
export async function untilOneSucceeds(context: MoveContext, attempt: (how: Attempt) => Promise<boolean>): Promise<void> {
  const longestMs = await longestWaitMs(context);
  const longestBudget = longestBudgetMs(context);
  let [budgetMs, lagMs] = [Math.min(firstTimeoutMs, longestBudget), 0];
  for (let waitMs: number = backOffMs.first; ; waitMs = Math.min(waitMs * 2, backOffMs.max)) {
    const groups = await unchangedGroups(context);
    const feeds = await runningFeeds(context, groups);
    // What was seen to be as short as it becomes, is short enough the next time.
    lagMs = await settle(context, feeds, Math.max(context.limits.maxLagMs, lagMs));
    if (await attempt({ groups, feeds, timeoutMs: Math.min(budgetMs, longestMs), budgetMs: Math.max(budgetMs, Math.min(lagMs, longestBudget)) })) return;
    // What holds the locks may have been prepared by a process that died in the cut-over, and have come to its server only since somebody looked.
    await settlePrepared(context);
    budgetMs = Math.min(budgetMs * 2, longestBudget);
    await delay(waitMs * (0.5 + Math.random()), undefined, { signal: context.signal });
  }
}

function longestBudgetMs({ job, limits }: Pick<MoveContext, 'job' | 'limits'>): number {
  return job.options['drainTimeoutMs'] === undefined ? unaskedBudgetMs : limits.drainTimeoutMs;
}

/** Shorter than it takes a server to look for deadlocks: it might find that we wait for each other with a transaction, and end that one. */
async function longestWaitMs({ pools, job, limits, signal }: MoveContext): Promise<number> {
  const text = `SELECT setting FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout'`;
  const answers = await Promise.all(nodesOf(job.sources).map((node) => pools.get(node).query({ text }, { signal })));
  return Math.max(1, Math.floor(Math.min(limits.drainTimeoutMs, ...answers.map(({ rows }) => Number(rows[0]?.[0]) * 0.8))));
}

/** Before anybody waits. */
export async function acquireAll(pools: NodePools, nodes: readonly NodeId[], signal: AbortSignal): Promise<Map<NodeId, NodeConnection>> {
  const acquired = new Map<NodeId, NodeConnection>();
  try {
    for (const node of nodes) acquired.set(node, await pools.get(node).acquire({ signal }));
    return acquired;
  } catch (error) {
    for (const connection of acquired.values()) connection.release();
    throw error;
  }
}

/** What an attempt works with, until it is over. */
export interface AttemptConnections {
  readonly transaction: DistributedTransaction;
  /** To the sources, in no transaction. */
  readonly marking: ReadonlyMap<NodeId, NodeConnection>;
}

/** An attempt in a distributed transaction, which is committed behind `work`. False, and all rolled back, when that fails for want of time, or by one of the errors `again`. */
export async function attemptOnce(context: MoveContext, { groups, again = [] }: Pick<Attempt, 'groups'> & { readonly again?: readonly Error[] }, work: (connections: AttemptConnections) => Promise<void>): Promise<boolean> {
  const { signal, pools } = context;
  const transaction = context.begin(context.onStep);
  const marking = await acquireAll(pools, nodesOf(groups.sources), signal);
  try {
    await work({ transaction, marking });
    await transaction.commit({ signal });
    return true;
  } catch (error) {
    await transaction.rollback();
    if (isForWantOfTime(error) || again.some((one) => one === error)) return false;
    throw error;
  } finally {
    for (const connection of marking.values()) connection.release();
  }
}

/** In the attempt's transaction: nobody else changes the catalog any more, and the tables are as they were copied. Returns them as they are there. */
export async function lockUnchanged(context: MoveContext, coordinator: NodeConnection): Promise<MovedGroups> {
  const { job, signal } = context;
  await coordinator.query({ text: definitionSettings, simple: true }, { signal });
  await lockCatalog({ coordinator, signal });
  const groups = await readGroupsIn(coordinator, job, { signal });
  checkUnchanged(context, groups);
  return groups;
}

/** In the attempt's transaction: the job is past its cut-over. `moveInProgress` when another process was faster. */
export async function leaveCutOver(coordinator: NodeConnection, { job }: Pick<MoveContext, 'job'>, to: 'constrain' | 'done'): Promise<void> {
  const isOurs = await changeState(coordinator, { id: job.id, from: 'cut_over', to });
  if (!isOurs) throw new ClusterError('moveInProgress', `job ${job.id} was carried on by another process`);
}

/** However little is left. */
const drainMsMin = 10;
const tooSlow = new ClusterError('moveInProgress', 'the last changes did not arrive in time');

/** Whether an attempt may have failed for want of time alone. */
export function isForWantOfTime(error: unknown): boolean {
  return isLockConflict(error) || error === tooSlow;
}

/** The last changes, when all committed ones are applied; too late when they take longer than what is left of an attempt. */
export function drained(drains: readonly Promise<unknown>[], leftMs: number): Promise<unknown> {
  return inTime(Promise.all(drains), Math.max(leftMs, drainMsMin), tooSlow);
}
