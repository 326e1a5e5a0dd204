import { BackwardBits } from './backward-bits.ts';
import { readHuffmanTable, type HuffmanTable } from './huffman-table.ts';

export interface Literals {
  readonly bytes: Uint8Array;
  /** The code used, which the next block may use again. */
  readonly table: HuffmanTable | undefined;
  /** Where the block's sequences begin. */
  readonly end: number;
}

/** Reads the literals section at `at`. RFC 8878, 3.1.1.3.1. */
export function readLiterals(bytes: Uint8Array, at: number, previous: HuffmanTable | undefined): Literals {
  const kind = (bytes[at] ?? 0) & 3;
  return kind < 2 ? readPlain(bytes, at, { repeated: kind === 1, table: previous }) : readCoded(bytes, at, kind === 3 ? previous : undefined);
}

interface PlainOptions {
  /** One byte stands for all. */
  readonly repeated: boolean;
  readonly table: HuffmanTable | undefined;
}

function readPlain(bytes: Uint8Array, at: number, { repeated, table }: PlainOptions): Literals {
  const format = ((bytes[at] ?? 0) >> 2) & 3;
  const headerBytes = [1, 2, 1, 3][format] ?? 1;
  const header = readLittleEndian(bytes, at, headerBytes);
  const size = header >>> (headerBytes === 1 ? 3 : 4);
  const start = at + headerBytes;
  return repeated
    ? { bytes: new Uint8Array(size).fill(bytes[start] ?? 0), table, end: start + 1 }
    : { bytes: bytes.subarray(start, start + size), table, end: start + size };
}

function readCoded(bytes: Uint8Array, at: number, previous: HuffmanTable | undefined): Literals {
  const format = ((bytes[at] ?? 0) >> 2) & 3;
  const headerBytes = [3, 3, 4, 5][format] ?? 3;
  const sizeBits = [10, 10, 14, 18][format] ?? 10;
  const header = Math.floor(readLittleEndian(bytes, at, headerBytes) / 16);
  const size = header % 2 ** sizeBits;
  const end = at + headerBytes + Math.floor(header / 2 ** sizeBits);
  const start = at + headerBytes;
  const { table, end: streams } = previous === undefined ? readHuffmanTable(bytes, start) : { table: previous, end: start };
  const literals = new Uint8Array(size);
  if (format === 0) decodeStream(table, new BackwardBits(bytes, streams, end), literals);
  else decodeFourStreams(table, { bytes, start: streams, end }, literals);
  return { bytes: literals, table, end };
}

interface Slice {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** Three sizes, then four streams; each but the last gives a quarter of the literals, rounded up. */
function decodeFourStreams(table: HuffmanTable, { bytes, start, end }: Slice, into: Uint8Array): void {
  const quarter = (into.length + 3) >> 2;
  let from = start + 6;
  for (let stream = 0; stream < 4; stream += 1) {
    const to = stream === 3 ? end : from + readLittleEndian(bytes, start + stream * 2, 2);
    decodeStream(table, new BackwardBits(bytes, from, to), into.subarray(stream * quarter, Math.min(into.length, (stream + 1) * quarter)));
    from = to;
  }
}

function decodeStream(table: HuffmanTable, bits: BackwardBits, into: Uint8Array): void {
  for (let at = 0; at < into.length; at += 1) {
    const index = bits.peek(table.bits);
    into[at] = table.symbols[index] ?? 0;
    bits.skip(table.lengths[index] ?? 0);
  }
  if (bits.left !== 0) throw new RangeError('zstd: a stream of literals does not end where it should');
}

/** Up to five bytes. */
function readLittleEndian(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let index = count - 1; index >= 0; index -= 1) value = value * 256 + (bytes[at + index] ?? 0);
  return value;
}
