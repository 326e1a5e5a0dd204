/**
 * A value as the source's output function wrote it, its UTF-8 bytes one character each (latin1), which is how COPY lines and keys are put together fastest; `null` is SQL NULL.
 * `undefined`: a large value that is stored outside the row and was not changed, so the log does not have it.
 */
export type StreamedValue = string | null | undefined;

/** In the order of the relation's columns. */
export type StreamedRow = readonly StreamedValue[];

export interface RelationColumn {
  readonly name: string;
  /** A part of the replica identity; each column is one when that is FULL. */
  readonly key: boolean;
  /** OID of its type on that server. */
  readonly type: number;
}

/** What a later change's relation is. Sent before the first change, and again after the table was changed. */
export interface RelationMessage {
  readonly kind: 'relation';
  readonly relation: number;
  readonly schema: string;
  readonly name: string;
  /** pg_class.relreplident. */
  readonly identity: string;
  readonly columns: readonly RelationColumn[];
}

/** The old row where the log has it: its key alone, other columns being NULL, or all of it. */
export type OldRow = { readonly kind: 'key' | 'full'; readonly row: StreamedRow };

export type ChangeMessage =
  | { readonly kind: 'insert'; readonly relation: number; readonly row: StreamedRow }
  /** Without an old row the key is unchanged, and stands in the new one. */
  | { readonly kind: 'update'; readonly relation: number; readonly old: OldRow | undefined; readonly row: StreamedRow }
  | { readonly kind: 'delete'; readonly relation: number; readonly old: OldRow }
  | { readonly kind: 'truncate'; readonly relations: readonly number[] };

/** Messages of plugin pgoutput, protocol version 1. Transactions come whole, in the order in which they committed. */
export type StreamMessage =
  /** `commit`: where the log has the transaction's end. `committedAt`: by the server's clock, in microseconds since 2000. */
  | { readonly kind: 'begin'; readonly commit: bigint; readonly committedAt: bigint }
  /** `end`: where the log goes on behind the transaction; what is asked for from there does not have it again. */
  | { readonly kind: 'commit'; readonly end: bigint }
  | RelationMessage
  | ChangeMessage
  /** Of pg_logical_emit_message. */
  | { readonly kind: 'marker'; readonly prefix: string; readonly content: string }
  /** Origins and types, which say nothing that is needed. */
  | { readonly kind: 'other' };
