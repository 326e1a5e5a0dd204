import type { ClusterNode } from '../catalog/catalog-snapshot.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import type { DistributedTransaction } from '../txn/distributed-transaction.ts';

/** What changes of the cluster's definition need of it. */
export interface DdlContext {
  begin(): DistributedTransaction;
  /** Lets transactions join these servers. They may be newer than the snapshot, and need not be in the catalog in the end. */
  admitNodes(nodes: readonly ClusterNode[]): void;
  /** Closes the connections to a node that is not, or no longer, in the catalog. */
  dismissNode(node: NodeId): void;
  /** Called after each commit. */
  refreshCatalog(options?: CallOptions): Promise<unknown>;
  /** The search path under which names of tables are read; the coordinator connection's own when absent. */
  readonly searchPath?: readonly string[] | undefined;
  /** The change becomes a part of this transaction; nothing is begun, and the catalog is not refreshed. */
  readonly within?: Within | undefined;
}

/** A transaction of a session, which commits it. */
export interface Within {
  readonly transaction: DistributedTransaction;
  readonly lockTimeoutMs: number;
}
