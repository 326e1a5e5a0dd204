import type { CustomTypesConfig } from 'pg';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnection, NodeNotice, ParsedQuery, RawResult } from '../cluster/node-connection.ts';
import type { QueryResult } from 'pg';
import type { DistributedTransaction, Undoable } from '../txn/distributed-transaction.ts';
import type { NodeBatch } from '../txn/run-batches.ts';

export type Effect = 'read' | 'write';

/**
 * Where one statement runs: outside a transaction, on shared connections; or in the connections of a session's transaction, with
 * its settings. Execution sees no difference.
 */
export interface StatementScope {
  readonly snapshot: CatalogSnapshot;
  readonly signal: AbortSignal | undefined;
  readonly onNotice: ((notice: NodeNotice) => void) | undefined;
  /** One statement on one node. */
  run(node: NodeId, query: ParsedQuery, effect: Effect): Promise<RawResult>;
  /** The same, parsed by pg. */
  runParsed(node: NodeId, query: ParsedQuery, effect: Effect): Promise<QueryResult>;
  /** Holds one connection to a node for several statements, in the transaction if there is one. */
  withConnection<T>(node: NodeId, effect: Effect, use: (connection: NodeConnection) => Promise<T>): Promise<T>;
  /**
   * Runs `work` in the session's transaction, or in one of its own that commits when it is done: for writes to several shards. What is read in `steady` is read in that
   * transaction. Work that may be done again is so when its own transaction was given up in a deadlock: its writes then come to one server after the other.
   */
  atomically<T>(work: AtomicWork<T>, how?: AtomicHow): Promise<T>;
  /** Runs a write's statements, all nodes side by side: in the session's transaction, or as a whole one of their own. */
  writeBatches(batches: readonly NodeBatch[]): Promise<RawResult[][]>;
  /** Whether the session is in a transaction block. */
  readonly inTransaction: boolean;
  /** Whether all statements for the coordinator database go over one connection: then none runs beside rows that are read there in parts. */
  readonly hasOneCoordinator: boolean;
  /** For a statement that takes several steps: one connection and, unless the session's transaction says otherwise, one snapshot for each server. */
  steady(): SteadyScope;
  /** What is run from here until one of the two is called can be undone: in a transaction block it stands behind a savepoint. */
  undoable(): Promise<Undoable>;
}

export interface AtomicHow {
  readonly mayRunAgain: boolean;
}

/** Of a statement whose every effect is undone with its transaction. */
export const mayRunAgain: AtomicHow = { mayRunAgain: true };

export type AtomicWork<T> = (transaction: DistributedTransaction, options: CallOptions, steady: SteadyScope) => Promise<T>;

/** Outside a transaction block a failed reading has left nothing. */
export const nothingToUndo: Undoable = { keep: () => Promise.resolve(), undo: () => Promise.resolve() };

/** A statement's scope with all its connections held until `end`. */
export interface SteadyScope extends StatementScope {
  /** Why no temporary tables may be made, so that intermediate results are held in memory: a session's own transaction would be kept from being prepared, and replicas make none. */
  readonly memoryOf: 'block' | 'replica' | undefined;
  /** The connection to a server, in a transaction, for reading. */
  join(node: NodeId): Promise<NodeConnection>;
  /** A name for a cursor or temporary table that nothing else in the statement has: an identifier that needs no quotes. */
  uniqueName(): string;
  /** What was written is kept: committed, unless it is the session's own transaction. */
  keep(): Promise<void>;
  /** Gives the connections back; what was made on them and not kept is gone. Never throws. */
  end(): Promise<void>;
}

/** How the caller wants its rows. */
export interface ResultOptions {
  readonly rowMode?: string | undefined;
  readonly types?: CustomTypesConfig | undefined;
  /** A prepared statement's name. */
  readonly name?: string | undefined;
  /** Of a query: fails with `ResultTooLong` rather than hold many more bytes than these. */
  readonly wholeBytesMax?: number | undefined;
}
