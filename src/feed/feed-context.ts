import type { CustomTypesConfig } from 'pg';
import type { HashFamily } from '../catalog/catalog-snapshot.ts';
import type { DistributionType } from '../catalog/hash/distribution-type.ts';
import type { NodePools } from '../cluster/node-pools.ts';

/** What feeds need of the cluster. */
export interface FeedServices {
  readonly pools: NodePools;
  readonly clusterId: string;
  /** Makes newly added nodes known to the pools. */
  refreshCatalog(): Promise<unknown>;
}

/** A distributed or reference table whose changes a feed gives. */
export interface FedTable {
  /** Of the shell. */
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly isReference: boolean;
  /** Undefined for a reference table, and for one of one shard that has all rows. */
  readonly distribution: { readonly column: string; readonly type: DistributionType; readonly hash: HashFamily } | undefined;
}

/** How values become what the program sees. */
export type FeedTypes = Pick<CustomTypesConfig, 'getTypeParser'>;
