const chunkBytes = 16 * 1024;
/** Short ASCII is cheaper by hand than by a call into C++. */
const shortText = 24;

/** Messages of PostgreSQL's protocol, appended to one piece of memory, so that many leave in one write. Either side's messages are written by a subclass. */
export abstract class ByteWriter {
  #chunk = Buffer.allocUnsafe(chunkBytes);
  #start = 0;
  #end = 0;

  /** The bytes appended since the last take. They are not touched again. */
  take(): Buffer {
    const taken = this.#chunk.subarray(this.#start, this.#end);
    this.#start = this.#end;
    return taken;
  }

  /** The number of bytes not taken yet. */
  get pending(): number {
    return this.#end - this.#start;
  }

  /** Drops what was appended since `pending` was as given. */
  rewind(pending: number): void {
    this.#end = this.#start + pending;
  }

  /** Starts a message; returns where its length belongs. */
  protected open(type: number): number {
    this.byte(type);
    return this.gap();
  }

  /** Ends a message: its length counts itself. */
  protected end(length: number): void {
    this.#patch(length, this.pending - length);
  }

  /** Leaves room for a length; returns where it is, as `pending` was, since the memory may move. */
  protected gap(): number {
    this.int32(0);
    return this.pending - 4;
  }

  /** Fills the gap before a value, whose length does not count itself. */
  protected fill(gap: number): void {
    this.#patch(gap, this.pending - gap - 4);
  }

  protected byteAt(place: number, value: number): void {
    this.#chunk[this.#start + place] = value;
  }

  /** Appends UTF-8. */
  protected utf8(text: string): void {
    this.#reserve(text.length * 3);
    if (text.length <= shortText && this.#ascii(text)) return;
    this.#end += this.#chunk.write(text, this.#end, 'utf8');
  }

  /** UTF-8 and a zero byte. */
  protected text(text: string): void {
    this.utf8(text);
    this.byte(0);
  }

  protected bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#chunk.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  protected byte(value: number): void {
    this.#reserve(1);
    this.#chunk[this.#end] = value;
    this.#end += 1;
  }

  protected int16(value: number): void {
    this.#reserve(2);
    this.#chunk[this.#end] = value >>> 8;
    this.#chunk[this.#end + 1] = value;
    this.#end += 2;
  }

  /** Signed or not: OIDs are not. */
  protected int32(value: number): void {
    this.#reserve(4);
    this.#chunk.writeInt32BE(value | 0, this.#end);
    this.#end += 4;
  }

  #patch(place: number, value: number): void {
    this.#chunk.writeInt32BE(value, this.#start + place);
  }

  #ascii(text: string): boolean {
    const chunk = this.#chunk;
    const end = this.#end;
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      if (code > 127) return false;
      chunk[end + index] = code;
    }
    this.#end = end + text.length;
    return true;
  }

  /** Makes room; what was not taken yet moves along. */
  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#chunk.length) return;
    const { pending } = this;
    const larger = Buffer.allocUnsafe(Math.max(chunkBytes, (pending + bytes) * 2));
    this.#chunk.copy(larger, 0, this.#start, this.#end);
    this.#chunk = larger;
    this.#start = 0;
    this.#end = pending;
  }
}
