import type { ChangeMessage, RelationMessage } from '../replication/pgoutput/message.ts';
import type { NodeId } from '../catalog/ids.ts';
import type { Cut } from './cut.ts';

/** A change of rows as the log has it; a TRUNCATE of several tables is one for each. */
export type RowMessage = Exclude<ChangeMessage, { readonly kind: 'truncate' }> | { readonly kind: 'truncate'; readonly relation: number };

export interface ChangeItem {
  readonly kind: 'change';
  readonly change: RowMessage;
  readonly relation: RelationMessage;
  /** Where the log has the end of its transaction. */
  readonly commit: bigint;
  /** Microseconds since 2000. */
  readonly committedAt: bigint;
  /** Its place in the transaction. */
  readonly index: number;
  readonly bytes: number;
}

/** What comes of a node's log, in order. A transaction without changes or cut-overs leaves nothing. */
export type StreamItem =
  | ChangeItem
  | { readonly kind: 'cut'; readonly cut: Cut; readonly commit: bigint; readonly bytes: number }
  /** The end of a transaction; `end`: where the log goes on. */
  | { readonly kind: 'commit'; readonly end: bigint; readonly bytes: number };

/** A node's items that have come and were not taken. */
export interface ItemQueue {
  readonly node: NodeId;
  /** The first one, or the one behind it; undefined when it has not come yet. */
  peek(place?: 0 | 1): StreamItem | undefined;
  take(): void;
}
