import type { HuffmanTable } from './huffman-table.ts';
import { readLiterals } from './literals.ts';
import { readSequences, type SequenceTables } from './sequences.ts';

const magic = 0xfd2f_b528;

/**
 * Decompresses one Zstandard frame (RFC 8878) of known size. Dictionaries are not supported and the checksum is not verified.
 * Node has Zstandard from 22.15 on and the parquet library none; this is for Node 20. Throws `RangeError` on damaged input.
 */
export function decompressZstd(input: Uint8Array, outputLength: number): Uint8Array {
  const output = new Uint8Array(outputLength);
  const frame = new Frame(input, output);
  let at = headerEnd(input);
  for (let last = false; !last; ) {
    const header = (input[at] ?? 0) | ((input[at + 1] ?? 0) << 8) | ((input[at + 2] ?? 0) << 16);
    last = (header & 1) === 1;
    at = frame.readBlock((header >> 1) & 3, { start: at + 3, size: header >> 3 });
  }
  if (frame.written !== outputLength) throw new RangeError(`zstd: a frame gave ${frame.written} bytes instead of ${outputLength}`);
  return output;
}

function headerEnd(input: Uint8Array): number {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  if (input.length < 6 || view.getUint32(0, true) !== magic) throw new RangeError('zstd: not a frame');
  const descriptor = input[4] ?? 0;
  if ((descriptor & 3) !== 0) throw new RangeError('zstd: dictionaries are not supported');
  const singleSegment = (descriptor & 0x20) !== 0;
  const sizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  return 5 + (singleSegment ? 0 : 1) + sizeBytes;
}

/** What blocks of one frame hand on: the output so far, the last tables, the last three offsets. */
class Frame {
  written = 0;
  private huffman: HuffmanTable | undefined;
  private tables: SequenceTables | undefined;
  private offsets: readonly [number, number, number] = [1, 4, 8];

  constructor(
    private readonly input: Uint8Array,
    private readonly output: Uint8Array,
  ) {}

  /** Writes a block's bytes to the output; returns where the next block begins. */
  readBlock(kind: number, { start, size }: { readonly start: number; readonly size: number }): number {
    if (kind === 0) {
      this.write(this.input.subarray(start, start + size));
      return start + size;
    }
    if (kind === 1) {
      this.write(new Uint8Array(size).fill(this.input[start] ?? 0));
      return start + 1;
    }
    if (kind !== 2 || start + size > this.input.length) throw new RangeError('zstd: a block is damaged');
    this.readCompressed(start, start + size);
    return start + size;
  }

  private readCompressed(start: number, end: number): void {
    const literals = readLiterals(this.input, start, this.huffman);
    this.huffman = literals.table;
    let used = 0;
    const section = { bytes: this.input, start: literals.end, end, previous: this.tables };
    this.tables = readSequences(section, (literalLength, offset, matchLength) => {
      this.write(literals.bytes.subarray(used, used + literalLength));
      used += literalLength;
      this.copyBack(this.resolveOffset(offset, literalLength), matchLength);
    });
    this.write(literals.bytes.subarray(used));
  }

  private write(bytes: Uint8Array): void {
    if (this.written + bytes.length > this.output.length) throw new RangeError('zstd: a frame gives more bytes than announced');
    this.output.set(bytes, this.written);
    this.written += bytes.length;
  }

  /** Copies bytes from `distance` back; they may overlap those being written, which repeats them. */
  private copyBack(distance: number, length: number): void {
    const { output, written } = this;
    const from = written - distance;
    if (from < 0 || distance <= 0 || written + length > output.length) throw new RangeError('zstd: a match lies outside of the frame');
    if (distance >= length) output.copyWithin(written, from, from + length);
    else for (let index = 0; index < length; index += 1) output[written + index] = output[from + index] ?? 0;
    this.written += length;
  }

  /** RFC 8878, 3.1.1.5: values up to 3 name one of the last offsets, one further on when there are no literals. */
  private resolveOffset(coded: number, literalLength: number): number {
    const [first, second, third] = this.offsets;
    if (coded > 3) return this.remember([coded - 3, first, second]);
    switch (coded - (literalLength === 0 ? 0 : 1)) {
      case 0:
        return first;
      case 1:
        return this.remember([second, first, third]);
      case 2:
        return this.remember([third, first, second]);
      default:
        return this.remember([first - 1, first, second]);
    }
  }

  private remember(offsets: readonly [number, number, number]): number {
    this.offsets = offsets;
    return offsets[0];
  }
}
