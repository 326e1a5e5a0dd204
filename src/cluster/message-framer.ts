/** What the messages of a server are handed to. The bytes given are not reused: they may be kept. */
export interface MessageSink {
  /** The body of a DataRow, from `start` to `end`. */
  onDataRow(bytes: Buffer, start: number, end: number): void;
  /** The body of a CopyData. */
  onCopyData(bytes: Buffer, start: number, end: number): void;
  /** A message of the few kinds that each statement brings, whose body is from `start` to `end`. False leaves it to `onOther`. */
  onPlain?(type: number, bytes: Buffer, start: number, end: number): boolean;
  /** All other messages, whole, one or more. */
  onOther(bytes: Buffer): void;
}

/** A type byte, and a length that counts itself. */
export const headerBytes = 5;
const dataRow = 0x44;
const copyData = 0x64;

/** Types of the messages that each statement brings. */
export const plainMessage = { parseComplete: 0x31, bindComplete: 0x32, closeComplete: 0x33, commandComplete: 0x43, readyForQuery: 0x5a, noData: 0x6e } as const;
const plainTypes: ReadonlySet<number> = new Set(Object.values(plainMessage));

/**
 * Cuts what comes from a server into messages, in order. Rows and COPY data, of which there may be millions, are handed on where they
 * lie: nothing is allocated or copied for one but where it came in several chunks.
 */
export class MessageFramer {
  readonly #sink: MessageSink;
  /** The pieces of a message that is not complete yet. */
  #pieces: Buffer[] = [];
  #held = 0;

  constructor(sink: MessageSink) {
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    const from = this.#held === 0 ? 0 : this.#complete(chunk);
    const end = from === chunk.length ? from : this.#cut(chunk, from);
    if (end < chunk.length) this.#hold(kept(chunk.subarray(end)));
  }

  #hold(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#held += piece.length;
  }

  /** Hands on the message that began before, once it is complete. Returns how much of the chunk belongs to it. */
  #complete(chunk: Buffer): number {
    let used = 0;
    while (used < chunk.length) {
      const piece = chunk.subarray(used, used + this.#lacking());
      this.#hold(piece);
      used += piece.length;
      if (this.#lacking() > 0) continue;
      const message = Buffer.concat(this.#pieces);
      this.#pieces = [];
      this.#held = 0;
      this.#cut(message, 0);
      break;
    }
    return used;
  }

  /** Bytes until the header, and then the message, is complete. */
  #lacking(): number {
    if (this.#held < headerBytes) return headerBytes - this.#held;
    const [first] = this.#pieces;
    if (first === undefined || first.length < headerBytes) this.#pieces = [Buffer.concat(this.#pieces)];
    return messageBytes(this.#pieces[0] ?? Buffer.alloc(headerBytes), 0) - this.#held;
  }

  /** Hands on the whole messages in a chunk; returns where the first incomplete one begins. */
  #cut(chunk: Buffer, from: number): number {
    const sink = this.#sink;
    let start = from;
    let others = from;
    while (start + headerBytes <= chunk.length) {
      const end = start + messageBytes(chunk, start);
      if (end > chunk.length) break;
      const type = chunk[start] ?? 0;
      if (isBulk(type) || plainTypes.has(type)) {
        if (others < start) sink.onOther(chunk.subarray(others, start));
        others = this.#handOn(type, chunk, start, end) ? end : start;
      }
      start = end;
    }
    if (others < start) sink.onOther(chunk.subarray(others, start));
    return start;
  }

  #handOn(type: number, chunk: Buffer, start: number, end: number): boolean {
    const body = start + headerBytes;
    if (type === dataRow) this.#sink.onDataRow(chunk, body, end);
    else if (type === copyData) this.#sink.onCopyData(chunk, body, end);
    else return this.#sink.onPlain?.(type, chunk, body, end) === true;
    return true;
  }
}

function isBulk(type: number): boolean {
  return type === dataRow || type === copyData;
}

/** A few bytes do not keep the memory of the chunk that they came in. */
function kept(piece: Buffer): Buffer {
  return piece.length > piecesCopiedMax ? piece : Buffer.from(piece);
}

const piecesCopiedMax = 4096;

function messageBytes(bytes: Buffer, start: number): number {
  return 1 + bytes.readUInt32BE(start + 1);
}
