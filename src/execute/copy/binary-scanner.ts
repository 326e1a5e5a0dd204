import { batchRows } from './row-batch.ts';
import type { CopyDefect, RowBatch, RowScanner, ScanEnd } from './row-batch.ts';

/** What a binary COPY begins with: signature, no flags, no extension. */
export const binaryHeader: Buffer = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');

/** What it ends with: a field count of -1. */
export const binaryTrailer: Buffer = Buffer.from([0xff, 0xff]);

const signatureBytes = 11;

const unexpectedEnd: CopyDefect = { message: 'unexpected EOF in COPY data' };

/** Rows of the binary format. The header is left out of the rows, the trailer ends them. */
export class BinaryScanner implements RowScanner {
  readonly lineEnd = undefined;
  #started = false;
  #trailed = false;
  readonly #field: number;

  /** `field`: position of the distribution column, from 0; -1 when it is not among the fields. */
  constructor(field: number) {
    this.#field = field;
  }

  scan(batch: RowBatch, from: number, last: boolean): ScanEnd {
    const { bytes } = batch;
    let position = from;
    if (!this.#started) {
      const header = readHeader(bytes, from, last);
      if (header === undefined) return stopped(from, undefined);
      if (typeof header === 'object') return stopped(from, { ...header, beforeRows: true });
      this.#started = true;
      position = header;
    }
    while (position < bytes.length && batch.count < batchRows) {
      if (this.#trailed) return stopped(position, { message: 'received copy data after EOF marker' });
      if (position + 2 > bytes.length) return last ? stopped(position, unexpectedEnd) : stopped(position, undefined);
      const fields = bytes.readInt16BE(position);
      if (fields === -1) {
        this.#trailed = true;
        position += 2;
        continue;
      }
      const end = this.#addRow(batch, position, fields);
      if (typeof end === 'object') return stopped(position, end);
      if (end < 0) return stopped(position, last ? unexpectedEnd : undefined);
      position = end;
    }
    return stopped(position, undefined);
  }

  /** The position after the row; -1 when it is incomplete. */
  #addRow(batch: RowBatch, start: number, fields: number): number | CopyDefect {
    const { bytes, count } = batch;
    let valueStart = -1;
    let valueEnd = -1;
    let position = start + 2;
    for (let field = 0; field < fields; field += 1) {
      if (position + 4 > bytes.length) return -1;
      const length = readInt32(bytes, position);
      position += 4;
      if (length < -1) return { message: 'invalid field size' };
      if (field === this.#field) {
        valueStart = position;
        valueEnd = position + length;
      }
      if (length > 0) position += length;
    }
    if (position > bytes.length) return -1;
    batch.starts[count] = start;
    batch.ends[count] = position;
    batch.valueStarts[count] = valueStart;
    batch.valueEnds[count] = valueEnd;
    batch.lineCounts[count] = 1;
    batch.count = count + 1;
    return position;
  }
}

function stopped(consumed: number, defect: CopyDefect | undefined): ScanEnd {
  return { consumed, finished: false, defect };
}

/** The position after the header; undefined when it is incomplete. Source: PostgreSQL's documentation of COPY, binary format. */
function readHeader(bytes: Buffer, from: number, last: boolean): number | CopyDefect | undefined {
  const given = bytes.subarray(from, from + signatureBytes);
  if (!given.equals(binaryHeader.subarray(0, given.length)) || (last && given.length < signatureBytes)) {
    return { message: 'COPY file signature not recognized' };
  }
  const fixedEnd = from + signatureBytes + 8;
  if (bytes.length < fixedEnd) return last ? { message: 'invalid COPY file header (missing length)' } : undefined;
  const flags = bytes.readInt32BE(from + signatureBytes);
  if ((flags & (1 << 16)) !== 0) return { message: 'invalid COPY file header (WITH OIDS)' };
  if (flags >> 16 !== 0) return { message: 'unrecognized critical flags in COPY file header' };
  const extension = bytes.readInt32BE(from + signatureBytes + 4);
  if (extension < 0) return { message: 'invalid COPY file header (missing length)' };
  if (bytes.length < fixedEnd + extension) return last ? { message: 'invalid COPY file header (wrong length)' } : undefined;
  return fixedEnd + extension;
}

/** Big-endian, signed. By hand: `readInt32BE` checks its arguments at 3 times the cost. */
function readInt32(bytes: Buffer, at: number): number {
  return ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}
