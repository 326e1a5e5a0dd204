import type { RawRow } from './node-connection.ts';

/** The part of Buffer that its types leave out. */
interface Slicing {
  utf8Slice(start: number, end: number): string;
  latin1Slice(start: number, end: number): string;
}

/** Strings from this length on are made by themselves: V8 would make a view of a larger string, and so keep it all in memory. */
const ownStringMin = 13;

/**
 * Reads the bodies of DataRow messages that lie in one piece of memory. Short values, which most are, are cut out of one string of many
 * rows' bytes: that is three times as fast as a call of the decoder for each.
 */
export class DataRowReader {
  readonly bytes: Buffer;
  /** Where the row read last ended. */
  end = 0;
  readonly #slicing: Slicing;
  /** The bytes from `#from` to `#to`, one character each. */
  #characters = '';
  #from = 0;
  #to = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.#slicing = bytes as unknown as Slicing;
  }

  /** The row whose message's body begins there. */
  read(start: number): RawRow {
    const { bytes } = this;
    const columns = ((bytes[start] ?? 0) << 8) | (bytes[start + 1] ?? 0);
    const row = Array<string | null>(columns);
    let at = start + 2;
    for (let column = 0; column < columns; column += 1) {
      const length = int32(bytes, at);
      at += 4;
      if (length < 0) row[column] = null;
      else {
        row[column] = this.#text(at, at + length);
        at += length;
      }
    }
    this.end = at;
    return row;
  }

  /** Forgets what has been made for reading; rows can be read again. */
  rest(): void {
    this.#characters = '';
    this.#from = 0;
    this.#to = 0;
  }

  #text(start: number, end: number): string {
    if (end - start >= ownStringMin || !isAscii(this.bytes, start, end)) return this.#slicing.utf8Slice(start, end);
    if (start < this.#from || end > this.#to) this.#decode(start);
    return this.#characters.slice(start - this.#from, end - this.#from);
  }

  #decode(start: number): void {
    this.#from = start;
    this.#to = Math.min(start + decodedBytes, this.bytes.length);
    this.#characters = this.#slicing.latin1Slice(this.#from, this.#to);
  }
}

/** Many rows, but not so many that the string is costly to keep for a while. */
const decodedBytes = 4096;

function isAscii(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if ((bytes[at] ?? 0) > 0x7f) return false;
  return true;
}

function int32(bytes: Buffer, at: number): number {
  return ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}
