import type { NodeId } from '../catalog/ids.ts';
import type { LogPosition } from '../cluster/log-position.ts';
import { lsnText } from '../cluster/lsn.ts';
import type { NodeConnections } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import type { RecentCommit } from '../cluster/recent-commits.ts';
import { timelineSince } from '../replication/timeline-end.ts';
import { parseGid } from '../txn/gid.ts';
import type { RecoveryReport } from '../txn/recover.ts';

/** A transaction over several nodes that this process has committed, and one of them has not kept. */
export interface LostCommit {
  readonly transactionId: string;
  /** Ids of its other nodes, as far as they have replicas, and of that which has decided. */
  readonly keptOn: readonly number[];
}

/** A failover to a server that lacked the end of the old primary's log. */
export interface LostLog {
  /** Id of the node; 0 for the coordinator database. */
  readonly node: number;
  /** That the new primary has begun. */
  readonly timeline: number;
  /** The new primary has the old one's log up to here. */
  readonly keptUpTo: string;
  /** The old primary's log is known to have been as long as this, at least. */
  readonly knownUpTo: string;
  /** Bytes between the two: some may be of what was never acknowledged. */
  readonly bytes: number;
  readonly commits: readonly LostCommit[];
  readonly foundAt: Date;
}

/** What was recovered, and what cannot be. */
export interface ClusterRecoveryReport extends RecoveryReport {
  /** Failovers that have lost a part of the log, as far as this process has seen the old primary. None with synchronous replication, but for log that nobody was told of. */
  readonly lost: readonly LostLog[];
}

interface Loss extends Omit<LostLog, 'commits'> {
  readonly id: NodeId;
  /** That were behind the end, and are neither prepared nor decided on the new primary. */
  readonly commits: readonly RecentCommit[];
}

const lossesMax = 100;

/** Compares what was known of a node's log with what a failover has kept. Needs a role with the attribute REPLICATION. */
export class LogLosses {
  readonly #losses: Loss[] = [];
  readonly #checking = new Set<Promise<void>>();

  constructor(private readonly pools: () => NodePools) {}

  /** To be called when a node has another primary; `seen`: how far the old one's log was when it last answered. Never throws. */
  async check(id: NodeId, seen: LogPosition): Promise<void> {
    const checking: Promise<void> = this.#check(id, seen).catch(() => undefined).finally(() => this.#checking.delete(checking));
    this.#checking.add(checking);
    await checking;
  }

  /** The oldest first. */
  async list(): Promise<LostLog[]> {
    await Promise.all(this.#checking);
    return this.#losses.map(({ id, commits, ...loss }) => ({ ...loss, commits: commits.filter((commit) => isBefore(commit, id, loss.timeline)).map((commit) => lostCommit(commit, id)) }));
  }

  async #check(id: NodeId, seen: LogPosition): Promise<void> {
    const { commits } = this.pools();
    const node = this.pools().get(id);
    const furthest = commits?.furthest(id, seen.timeline) ?? 0n;
    const known = furthest > seen.lsn ? furthest : seen.lsn;
    const since = await timelineOf(node, seen.timeline);
    if (since?.end === undefined || since.end >= known) return;
    const { timeline, end } = since;
    const behind = commits?.behind(id, { timeline, end }) ?? [];
    const kept = await keptOn(node, behind);
    this.#losses.push({
      id, node: id, timeline, keptUpTo: lsnText(end), knownUpTo: lsnText(known), bytes: Number(known - end), foundAt: new Date(), commits: behind.filter(({ transactionId }) => !kept.has(transactionId)),
    });
    if (this.#losses.length > lossesMax) this.#losses.shift();
  }
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
