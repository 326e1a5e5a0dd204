import type { LineEnd } from './line-end.ts';
import type { CopyDefect } from './row-batch.ts';

/** One row as a reader found it; a reader fills the same object again and again. */
export interface RowSpan {
  /** After the line end. */
  end: number;
  /** Before the line end. */
  contentEnd: number;
  /** The distribution column's field; `valueStart` is -1 when the row is too short. */
  valueStart: number;
  valueEnd: number;
  lineCount: number;
}

/**
 * `incomplete`: more bytes are needed. `finished`: an end marker. `last_row`: a row, then an end marker in the same line.
 */
export type RowOutcome = 'row' | 'last_row' | 'incomplete' | 'finished' | CopyDefect;

/** Reads rows byte by byte: for those that hold more than plain characters. Learns the line end from the first row. */
export interface RowReader {
  lineEnd: LineEnd;
  readonly span: RowSpan;
  /** The row that starts at `start`; only when `last` may it lack a line end. */
  read(bytes: Buffer, start: number, last: boolean): RowOutcome;
}

export interface RowReaderOptions {
  /** Byte. */
  readonly delimiter: number;
  /** Position of the distribution column among the fields, from 0; -1 when it is not among them. */
  readonly field: number;
  /** server_version_num: end markers differ before and after 18. */
  readonly serverVersion: number;
}

export function emptySpan(): RowSpan {
  return { end: 0, contentEnd: 0, valueStart: -1, valueEnd: -1, lineCount: 1 };
}
