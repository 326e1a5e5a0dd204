import type { CallOptions, NodeConnection } from '../cluster/node-connection.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { ReadRoute } from '../cluster/read-route.ts';
import type { WatchedTransaction } from './deadlock-watch.ts';
import type { SnapshotStep } from './commit-gate.ts';

/**
 * One transaction over any number of servers. Servers join lazily, at their first `join`; the coordinator database joins
 * under `coordinatorNodeId`. Commit: plain with at most one writer, else two-phase with the last agent's decision row.
 */
export interface DistributedTransaction {
  /** Unique in the cluster; names the transaction in gids, decision rows and error messages. */
  readonly id: string;
  /**
   * The transaction's connection to a server, in a transaction block (BEGIN is sent with the first statement, without a round trip of its own).
   * `write` marks the server as a participant whose work must be committed atomically with the others'.
   */
  join(node: NodeId, effect: 'read' | 'write', options?: CallOptions): Promise<NodeConnection>;
  /** The same of a server that has joined, at once; undefined where there is more to it. */
  joined?(node: NodeId, effect: 'read' | 'write'): NodeConnection | undefined;
  /** How the statements of one write come to their servers: side by side unless it says otherwise. */
  readonly order?: WriteOrder | undefined;
  /** What is run from here until one of the two is called can be undone. Only blocks of sessions can do that. */
  undoable?(options?: CallOptions): Promise<Undoable>;
  /** To be called when a statement has changed the modes that it began with: what they are now, as behind BEGIN. */
  hasModes?(modes: string): void;
  /** To be called after ROLLBACK TO SAVEPOINT: locks taken behind the savepoint are gone. */
  partUndone?(): void;
  /**
   * Joins every server and takes a snapshot of all that shows each two-phase transaction wholly or not at all; see `takeSnapshot`. For REPEATABLE READ and SERIALIZABLE, before
   * anything is read. When it fails the transaction can only be rolled back.
   */
  takeSnapshot?(options?: CallOptions): Promise<void>;
  /** All or nothing. On failure everything is rolled back and the cause thrown; `outcomeUnknown` if the decision could not be learned. */
  commit(options?: CallOptions): Promise<void>;
  /** Idempotent; never throws. */
  rollback(): Promise<void>;
}

/**
 * Writers of the same rows wait for each other on the first server that they meet at. Side by side is quickest; with the first server alone, and then the others, two that write rows of
 * all servers cannot meet crosswise; one by one no two can.
 */
export type WriteOrder = 'side_by_side' | 'first_alone' | 'one_by_one';

/** A part of a transaction, between a savepoint and its end. */
export interface Undoable {
  keep(): Promise<void>;
  /** Also after a statement has failed. */
  undo(): Promise<void>;
}

/** Is told of transactions over several servers. */
export interface TransactionWatch {
  enter(transaction: WatchedTransaction): void;
  leave(transaction: WatchedTransaction): void;
}

export interface BeginOptions {
  /** As it stands between BEGIN and the semicolon: `ISOLATION LEVEL REPEATABLE READ, READ ONLY`. Sent to every server. */
  readonly modes?: string;
  /** Its beginning goes into the names of prepared transactions, so that clusters leave each other's alone. */
  readonly clusterId: string;
  readonly watch?: TransactionWatch | undefined;
  readonly order?: WriteOrder | undefined;
  /** Where nodes are read, for as long as the modes are those of a transaction that can be on replicas: all of a node's statements on one server. The coordinator database joins as ever. */
  readonly reads?: ReadRoute | undefined;
  /** Called, and awaited, at each step of a two-phase commit. One that throws fails the commit there. For tests. */
  readonly onStep?: ((step: CommitStep) => void | Promise<void>) | undefined;
  /** The same at each step of taking a consistent snapshot. */
  readonly onSnapshotStep?: ((step: SnapshotStep) => void | Promise<void>) | undefined;
}

/** In order; those with `one` for each participant but the last agent. Up to `before_decision` the transaction can only abort, from `decided` on only commit. */
export const commitSteps = ['before_prepare', 'one_prepared', 'prepared', 'before_decision', 'decided', 'one_committed', 'committed'] as const;
export type CommitStep = (typeof commitSteps)[number];
