import { setTimeout as delay } from 'node:timers/promises';
import { ClusterError } from '../../base/errors.ts';
import { inTime } from '../../base/in-time.ts';
import type { NodeId } from '../../catalog/ids.ts';
import type { NodeConnection } from '../../cluster/node-connection.ts';
import type { NodePools } from '../../cluster/node-pools.ts';
import type { MoveContext } from '../move-context.ts';
import { type MovedGroups, nodesOf } from '../moved-tables.ts';
import { settlePrepared } from '../settle-prepared.ts';
import { unchangedGroups } from '../unchanged-group.ts';
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
