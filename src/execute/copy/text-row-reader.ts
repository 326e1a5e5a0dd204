import { backslash, dot, endMarkerAt, rowBeforeMarker } from './end-marker.ts';
import { carriageReturn, lineEndAt, lineFeed } from './line-end.ts';
import type { LineEnd } from './line-end.ts';
import { emptySpan } from './row-reader.ts';
import type { RowOutcome, RowReader, RowReaderOptions, RowSpan } from './row-reader.ts';

/** Rows of COPY's text format. A backslash takes the byte after it out of play, a delimiter or line end too. */
export class TextRowReader implements RowReader {
  lineEnd: LineEnd = 'unknown';
  readonly span: RowSpan = emptySpan();
  readonly #options: RowReaderOptions;

  constructor(options: RowReaderOptions) {
    this.#options = options;
  }

  read(bytes: Buffer, start: number, last: boolean): RowOutcome {
    const { delimiter, field } = this.#options;
    const { span } = this;
    let current = 0;
    let position = start;
    span.valueStart = field === 0 ? start : -1;
    span.valueEnd = -1;
    for (;;) {
      if (position >= bytes.length) return last ? this.#close(current, bytes.length, 0) : 'incomplete';
      const byte = bytes[position];
      if (byte === delimiter) {
        if (current === field) span.valueEnd = position;
        current += 1;
        if (current === field) span.valueStart = position + 1;
      } else if (byte === lineFeed || byte === carriageReturn) {
        const found = lineEndAt(bytes, position, { known: this.lineEnd, last, format: 'text' });
        if (found === undefined) return 'incomplete';
        if ('message' in found) return found;
        this.lineEnd = found.lineEnd;
        return this.#close(current, position, found.length);
      } else if (byte === backslash) {
        if (position + 1 >= bytes.length && !last) return 'incomplete';
        if (bytes[position + 1] === dot) return this.#endMarker({ bytes, start, position, last, current });
        position += 1;
      }
      position += 1;
    }
  }

  #endMarker(at: { bytes: Buffer; start: number; position: number; last: boolean; current: number }): RowOutcome {
    const { serverVersion } = this.#options;
    const stream = { known: this.lineEnd, last: at.last, format: 'text', serverVersion } as const;
    const verdict = endMarkerAt(at.bytes, at.position, stream);
    if (verdict === undefined) return 'incomplete';
    if (typeof verdict === 'object') return verdict;
    if (at.position === at.start) return 'finished';
    this.#close(at.current, at.position, 0);
    return rowBeforeMarker(serverVersion);
  }

  #close(current: number, contentEnd: number, lineEndLength: number): 'row' {
    const { span } = this;
    if (current === this.#options.field) span.valueEnd = contentEnd;
    span.contentEnd = contentEnd;
    span.end = contentEnd + lineEndLength;
    return 'row';
  }
}
