import type { AddedValues } from './added-columns.ts';
import { binaryHeader, binaryTrailer } from './binary-scanner.ts';
import { checkHeader } from './copy-header.ts';
import type { CopyPieces } from './copy-source.ts';
import type { CopyStatement } from './copy-statement.ts';
import type { RowBatch } from './row-batch.ts';
import { rowScannerOf } from './row-scanner-of.ts';
import { RowSplitter } from './row-splitter.ts';

export interface AddedRowsOptions {
  readonly copy: CopyStatement;
  /** Of the caller's data. */
  readonly columns: readonly string[];
  /** The table's name. */
  readonly relation: string;
  readonly serverVersion: number;
  readonly values: AddedValues;
}

/** A caller's stream with fields added in front of every row, and without its header line. One batch of rows a piece. */
export class AddedRows implements Pick<CopyPieces, 'next'> {
  readonly #source: CopyPieces;
  readonly #options: AddedRowsOptions;
  readonly #splitter: RowSplitter;
  readonly #binary: boolean;
  #headerPending: boolean;
  #state: 'before' | 'rows' | 'trailer' | 'end' = 'before';
  #ended = false;
  /** Lines of the caller's stream that are left out before the rows. */
  headerLines = 0;

  constructor(source: CopyPieces, options: AddedRowsOptions) {
    const { copy, relation, serverVersion } = options;
    this.#source = source;
    this.#options = options;
    this.#splitter = new RowSplitter(rowScannerOf(copy.options, -1, serverVersion), relation);
    this.#binary = copy.options.format === 'binary';
    this.#headerPending = !this.#binary && copy.options.header !== 'none';
  }

  async next(): Promise<Uint8Array | undefined> {
    if (this.#state === 'before') {
      this.#state = 'rows';
      if (this.#binary) return binaryHeader;
    }
    if (this.#state === 'rows') {
      const batch = await this.#nextBatch();
      if (batch !== undefined) return this.#withAdded(batch);
      this.#state = 'trailer';
    }
    if (this.#state === 'end') return undefined;
    this.#state = 'end';
    return this.#binary ? binaryTrailer : undefined;
  }

  async #nextBatch(): Promise<RowBatch | undefined> {
    for (;;) {
      const batch = this.#splitter.next();
      if (batch !== undefined || this.#ended) return batch;
      const piece = await this.#source.next();
      if (piece === undefined) {
        this.#ended = true;
        this.#splitter.finish();
      } else {
        this.#splitter.push(piece);
      }
    }
  }

  async #withAdded(batch: RowBatch): Promise<Buffer> {
    const { values } = this.#options;
    const first = this.#takeHeader(batch);
    const added = await values.rows(batch.count - first);
    const parts = added.flatMap((row, index) => {
      const start = batch.starts[first + index] ?? 0;
      const rest = this.#binary ? start + 2 : start;
      return [values.prefix(row, { bytes: batch.bytes, start }), batch.bytes.subarray(rest, batch.ends[first + index])];
    });
    return Buffer.concat(parts);
  }

  /** The index of the first row of data. */
  #takeHeader(batch: RowBatch): number {
    if (!this.#headerPending) return 0;
    this.#headerPending = false;
    this.headerLines = batch.lineCounts[0] ?? 1;
    const { copy, columns, relation } = this.#options;
    if (copy.options.header === 'match') {
      const line = batch.bytes.subarray(batch.starts[0], batch.ends[0]);
      checkHeader(line, { options: copy.options, columns, relation, lines: this.headerLines });
    }
    return 1;
  }
}
