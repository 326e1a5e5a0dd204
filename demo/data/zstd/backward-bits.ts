/**
 * Reads a Zstandard bit stream, which is written forwards and read backwards: the first bits are the highest ones of the last
 * byte, below its topmost 1. Bits before the beginning of the stream read as 0; `left` is negative then.
 */
export class BackwardBits {
  /** Bits not read yet. */
  left: number;

  constructor(
    private readonly bytes: Uint8Array,
    private readonly start: number,
    end: number,
  ) {
    const last = bytes[end - 1] ?? 0;
    if (end <= start || last === 0) throw new RangeError('zstd: a bit stream lacks its end mark');
    this.left = (end - start) * 8 - (Math.clz32(last) - 24) - 1;
  }

  /** The next bits (at most 24), most significant first, left where they are. */
  peek(count: number): number {
    const from = this.left - count;
    return from >= 0 ? (this.wordAt(from) >>> (from & 7)) & ((1 << count) - 1) : this.peekBeforeStart(count);
  }

  skip(count: number): void {
    this.left -= count;
  }

  /** Up to 31 bits. */
  read(count: number): number {
    if (count > 16) {
      const high = this.read(count - 16);
      return high * 0x1_0000 + this.read(16);
    }
    const value = this.peek(count);
    this.left -= count;
    return value;
  }

  private wordAt(bit: number): number {
    const at = this.start + (bit >>> 3);
    const { bytes } = this;
    return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
  }

  private peekBeforeStart(count: number): number {
    const known = Math.max(0, this.left);
    const value = this.wordAt(0) & ((1 << known) - 1);
    return (value << (count - known)) & ((1 << count) - 1);
  }
}
