import { binaryHeader, binaryTrailer } from './binary-scanner.ts';
import type { CopyFormat } from './copy-options.ts';
import { carriageReturn } from './line-end.ts';
import { viewedBytes } from './viewed-bytes.ts';
import type { ViewedBytes } from './viewed-bytes.ts';

/** Longer ranges are copied by the engine's memory copy, whose call costs 0.2 µs. */
const shortBytes = 128;

/** Room that a buffer needs besides its rows. */
export const envelopeBytes: number = binaryHeader.length + binaryTrailer.length;

const firstLinesMax = 1024;
/** Rows shorter than this fill a buffer by their number: their line numbers are kept too. */
const rowBytesMin = 16;

/** Rows for one shard, to be sent as one COPY, and the caller's line of each. Reused. */
export class ShardBuffer {
  readonly #target: ViewedBytes;
  readonly #format: CopyFormat;
  readonly #linesMax: number;
  #length = 0;
  #rows = 0;
  /** The caller's line, less `#baseLine`, of each line that the shard's server counts. */
  #lines = new Uint32Array(firstLinesMax);
  #lineCount = 0;
  #baseLine = 0;
  /** Of the shard group. */
  ordinal = 0;

  constructor(
    readonly capacity: number,
    format: CopyFormat,
  ) {
    this.#target = viewedBytes(Buffer.allocUnsafeSlow(capacity));
    this.#format = format;
    this.#linesMax = Math.ceil(capacity / rowBytesMin);
    this.clear(0);
  }

  get rows(): number {
    return this.#rows;
  }

  get length(): number {
    return this.#length;
  }

  clear(ordinal: number): void {
    this.ordinal = ordinal;
    this.#rows = 0;
    this.#lineCount = 0;
    this.#length = this.#format === 'binary' ? binaryHeader.copy(this.#target.bytes) : 0;
  }

  /** Whether a row of so many bytes and lines may be appended. */
  fits(bytes: number, lines: number): boolean {
    if (this.#length + bytes + binaryTrailer.length > this.capacity) return false;
    return this.#rows === 0 || this.#lineCount + lines <= this.#linesMax;
  }

  /** A part of a row; the caller asked `fits` for the whole. */
  append(source: ViewedBytes, start: number, end: number): void {
    const offset = this.#length;
    this.#length = offset + end - start;
    if (end - start > shortBytes) {
      source.bytes.copy(this.#target.bytes, offset, start, end);
      return;
    }
    // 40 ns for 60 bytes. As 32-bit integers: with floats of 64 bits it were less, but an engine may change the bits of a NaN.
    const { view } = source;
    const target = this.#target.view;
    let from = start;
    let to = offset;
    for (; from + 4 <= end; from += 4, to += 4) target.setInt32(to, view.getInt32(from, true), true);
    for (; from < end; from += 1, to += 1) target.setUint8(to, view.getUint8(from));
  }

  /**
   * Ends a row whose first line was `line` and that counts `lines`. `lineFeeds`: line feeds within quotes counted in it. The shard's
   * server does not know yet, in its first row, how lines end, and counts carriage returns there. (A row's errors are in its last line.)
   */
  closeRow(line: number, lines: number, lineFeeds: boolean): void {
    if (this.#rows === 0) this.#baseLine = line;
    if (this.#rows === 0 && lineFeeds && this.#format === 'csv') {
      for (let count = 1 + this.#carriageReturns(); count > 0; count -= 1) this.#addLines(line + lines - 1, 1);
    } else if (lines === 1 && this.#lineCount < this.#lines.length) {
      this.#lines[this.#lineCount] = line - this.#baseLine;
      this.#lineCount += 1;
    } else {
      this.#addLines(line, lines);
    }
    this.#rows += 1;
  }

  /** The caller's line of line `line` (from 1) of this COPY. */
  lineOf(line: number): number {
    const index = Math.min(Math.max(line, 1), Math.max(this.#lineCount, 1)) - 1;
    return this.#baseLine + (this.#lines[index] ?? 0);
  }

  /** The whole stream of the COPY. Valid until the next `clear`. */
  stream(): Buffer {
    if (this.#format !== 'binary') return this.#target.bytes.subarray(0, this.#length);
    binaryTrailer.copy(this.#target.bytes, this.#length);
    return this.#target.bytes.subarray(0, this.#length + binaryTrailer.length);
  }

  /** In all that was appended. */
  #carriageReturns(): number {
    const { bytes } = this.#target;
    let count = 0;
    for (let at = bytes.indexOf(carriageReturn); at >= 0 && at < this.#length; at = bytes.indexOf(carriageReturn, at + 1)) count += 1;
    return count;
  }

  #addLines(line: number, lines: number): void {
    const total = this.#lineCount + lines;
    if (total > this.#lines.length) {
      const larger = new Uint32Array(Math.max(total, 2 * this.#lines.length));
      larger.set(this.#lines);
      this.#lines = larger;
    }
    for (let i = 0; i < lines; i += 1) this.#lines[this.#lineCount + i] = line + i - this.#baseLine;
    this.#lineCount = total;
  }
}
