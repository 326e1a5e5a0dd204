import { assert } from '../base/assert.ts';

const tab = 0x09;
const newline = 0x0a;

/** Which part a row goes to, from the bytes of its first field in COPY's text format. */
export type RowLocator = (field: Buffer) => number;

/** Takes the rows of one part, in COPY's text format. */
export type PartSink = (part: number, rows: Buffer) => Promise<void>;

export interface SplitOptions {
  readonly parts: number;
  readonly locate: RowLocator;
  readonly sink: PartSink;
  /** A part is passed on when it holds this many bytes. */
  readonly partBytes: number;
}

/**
 * Deals rows of COPY's text format out to parts by their first field, which is cut off. Order within a part is kept. Memory: `parts` ×
 * `partBytes` and one row. Returns the number of rows. In that format a newline byte only ever ends a row.
 */
export async function splitRows(source: AsyncIterable<Uint8Array>, options: SplitOptions): Promise<number> {
  const parts = Array.from({ length: options.parts }, () => new PartBuffer(options.partBytes));
  let rest: Buffer = Buffer.alloc(0);
  let rows = 0;
  for await (const bytes of source) {
    const chunk = rest.length === 0 ? asBuffer(bytes) : Buffer.concat([rest, bytes]);
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const fieldEnd = chunk.indexOf(tab, start);
      assert(fieldEnd >= start && fieldEnd < end, 'a row without its first field');
      const index = options.locate(chunk.subarray(start, fieldEnd));
      const part = parts[index];
      assert(part !== undefined, `no part ${index}`);
      part.add(chunk, fieldEnd + 1, end + 1);
      if (part.length >= options.partBytes) await options.sink(index, part.take());
      rows += 1;
      start = end + 1;
    }
    rest = chunk.subarray(start);
  }
  assert(rest.length === 0, 'the last row has no end');
  for (const [index, part] of parts.entries()) if (part.length > 0) await options.sink(index, part.take());
  return rows;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

class PartBuffer {
  #bytes: Buffer | undefined;
  length = 0;

  constructor(readonly sizeHint: number) {}

  add(source: Buffer, start: number, end: number): void {
    const needed = this.length + end - start;
    if (this.#bytes === undefined || needed > this.#bytes.length) this.#grow(needed);
    source.copy(this.#bytes ?? Buffer.alloc(0), this.length, start, end);
    this.length = needed;
  }

  take(): Buffer {
    const taken = (this.#bytes ?? Buffer.alloc(0)).subarray(0, this.length);
    this.#bytes = undefined;
    this.length = 0;
    return taken;
  }

  /** Small parts start small: a table of few rows needs no room for many. */
  #grow(needed: number): void {
    const grown = Buffer.allocUnsafe(Math.max(needed, Math.min(this.length * 4, Math.ceil(this.sizeHint * 1.25)), 1024));
    this.#bytes?.copy(grown, 0, 0, this.length);
    this.#bytes = grown;
  }
}
