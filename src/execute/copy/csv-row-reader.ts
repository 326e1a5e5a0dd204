import { backslash, csvHasEndMarker, dot, endMarkerAt } from './end-marker.ts';
import { carriageReturn, lineEndAt, lineFeed } from './line-end.ts';
import type { LineEnd } from './line-end.ts';
import { emptySpan } from './row-reader.ts';
import type { RowOutcome, RowReader, RowReaderOptions, RowSpan } from './row-reader.ts';

export interface CsvRowReaderOptions extends RowReaderOptions {
  /** Bytes. */
  readonly quote: number;
  readonly escape: number;
}

/**
 * Rows of COPY's CSV format. As in PostgreSQL a quote opens or closes anywhere in a field, and a row left open by the end
 * of the input is a row: the server complains of it.
 */
export class CsvRowReader implements RowReader {
  lineEnd: LineEnd = 'unknown';
  readonly span: RowSpan = emptySpan();
  readonly #options: CsvRowReaderOptions;
  /** -1 when it is the quote: then a doubled quote closes and opens again, which comes to the same. */
  readonly #escape: number;

  constructor(options: CsvRowReaderOptions) {
    this.#options = options;
    this.#escape = options.escape === options.quote ? -1 : options.escape;
  }

  read(bytes: Buffer, start: number, last: boolean): RowOutcome {
    if (bytes[start] === backslash) {
      const marker = this.#endMarker(bytes, start, last);
      if (marker !== 'data') return marker;
    }
    const { delimiter, quote, field } = this.#options;
    const { span } = this;
    const counted = this.lineEnd === 'lf' ? lineFeed : carriageReturn;
    let quoted = false;
    let escaped = false;
    let current = 0;
    span.valueStart = field === 0 ? start : -1;
    span.valueEnd = -1;
    span.lineCount = 1;
    for (let position = start; ; position += 1) {
      if (position >= bytes.length) return last ? this.#close(current, bytes.length, 0) : 'incomplete';
      const byte = bytes[position];
      if (quoted && byte === this.#escape) {
        escaped = !escaped;
        continue;
      }
      if (byte === quote && !escaped) quoted = !quoted;
      escaped = false;
      if (quoted) {
        if (byte === counted) span.lineCount += 1;
      } else if (byte === delimiter) {
        if (current === field) span.valueEnd = position;
        current += 1;
        if (current === field) span.valueStart = position + 1;
      } else if (byte === lineFeed || byte === carriageReturn) {
        const found = lineEndAt(bytes, position, { known: this.lineEnd, last, format: 'csv' });
        if (found === undefined) return 'incomplete';
        if ('message' in found) return found;
        this.lineEnd = found.lineEnd;
        return this.#close(current, position, found.length);
      }
    }
  }

  #endMarker(bytes: Buffer, position: number, last: boolean): RowOutcome | 'data' {
    const { serverVersion } = this.#options;
    if (!csvHasEndMarker(serverVersion)) return 'data';
    if (position + 1 >= bytes.length) return last ? 'data' : 'incomplete';
    if (bytes[position + 1] !== dot) return 'data';
    const verdict = endMarkerAt(bytes, position, { known: this.lineEnd, last, format: 'csv', serverVersion });
    if (verdict === 'end') return 'finished';
    return verdict ?? 'incomplete';
  }

  #close(current: number, contentEnd: number, lineEndLength: number): 'row' {
    const { span } = this;
    if (current === this.#options.field) span.valueEnd = contentEnd;
    span.contentEnd = contentEnd;
    span.end = contentEnd + lineEndLength;
    return 'row';
  }
}
