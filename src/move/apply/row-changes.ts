import type { ChangeMessage, StreamedRow } from '../../replication/pgoutput/message.ts';

/** A change of one table. */
export type RowChange = Exclude<ChangeMessage, { readonly kind: 'truncate' }>;

/** A row some of whose values the stream did not have: they stand in the row that had the key `base` before. */
export interface PartialRow {
  readonly base: StreamedRow;
  readonly row: StreamedRow;
}

/**
 * What a batch of changes comes to, for one table. Applied in this order no unique constraint is violated on the way, whatever the rows did in between: what goes, goes before anything
 * comes, and all that is there at any time is a part of what will be there.
 */
export interface NetChanges {
  /** Everything that was there before goes first. */
  readonly truncate: boolean;
  /** Keys of the rows that go, or whole rows where there is no key; one of several equal rows for each. */
  readonly removed: readonly StreamedRow[];
  /** Rows that go and come at once. Only tables with a key have them. */
  readonly partial: readonly PartialRow[];
  readonly added: readonly StreamedRow[];
}

/** Gathers the changes of one table in the order in which they were made. */
export interface RowChanges {
  note(change: RowChange): void;
  truncate(): void;
  net(): NetChanges;
}

/** One text for equal lists of values: no value has a zero byte. */
export function rowText(values: StreamedRow): string {
  let text = '';
  for (const value of values) text += value === null || value === undefined ? '\0n' : `\0t${value}`;
  return text;
}
