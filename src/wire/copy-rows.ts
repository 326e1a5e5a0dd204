/** Where rows end in the data of COPY TO: clients expect a message for each row. */
export interface CopyRowCutter {
  /** The whole rows that are complete with this chunk. */
  push(chunk: Uint8Array): Uint8Array[];
  /** What is left at the end. */
  rest(): Uint8Array[];
  readonly rows: number;
}

export interface CopyRowFormat {
  readonly format: 'text' | 'csv' | 'binary';
  readonly quote: string;
  readonly escape: string;
  readonly header: boolean;
}

export function copyRowCutter({ format, quote, escape, header }: CopyRowFormat): CopyRowCutter {
  const ends = format === 'binary' ? new TupleEnds() : format === 'csv' ? new CsvEnds(quote.charCodeAt(0), escape.charCodeAt(0)) : new LineEnds();
  return new Cutter(ends, header && format !== 'binary' ? 1 : 0);
}

/** Finds the next end of a row at or behind a place; -1 if there is none yet. May be asked again with more bytes, from the same row's start. */
interface RowEnds {
  next(bytes: Uint8Array, start: number): number;
  /** Whether what ends there counts as a row. */
  readonly isRow: boolean;
}

class Cutter implements CopyRowCutter {
  rows = 0;
  #held: Uint8Array = new Uint8Array();

  constructor(
    private readonly ends: RowEnds,
    private headers: number,
  ) {}

  push(chunk: Uint8Array): Uint8Array[] {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const cut: Uint8Array[] = [];
    let start = 0;
    for (let end = this.ends.next(bytes, start); end >= 0; end = this.ends.next(bytes, start)) {
      cut.push(bytes.subarray(start, end));
      if (this.headers > 0) this.headers -= 1;
      else if (this.ends.isRow) this.rows += 1;
      start = end;
    }
    this.#held = bytes.subarray(start);
    return cut;
  }

  rest(): Uint8Array[] {
    return this.#held.length === 0 ? [] : [this.#held];
  }
}

const newline = 0x0a;

class LineEnds implements RowEnds {
  readonly isRow = true;

  next(bytes: Uint8Array, start: number): number {
    return bytes.indexOf(newline, start) + 1 || -1;
  }
}

/** A line's end inside quotes is data. */
class CsvEnds implements RowEnds {
  readonly isRow = true;

  constructor(
    private readonly quote: number,
    private readonly escape: number,
  ) {}

  next(bytes: Uint8Array, start: number): number {
    let quoted = false;
    for (let at = start; at < bytes.length; at += 1) {
      const byte = bytes[at];
      if (quoted && byte === this.escape && this.escape !== this.quote) at += 1;
      else if (byte === this.quote) quoted = !quoted;
      else if (byte === newline && !quoted) return at + 1;
    }
    return -1;
  }
}

const signatureBytes = 19;

/** The header goes with the first tuple, and the trailer is one of its own, as PostgreSQL sends them. */
class TupleEnds implements RowEnds {
  isRow = false;
  #isBehindHeader = false;

  next(all: Uint8Array, from: number): number {
    const bytes = Buffer.from(all.buffer, all.byteOffset, all.length);
    let at = from;
    if (!this.#isBehindHeader) {
      if (bytes.length < at + signatureBytes) return -1;
      at += signatureBytes + bytes.readUInt32BE(at + signatureBytes - 4);
    }
    if (bytes.length < at + 2) return -1;
    const fields = bytes.readInt16BE(at);
    at += 2;
    for (let field = 0; field < fields; field += 1) {
      if (bytes.length < at + 4) return -1;
      at += 4 + Math.max(bytes.readInt32BE(at), 0);
    }
    if (bytes.length < at) return -1;
    this.#isBehindHeader = true;
    this.isRow = fields >= 0;
    return at;
  }
}
