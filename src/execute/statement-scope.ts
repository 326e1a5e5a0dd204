import type { CustomTypesConfig } from 'pg';
import type { CatalogSnapshot } from '../catalog/catalog-snapshot.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions, NodeConnection, NodeNotice, ParsedQuery, RawResult } from '../cluster/node-connection.ts';
import type { QueryResult } from 'pg';
import type { DistributedTransaction } from '../txn/distributed-transaction.ts';

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
   * Runs `work` in the session's transaction, or in one of its own that commits when it is done: for writes to several shards.
   */
  atomically<T>(work: (transaction: DistributedTransaction, options: CallOptions) => Promise<T>): Promise<T>;
  /** Whether the session is in a transaction block. */
  readonly inTransaction: boolean;
}

/** How the caller wants its rows. */
export interface ResultOptions {
  readonly rowMode?: string | undefined;
  readonly types?: CustomTypesConfig | undefined;
  /** A prepared statement's name. */
  readonly name?: string | undefined;
}
