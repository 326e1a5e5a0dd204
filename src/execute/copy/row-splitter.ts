import { copyDefectError } from './copy-error.ts';
import { emptyBatch } from './row-batch.ts';
import type { RowBatch, RowScanner } from './row-batch.ts';

/** An incomplete row longer than this is not looked at again before its bytes have doubled, so that time stays linear. */
const patienceBytes = 1 << 12;

/**
 * Cuts a COPY stream, which comes in pieces of any size, into rows.
 *
 * Use: `push` a piece, then `next` until it returns undefined; after the last piece `finish`, then `next` again. Rows are found
 * in the piece itself; only a row that spans pieces is copied. Memory: the longest row, twice.
 */
export class RowSplitter {
  readonly #scanner: RowScanner;
  readonly #relation: string;
  readonly #batch: RowBatch = emptyBatch();
  #carry: Buffer = Buffer.alloc(0);
  #bytes: Buffer = Buffer.alloc(0);
  #position = 0;
  #last = false;
  #finished = false;
  #seenBytes = 0;
  /** Lines before the next row. */
  #line = 0;
  #exhausted = true;

  /** `relation`: the table's name, for error contexts. */
  constructor(scanner: RowScanner, relation: string) {
    this.#scanner = scanner;
    this.#relation = relation;
  }

  /** Lines of the rows that were handed out before the current batch. */
  linesBefore = 0;

  /** Whether lines end with a line feed alone. */
  get lineEndIsLf(): boolean {
    return this.#scanner.lineEnd === 'lf';
  }

  push(piece: Uint8Array): void {
    if (this.#finished) return;
    this.#join(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength));
    const rest = this.#bytes.length - this.#position;
    this.#exhausted = this.#seenBytes > patienceBytes && rest < 2 * this.#seenBytes;
  }

  finish(): void {
    this.#last = true;
    this.#exhausted = this.#finished;
  }

  /** The next rows, or undefined when more input is needed. `badCopyData` with the line in `where`. */
  next(): RowBatch | undefined {
    if (this.#exhausted) return undefined;
    const batch = this.#batch;
    this.linesBefore = this.#line;
    batch.bytes = this.#bytes;
    batch.count = 0;
    const { consumed, finished, defect } = this.#scanner.scan(batch, this.#position, this.#last);
    this.#position = consumed;
    for (let i = 0; i < batch.count; i += 1) this.#line += batch.lineCounts[i] ?? 0;
    if (finished) this.#finish();
    if (batch.count > 0) return batch;
    if (defect !== undefined) throw copyDefectError(defect, this.#relation, this.#line + 1 + (defect.linesBefore ?? 0));
    this.#exhausted = true;
    this.#keepRest();
    return undefined;
  }

  #finish(): void {
    this.#finished = true;
    this.#exhausted = true;
  }

  /** Sets the bytes to what is left of the last piece, followed by the new one. */
  #join(piece: Buffer): void {
    const rest = this.#bytes.length - this.#position;
    if (rest === 0) {
      this.#bytes = piece;
    } else {
      const total = rest + piece.length;
      if (this.#carry.length < total) {
        const larger = Buffer.allocUnsafeSlow(2 * total);
        this.#bytes.copy(larger, 0, this.#position);
        this.#carry = larger;
      } else if (this.#position > 0 || this.#bytes.buffer !== this.#carry.buffer) {
        // A long row stays where it is: moved for every piece it would take quadratic time.
        this.#bytes.copy(this.#carry, 0, this.#position);
      }
      piece.copy(this.#carry, rest);
      this.#bytes = this.#carry.subarray(0, total);
    }
    this.#position = 0;
  }

  /** The piece belongs to the source again: what is left of it must be ours. */
  #keepRest(): void {
    const rest = this.#bytes.length - this.#position;
    this.#seenBytes = rest;
    if (rest === 0 || this.#bytes.buffer === this.#carry.buffer) return;
    if (this.#carry.length < rest) this.#carry = Buffer.allocUnsafeSlow(Math.max(2 * rest, 1 << 16));
    this.#bytes.copy(this.#carry, 0, this.#position);
    this.#bytes = this.#carry.subarray(0, rest);
    this.#position = 0;
  }
}
