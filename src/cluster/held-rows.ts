import { DataRowReader } from './data-row.ts';
import { headerBytes } from './message-framer.ts';
import type { RawRow } from './node-connection.ts';

/** More than one read of a socket brings. */
const pageBytes = 128 * 1024;
const sparePagesMax = 4;

/** Messages of rows behind one another. */
interface Page {
  readonly reader: DataRowReader;
  rows: number;
  /** Where the first message that was not read begins, and where the last one ends. */
  start: number;
  end: number;
}

/** Messages in the memory that they came in. */
interface Arrived {
  readonly bytes: Buffer;
  rows: number;
  readonly start: number;
  end: number;
}

/**
 * Rows in the order in which they came, held as the server's messages until they are read. They are copied into pages that are used again
 * and again: the memory that the socket is read into dies young, and so does not pile up until V8's next full collection.
 */
export class HeldRows {
  rows = 0;
  /** Of the messages, headers included. */
  bytes = 0;
  #pages: Page[] = [];
  readonly #spare: Page[] = [];
  #arrived: Arrived | undefined;

  /** Takes a row whose message's body lies there. Its memory must not change before `settle`. */
  add(bytes: Buffer, start: number, end: number): void {
    this.rows += 1;
    this.bytes += end - start + headerBytes;
    const arrived = this.#arrived;
    if (arrived?.bytes === bytes && arrived.end === start - headerBytes) {
      arrived.rows += 1;
      arrived.end = end;
      return;
    }
    this.settle();
    this.#arrived = { bytes, rows: 1, start: start - headerBytes, end };
  }

  /** Copies what came since the last time. */
  settle(): void {
    const arrived = this.#arrived;
    if (arrived === undefined) return;
    this.#arrived = undefined;
    const page = this.#pageFor(arrived.end - arrived.start);
    arrived.bytes.copy(page.reader.bytes, page.end, arrived.start, arrived.end);
    page.end += arrived.end - arrived.start;
    page.rows += arrived.rows;
  }

  /** Reads the next rows, as many as there are but at most so many. */
  read(rowsMax: number): RawRow[] {
    this.settle();
    const rows: RawRow[] = [];
    for (let page = this.#pages[0]; page !== undefined && rows.length < rowsMax; page = this.#pages[0]) {
      this.bytes -= readPage(page, rows, rowsMax);
      if (page.rows > 0) break;
      this.#pages.shift();
      this.#reuse(page);
    }
    this.rows -= rows.length;
    return rows;
  }

  clear(): void {
    this.#pages = [];
    this.#arrived = undefined;
    this.rows = 0;
    this.bytes = 0;
  }

  /** A page with so much room behind what is on it. */
  #pageFor(bytes: number): Page {
    const last = this.#pages.at(-1);
    if (last !== undefined && last.end + bytes <= last.reader.bytes.length) return last;
    const spare = bytes > pageBytes ? undefined : this.#spare.pop();
    const page = spare ?? { reader: new DataRowReader(Buffer.allocUnsafeSlow(Math.max(pageBytes, bytes))), rows: 0, start: 0, end: 0 };
    this.#pages.push(page);
    return page;
  }

  #reuse(page: Page): void {
    page.start = 0;
    page.end = 0;
    if (page.reader.bytes.length === pageBytes && this.#spare.length < sparePagesMax) this.#spare.push(page);
  }
}

/** Moves rows from a page to `rows`, until there are `rowsMax`; returns their bytes. */
function readPage(page: Page, rows: RawRow[], rowsMax: number): number {
  const { reader, start } = page;
  while (page.rows > 0 && rows.length < rowsMax) {
    rows.push(reader.read(page.start + headerBytes));
    page.rows -= 1;
    page.start = reader.end;
  }
  reader.rest();
  return page.start - start;
}
