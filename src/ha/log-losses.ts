import { throwIfAborted } from '../base/abort.ts';
import { coordinatorNodeId } from '../catalog/coordinator-node.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { LogPosition } from '../cluster/log-position.ts';
import type { CallOptions, NodeConnections } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import type { RecentCommit } from '../cluster/recent-commits.ts';
import { timelineSince } from '../replication/timeline-end.ts';
import { type FoundLoss, keepLossesMs, listLosses, lossesMax, type LostCommit, type LostLog, lostLog, storeLosses } from '../store/lost-logs.ts';
import { parseGid } from '../txn/gid.ts';
import type { RecoveryReport } from '../txn/recover.ts';

/** What was recovered, and what cannot be. */
export interface ClusterRecoveryReport extends RecoveryReport {
  /**
   * Failovers that have lost a part of the log, the oldest first, as far as a process has seen the old primary, and has lived to write it down: those of the last 7 days, 100 at most. None with synchronous replication, but for log that nobody
   * was told of. Where the coordinator database does not answer, which is among `left`, those that this process has found.
   */
  readonly lost: readonly LostLog[];
}

interface Loss extends Pick<FoundLoss, 'node' | 'timeline' | 'keptUpTo' | 'knownUpTo'> {
  readonly id: NodeId;
  readonly foundAt: Date;
  /** That were behind the end, and are neither prepared nor decided on the new primary. */
  readonly commits: readonly RecentCommit[];
}

/** Compares what was known of a node's log with what a failover has kept. Needs a role with the attribute REPLICATION. */
export class LogLosses {
  readonly #losses: Loss[] = [];
  /** As the coordinator database has them: how many of its commits are lost. */
  readonly #stored = new Map<Loss, number>();
  readonly #checking = new Set<Promise<void>>();

  constructor(private readonly pools: () => NodePools) {}

  /** To be called when a node has another primary; `seen`: how far the old one's log was when it last answered. Never throws. */
  async check(id: NodeId, seen: LogPosition): Promise<void> {
    // It may have lost what was stored.
    if (id === coordinatorNodeId) this.#stored.clear();
    const checking: Promise<void> = this.#check(id, seen).catch(() => undefined).finally(() => this.#checking.delete(checking));
    this.#checking.add(checking);
    await checking;
  }

  /** Writes down for all processes what is not written yet; asks no server when there is nothing. What cannot be stored is kept for the next time. */
  async store(options?: CallOptions): Promise<void> {
    const news = this.#losses.map((loss) => ({ loss, found: foundLoss(loss) })).filter(({ loss, found }) => found.ageMs < keepLossesMs && this.#stored.get(loss) !== found.commits.length);
    if (news.length === 0) return;
    await storeLosses(this.pools().get(coordinatorNodeId), news.map(({ found }) => found), options);
    for (const { loss, found } of news) this.#stored.set(loss, found.commits.length);
  }

  /** What all processes have found; `left` when the coordinator database could not be asked, then what this one has. Throws only `canceled`. */
  async report(options: CallOptions): Promise<Pick<ClusterRecoveryReport, 'lost' | 'left'>> {
    await Promise.all(this.#checking);
    try {
      await this.store(options);
      return { lost: await listLosses(this.pools().get(coordinatorNodeId), options), left: [] };
    } catch (reason) {
      throwIfAborted(options.signal);
      const lost = this.#losses.map((loss) => lostLog({ ...foundLoss(loss), foundAt: loss.foundAt }));
      return { lost, left: [{ node: coordinatorNodeId, gid: undefined, reason }] };
    }
  }

  async #check(id: NodeId, seen: LogPosition): Promise<void> {
    const { commits } = this.pools();
    const node = this.pools().get(id);
    const furthest = commits?.furthest(id, seen.timeline) ?? 0n;
    const knownUpTo = furthest > seen.lsn ? furthest : seen.lsn;
    const since = await timelineOf(node, seen.timeline);
    if (since?.end === undefined || since.end >= knownUpTo) return;
    const { timeline, end } = since;
    const behind = commits?.behind(id, { timeline, end }) ?? [];
    const kept = await keptOn(node, behind);
    this.#losses.push({ id, node: id, timeline, keptUpTo: end, knownUpTo, foundAt: new Date(), commits: behind.filter(({ transactionId }) => !kept.has(transactionId)) });
    for (const oldest of this.#losses.splice(0, this.#losses.length - lossesMax)) this.#stored.delete(oldest);
    await this.store();
  }
}

/** As it is now. */
function foundLoss({ id, node, timeline, keptUpTo, knownUpTo, foundAt, commits }: Loss): FoundLoss {
  const isLost = (commit: RecentCommit): boolean => isBefore(commit, id, timeline);
  return {
    node, timeline, keptUpTo, knownUpTo, ageMs: Date.now() - foundAt.getTime(),
    commits: commits.filter(isLost).map((commit) => lostCommit(commit, id)),
    notLost: commits.filter((commit) => !isLost(commit)).map(({ transactionId }) => transactionId),
  };
}

async function timelineOf(node: NodeConnections, known: number): ReturnType<typeof timelineSince> {
  const connection = await node.replicate();
  try {
    return await timelineSince(connection, known);
  } finally {
    await connection.end();
  }
}

/** Ids of those that the new primary has: prepared, to be finished by recovery, or decided. */
async function keptOn(node: NodeConnections, commits: readonly RecentCommit[]): Promise<Set<string>> {
  if (commits.length === 0) return new Set();
  const text = `
    SELECT gid, NULL FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database() AND gid LIKE 'shardwright:%'
    UNION ALL SELECT NULL, transaction_id FROM shardwright.decision WHERE outcome = 'commit' AND transaction_id = ANY ($1::text[])`;
  const { rows } = await node.query({ text, values: [commits.map(({ transactionId }) => transactionId)] });
  return new Set(rows.map(([gid, decided]) => decided ?? parseGid(gid ?? '')?.transactionId ?? ''));
}

/** Its part was finished on the new primary meanwhile, otherwise. */
function isBefore({ parts }: RecentCommit, node: NodeId, timeline: number): boolean {
  return (parts.get(node)?.timeline ?? timeline) < timeline;
}

function lostCommit({ transactionId, decisionNode, parts }: RecentCommit, lostOn: NodeId): LostCommit {
  const nodes = new Set([decisionNode, ...parts.keys()]);
  return { transactionId, keptOn: [...nodes].filter((node) => node !== lostOn) };
}
