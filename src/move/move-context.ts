import type { NodeConnection } from '../cluster/node-connection.ts';
import type { ClusterNode } from '../catalog/catalog-snapshot.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import type { CommitStep, DistributedTransaction } from '../txn/distributed-transaction.ts';
import type { StoredJob } from '../store/jobs.ts';
import type { ChangeFeed } from './change-feed.ts';
import type { MoveStep } from './move-state.ts';
import type { RateLimit } from './rate-limit.ts';

/** What jobs need of the cluster. */
export interface MoveServices {
  readonly pools: NodePools;
  readonly clusterId: string;
  begin(onStep?: (step: CommitStep) => void | Promise<void>): DistributedTransaction;
  refreshCatalog(): Promise<unknown>;
  /** Until it is disposed of these servers can be reached under their ids, though they may not be in the catalog, or not yet in what this process knows of it. */
  admitNodes(nodes: readonly ClusterNode[]): Disposable;
}

/** How a move is done; each has a default. */
export interface MoveLimits {
  /** The longest that statements for the shard group wait for one attempt to cut over: 500 ms; if it is not given up to 4 s, where the last changes do not arrive in less. */
  readonly drainTimeoutMs: number;
  /** How long the old shards are kept: not at all. */
  readonly retainMs: number;
  /**
   * Whether the new shards are compared with the old ones before the cut-over: every row, or, with `'sample'`, the number of rows and every 16th of them. True by default.
   */
  readonly verify: boolean | 'sample';
  /** How many bytes of rows and changes may pass in a second, until the last changes: any number by default. Below the rate at which changes come, a move comes to no end. */
  readonly maxBytesPerSecond?: number | undefined;
  /** How much of its log a source may keep for the move, which is undone when it is more: any number of bytes by default. */
  readonly maxRetainedBytes?: number | undefined;
  /** How long a change may take from a source to a target when the cut-over begins: 250 ms. */
  readonly maxLagMs: number;
}

export const defaultMoveLimits: MoveLimits = { drainTimeoutMs: 500, retainMs: 0, verify: true, maxLagMs: 250 };

/** How far a move is. Numbers are of the state that they belong to, and stay behind it. */
export interface MoveProgress {
  readonly bytesTotal?: number;
  readonly bytesCopied?: number;
  readonly rowsCopied?: number;
  readonly changesApplied?: number;
  /** Round trip of a change through the log to the target. */
  readonly lagMs?: number;
  /** Rows that were compared, of both sides together. */
  readonly rowsVerified?: number;
  /** What a source keeps of its log for the move. */
  readonly retainedBytes?: number;
  /** What a step failed with that is tried again; null when it went on. */
  readonly trouble?: string | null;
}

export interface MoveOptions {
  readonly onStep?: ((step: MoveStep | CommitStep) => void | Promise<void>) | undefined;
}

/** A job while a process works on it. */
export interface MoveContext extends MoveServices {
  readonly job: StoredJob;
  readonly limits: MoveLimits;
  /** The connection to the coordinator database that holds the job's lock: when it is lost, this process does nothing more. */
  readonly claim: NodeConnection;
  readonly signal: AbortSignal;
  readonly onStep: MoveOptions['onStep'];
  /** The changes of each source node that are being applied; started by who first needs them, ended with the context. */
  readonly feeds: Map<NodeId, ChangeFeed>;
  /** Of all rows and changes that pass. */
  readonly rate: RateLimit;
  report(progress: MoveProgress): void;
}

export interface MoveNames {
  /** One of all databases of its server, of which several may be nodes. */
  readonly slot: (node: NodeId) => string;
  readonly publication: string;
  readonly staging: string;
  readonly retired: string;
}

/** Names of what a job makes on its nodes. */
export function namesOf({ clusterId, job }: Pick<MoveContext, 'clusterId' | 'job'>): MoveNames {
  const own = `shardwright_move_${clusterId.replaceAll('-', '').slice(0, 8)}_${job.id}`;
  return { slot: (node) => `${own}_${node}`, publication: own, staging: `${own}_new`, retired: `${own}_old` };
}
