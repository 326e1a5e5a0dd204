import { backslash } from './end-marker.ts';
import { carriageReturn, lineFeed } from './line-end.ts';
import type { LineEnd } from './line-end.ts';
import { batchRows } from './row-batch.ts';
import type { RowBatch, RowScanner, ScanEnd } from './row-batch.ts';
import type { RowReader } from './row-reader.ts';

/**
 * Rows of the text and CSV formats. A row without the format's special byte (a backslash; the quote) that ends as the rows before
 * it is found by searching for its line end, about 20 ns; only the others are read byte by byte.
 */
export class LineScanner implements RowScanner {
  readonly #reader: RowReader;
  readonly #special: number;
  readonly #delimiter: number;
  readonly #field: number;

  constructor(
    reader: RowReader,
    options: { readonly special: number; readonly delimiter: number; readonly field: number },
  ) {
    this.#reader = reader;
    this.#special = options.special;
    this.#delimiter = options.delimiter;
    this.#field = options.field;
  }

  get lineEnd(): LineEnd {
    return this.#reader.lineEnd;
  }

  scan(batch: RowBatch, from: number, last: boolean): ScanEnd {
    const { bytes } = batch;
    const reader = this.#reader;
    let position = from;
    let special = indexOrEnd(bytes, this.#special, from);
    let carriage = indexOrEnd(bytes, carriageReturn, from);
    while (position < bytes.length && batch.count < batchRows) {
      if (special < position) special = indexOrEnd(bytes, this.#special, position);
      if (carriage < position) carriage = indexOrEnd(bytes, carriageReturn, position);
      const end = reader.lineEnd === 'cr' ? -1 : bytes.indexOf(lineFeed, position);
      if (end >= 0 && special > end && bytes[position] !== backslash && this.#isPlainEnd(carriage, end)) {
        this.#addPlain(batch, position, end);
        position = end + 1;
        continue;
      }
      if (end < 0 && !last && reader.lineEnd !== 'cr' && reader.lineEnd !== 'unknown') break;
      const outcome = reader.read(bytes, position, last);
      if (outcome === 'incomplete') break;
      if (outcome === 'finished') return { consumed: bytes.length, finished: true, defect: undefined };
      if (typeof outcome === 'object') {
        const defect = { ...outcome, linesBefore: reader.span.lineCount - 1 };
        return { consumed: position, finished: false, defect };
      }
      this.#addRead(batch, position);
      if (outcome === 'last_row') return { consumed: bytes.length, finished: true, defect: undefined };
      position = reader.span.end;
    }
    return { consumed: position, finished: false, defect: undefined };
  }

  /** Whether the line feed at `end` is all there is of the row's line end, or has its carriage return before it. */
  #isPlainEnd(carriage: number, end: number): boolean {
    if (this.#reader.lineEnd === 'crlf') return carriage === end - 1;
    if (carriage < end) return false;
    this.#reader.lineEnd = 'lf';
    return true;
  }

  #addPlain(batch: RowBatch, start: number, end: number): void {
    const { bytes, count } = batch;
    const contentEnd = this.#reader.lineEnd === 'crlf' ? end - 1 : end;
    let valueStart = start;
    for (let field = this.#field; field > 0 && valueStart >= 0; field -= 1) {
      valueStart = afterByte(bytes, this.#delimiter, valueStart, contentEnd);
    }
    if (this.#field < 0) valueStart = -1;
    let valueEnd = valueStart;
    if (valueStart >= 0) while (valueEnd < contentEnd && bytes[valueEnd] !== this.#delimiter) valueEnd += 1;
    batch.starts[count] = start;
    batch.ends[count] = end + 1;
    batch.valueStarts[count] = valueStart;
    batch.valueEnds[count] = valueEnd;
    batch.lineCounts[count] = 1;
    batch.count = count + 1;
  }

  #addRead(batch: RowBatch, start: number): void {
    const { count } = batch;
    const { span } = this.#reader;
    batch.starts[count] = start;
    batch.ends[count] = span.end;
    batch.valueStarts[count] = span.valueStart;
    batch.valueEnds[count] = span.valueEnd;
    batch.lineCounts[count] = span.lineCount;
    batch.count = count + 1;
  }
}

function indexOrEnd(bytes: Buffer, byte: number, from: number): number {
  const index = bytes.indexOf(byte, from);
  return index < 0 ? bytes.length : index;
}

/** The position after the first `byte` before `end`, or -1. */
function afterByte(bytes: Buffer, byte: number, from: number, end: number): number {
  for (let position = from; position < end; position += 1) if (bytes[position] === byte) return position + 1;
  return -1;
}
