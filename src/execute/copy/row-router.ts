import { viewedBytes } from './viewed-bytes.ts';
import type { AddedValues } from './added-columns.ts';
import { checkHeader } from './copy-header.ts';
import type { CopyOptions } from './copy-options.ts';
import type { RowBatch } from './row-batch.ts';
import type { RowLocator } from './row-locator.ts';
import type { RowSplitter } from './row-splitter.ts';
import type { ShardBuffer } from './shard-buffer.ts';
import type { ShardOutbox } from './shard-outbox.ts';

export interface RowRouterOptions {
  readonly options: CopyOptions;
  /** The table's name. */
  readonly relation: string;
  /** Of the caller's data. */
  readonly columns: readonly string[];
  readonly splitter: RowSplitter;
  readonly locator: RowLocator;
  readonly outbox: ShardOutbox;
  /** undefined when no column is added. */
  readonly added: AddedValues | undefined;
  /** Where the distribution column's value is, if there is one: in the row, or that added column (-1: nowhere, which is NULL). */
  readonly place: 'in_row' | number;
}

/** Takes the caller's stream and puts every row into its shard's buffer. The header line goes no further. */
export class RowRouter {
  readonly #options: RowRouterOptions;
  #headerPending: boolean;

  constructor(options: RowRouterOptions) {
    this.#options = options;
    this.#headerPending = options.options.format !== 'binary' && options.options.header !== 'none';
  }

  async push(piece: Uint8Array): Promise<void> {
    this.#options.splitter.push(piece);
    await this.#routeBatches();
  }

  async finish(): Promise<void> {
    const { splitter, options } = this.#options;
    splitter.finish();
    await this.#routeBatches();
    // Like PostgreSQL: an input that ends before its header has an empty one.
    if (this.#headerPending && options.header === 'match') checkHeader(Buffer.alloc(0), { ...this.#options, lines: 1 });
  }

  async #routeBatches(): Promise<void> {
    const { splitter, added } = this.#options;
    for (let batch = splitter.next(); batch !== undefined; batch = splitter.next()) {
      const first = this.#takeHeader(batch);
      if (added === undefined) await this.#route(batch, first);
      else await this.#routeWithAdded(batch, { first, added });
    }
  }

  /** The index of the first row of data. */
  #takeHeader(batch: RowBatch): number {
    if (!this.#headerPending) return 0;
    this.#headerPending = false;
    if (this.#options.options.header === 'match') {
      checkHeader(batch.bytes.subarray(batch.starts[0], batch.ends[0]), { ...this.#options, lines: skippedLines(batch, 1) });
    }
    return 1;
  }

  async #route(batch: RowBatch, first: number): Promise<void> {
    const { locator, outbox, splitter, place } = this.#options;
    const source = viewedBytes(batch.bytes);
    const lineFeeds = splitter.lineEndIsLf;
    let line = splitter.linesBefore + 1 + skippedLines(batch, first);
    for (let index = first; index < batch.count; index += 1) {
      const found = place === 'in_row' ? locator.locate(batch, index, line) : locator.locateValue(null, line);
      const ordinal = typeof found === 'number' ? found : await found;
      const start = batch.starts[index] ?? 0;
      const end = batch.ends[index] ?? 0;
      const lines = batch.lineCounts[index] ?? 1;
      const buffer = outbox.room(ordinal, end - start, lines) ?? (await outbox.makeRoom(ordinal, end - start));
      buffer.append(source, start, end);
      buffer.closeRow(line, lines, line > 1 && lineFeeds);
      if (locator.refusal !== undefined) throw locator.refusal.error;
      line += lines;
    }
  }

  async #routeWithAdded(batch: RowBatch, { first, added }: { first: number; added: AddedValues }): Promise<void> {
    const { locator, splitter, options } = this.#options;
    const source = viewedBytes(batch.bytes);
    const lineFeeds = splitter.lineEndIsLf;
    const rows = await added.rows(batch.count - first);
    let line = splitter.linesBefore + 1 + skippedLines(batch, first);
    for (let index = first; index < batch.count; index += 1) {
      const values = rows[index - first] ?? [];
      const start = batch.starts[index] ?? 0;
      const prefix = viewedBytes(added.prefix(values, { bytes: batch.bytes, start }));
      const rest = options.format === 'binary' ? start + 2 : start;
      const row = { rest, end: batch.ends[index] ?? 0, lines: batch.lineCounts[index] ?? 1 };
      const buffer = await this.#bufferFor(batch, { index, line, values, bytes: prefix.bytes.length + row.end - rest });
      buffer.append(prefix, 0, prefix.bytes.length);
      buffer.append(source, row.rest, row.end);
      buffer.closeRow(line, row.lines, line > 1 && lineFeeds);
      if (locator.refusal !== undefined) throw locator.refusal.error;
      line += row.lines;
    }
  }

  async #bufferFor(
    batch: RowBatch,
    row: { index: number; line: number; values: readonly (string | null)[]; bytes: number },
  ): Promise<ShardBuffer> {
    const { locator, outbox, place } = this.#options;
    const ordinal =
      place === 'in_row'
        ? await locator.locate(batch, row.index, row.line)
        : await locator.locateValue(row.values[place] ?? null, row.line);
    const lines = batch.lineCounts[row.index] ?? 1;
    return outbox.room(ordinal, row.bytes, lines) ?? outbox.makeRoom(ordinal, row.bytes);
  }
}

function skippedLines(batch: RowBatch, first: number): number {
  return first === 0 ? 0 : (batch.lineCounts[0] ?? 1);
}

