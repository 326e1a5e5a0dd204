import type { CatalogSnapshot, CatalogTable } from '../catalog/catalog-snapshot.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { CallOptions } from '../cluster/node-connection.ts';
import type { NodePools } from '../cluster/node-pools.ts';
import type { DistributedTransaction } from '../txn/distributed-transaction.ts';
import type { RowDifference } from './row-difference.ts';

/** What verifying needs of the cluster. */
export interface VerifyServices {
  readonly pools: NodePools;
  /** `modes` as behind BEGIN. */
  begin(modes: string): DistributedTransaction;
  /** The catalog as it is now, or newer than the call. */
  newestCatalog(options?: CallOptions): Promise<CatalogSnapshot>;
}

/** How far `cluster.verify()` is. */
export interface VerifyProgress {
  readonly schema: string;
  readonly table: string;
  /** Shards and copies of all tables, and how many of them are done. */
  readonly shardsTotal: number;
  readonly shardsDone: number;
  /** Looked at so far. */
  readonly rows: number;
}

export interface VerifyOptions extends CallOptions {
  /** How many differences of one table are wanted: 100. */
  readonly differencesMax?: number | undefined;
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined;
}

/** A table while it is verified. */
export interface TableCheck extends CallOptions {
  readonly services: VerifyServices;
  readonly table: CatalogTable;
  readonly differencesMax: number;
  /** Rows were looked at. */
  read(rows: number): void;
  /** A shard or copy is done. */
  done(): void;
}

/** What was found in a table. */
export interface FoundRows {
  readonly differences: readonly RowDifference[];
  /** False when there may be more. */
  readonly complete: boolean;
}

/** Behind BEGIN. */
export const snapshotModes = 'ISOLATION LEVEL REPEATABLE READ, READ ONLY';

export function nodeName(services: VerifyServices, node: NodeId): string {
  return services.pools.get(node).name;
}
