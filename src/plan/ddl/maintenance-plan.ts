import type { CatalogTable } from '../../catalog/catalog-snapshot.ts';

/**
 * VACUUM, ANALYZE, REINDEX, CLUSTER: nothing that a definition shows. The coordinator database runs the statement as it is; then each shard gets one of its own, in no transaction that spans them: it
 * does no harm if only some are done.
 */
export interface MaintenancePlan {
  readonly kind: 'maintenance';
  readonly text: string;
  readonly parts: readonly MaintenancePart[];
  /** Given where it is about all tables, or a server's own: what a node runs whose database has this name. */
  readonly everywhere: ((database: string) => string) | undefined;
}

/** The statement for one of the tables that it names. */
export interface MaintenancePart {
  readonly table: CatalogTable;
  /** The index that is named in the table's place. */
  readonly index: string | undefined;
  /** By what `named` makes of names: qualified, of the shard or of its index; and of another index behind it. */
  readonly text: (names: { readonly relation: string; readonly part: (name: string) => string }) => string;
}

/** LOCK TABLE: the shards get the lock as well. */
export interface LockPlan {
  readonly kind: 'lock';
  readonly text: string;
  readonly tables: readonly CatalogTable[];
  /** As it stands between IN and MODE. */
  readonly mode: string;
  readonly nowait: boolean;
}

/** CREATE or DROP INDEX CONCURRENTLY: outside of any transaction, shard by shard. */
export interface ConcurrentIndexPlan {
  readonly kind: 'concurrent_index';
  readonly command: 'CREATE' | 'DROP';
  /** The statement without CONCURRENTLY. */
  readonly text: string;
  /** As it was written, for the coordinator database to refuse it in a transaction block. */
  readonly written: string;
  readonly table: CatalogTable;
  /** The name of the index, if it was given one. */
  readonly index: string | undefined;
}
