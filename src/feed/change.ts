/** What every event of a change feed has. */
interface FeedEvent {
  /** The same whenever the event comes again, and no other's of its feed. */
  readonly id: string;
  /** Of the table in the coordinator database, by its name of today. */
  readonly schema: string;
  readonly table: string;
  /** From here the feed goes on behind this event; undefined for rows of a snapshot, in which it cannot. */
  readonly cursor: string | undefined;
  /** Of the part of the transaction that was made on one node: its events come one after the other. */
  readonly transaction: string;
  readonly endsTransaction: boolean;
  /** By the node's clock; of a snapshot's rows, undefined. */
  readonly committedAt: Date | undefined;
  /** Id of the node. */
  readonly node: number;
}

interface RowEvent<Row> extends FeedEvent {
  /** Of the row's distribution value, or of the old one where the row is gone: int32, as `cluster.shards()` has them. Undefined for tables without a distribution column, and for a value that only a server can hash. */
  readonly hash: number | undefined;
  /** The columns of the replica identity (the primary key, unless the table says otherwise), as they were before the change. All columns with REPLICA IDENTITY FULL. */
  readonly key: Partial<Row>;
}

export interface InsertEvent<Row> extends RowEvent<Row> {
  readonly kind: 'insert';
  readonly row: Row;
  /** Whether the row was there when the feed was made. */
  readonly snapshot: boolean;
}

export interface UpdateEvent<Row> extends RowEvent<Row> {
  readonly kind: 'update';
  /** All columns but those `unchanged`. */
  readonly row: Partial<Row>;
  /** Columns whose values are large, stored outside of the row, and not changed: the log does not have them. */
  readonly unchanged: readonly string[];
  /** The whole row before, where the table has REPLICA IDENTITY FULL. */
  readonly old: Row | undefined;
}

export interface DeleteEvent<Row> extends RowEvent<Row> {
  readonly kind: 'delete';
  readonly old: Row | undefined;
}

/**
 * TRUNCATE of one shard: the rows with these hashes are gone, both ends included. A TRUNCATE of the table is one such event for each shard, and nodes do not wait for each other: rows with other hashes may have been
 * given already that were written after it. Undefined for a table without a distribution column, all of whose rows are gone.
 */
export interface TruncateEvent extends FeedEvent {
  readonly kind: 'truncate';
  readonly hashes: { readonly min: number; readonly max: number } | undefined;
}

/** The rows of all tables follow as inserts. Whatever the receiver has of the feed is of a snapshot that was not finished, and of no use any more. */
export interface SnapshotBeginEvent {
  readonly kind: 'snapshot_begin';
  readonly id: string;
  readonly cursor: undefined;
}

/** All rows were there; changes follow. Confirm its cursor, or the snapshot begins again when the feed is opened the next time. */
export interface SnapshotEndEvent {
  readonly kind: 'snapshot_end';
  readonly id: string;
  readonly cursor: string;
}

/** One event of a change feed. Values are what `query` gives: parsed by pg's parsers. Generated columns are left out. */
export type Change<Row = Record<string, unknown>> = InsertEvent<Row> | UpdateEvent<Row> | DeleteEvent<Row> | TruncateEvent | SnapshotBeginEvent | SnapshotEndEvent;
