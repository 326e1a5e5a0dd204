import type { LineEnd } from './line-end.ts';

/**
 * The rows found in one piece of a COPY stream, as positions in `bytes`: no object per row. Everything is valid until the
 * splitter's next call.
 */
export interface RowBatch {
  bytes: Buffer;
  count: number;
  /** Row i is the bytes from `starts[i]` to before `ends[i]`, line end included. Rows may lie apart (a header, an end marker). */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /**
   * The distribution column's field as it stands in the row, escapes and quotes included. `valueStarts[i]` is -1 when the
   * row has no such field; `valueEnds[i]` is below `valueStarts[i]` for a binary NULL.
   */
  readonly valueStarts: Int32Array;
  readonly valueEnds: Int32Array;
  /** Lines that PostgreSQL counts for the row: 1, and one for each line end within quotes. 1 in binary. */
  readonly lineCounts: Int32Array;
}

/** Rows a batch holds. */
export const batchRows = 4096;

export function emptyBatch(): RowBatch {
  return {
    bytes: Buffer.alloc(0),
    count: 0,
    starts: new Int32Array(batchRows),
    ends: new Int32Array(batchRows),
    valueStarts: new Int32Array(batchRows),
    valueEnds: new Int32Array(batchRows),
    lineCounts: new Int32Array(batchRows),
  };
}

/** What a scanner reports as wrong; the line's number is known to the splitter. */
export interface CopyDefect {
  readonly message: string;
  readonly hint?: string;
  /** Lines of the row before the one that is wrong. */
  readonly linesBefore?: number;
  /** It is wrong before the first row: PostgreSQL names no line then. */
  readonly beforeRows?: boolean;
}

/** Where a scan stopped. */
export interface ScanEnd {
  /** Bytes used up: the rest belongs to a row that is not complete yet. */
  readonly consumed: number;
  /** An end marker was read: what follows is not data. */
  readonly finished: boolean;
  /** The row at `consumed` is wrong; the rows in the batch come before it. */
  readonly defect: CopyDefect | undefined;
}

/** Finds rows. A row that is not complete is scanned again from its start when there is more of it. */
export interface RowScanner {
  /** As the rows found so far end; undefined in binary. */
  readonly lineEnd: LineEnd | undefined;
  /** Fills `batch` (its `bytes` from `from` on) until it is full or the bytes are used up. `last`: no bytes follow these. */
  scan(batch: RowBatch, from: number, last: boolean): ScanEnd;
}
