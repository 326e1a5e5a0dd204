import type { RawRow } from '../../cluster/node-connection.ts';

/** The state of one aggregate in one group. */
export interface Accumulator {
  /** Takes one row of partial results. */
  add(row: RawRow): void;
  /** The aggregate's value in the server's text output; null is NULL. May throw `numericOverflow`. */
  result(): string | null;
}
