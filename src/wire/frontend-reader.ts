import { protocolViolation } from './protocol-error.ts';

/** A message of a client: its type byte, and its body. */
export interface FrontendFrame {
  readonly type: number;
  readonly body: Buffer;
}

/** A length that counts itself, before the body of a startup message; a type byte before that in all others. */
const lengthBytes = 4;
const headerBytes = 5;

/** What a client may send before it is who it says, as PostgreSQL has it. */
const startupBytesMax = 10_000;

/**
 * Cuts what a client sends into messages, however the bytes are split. Memory: one message of at most `messageBytesMax`, and what one read of the socket brings.
 * Throws 08P01 for lengths that cannot be, after which nothing more can be read.
 */
export class FrontendReader {
  #held: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Pieces behind `#held`, joined once a message needs them. */
  #pieces: Buffer[] = [];
  #piecesBytes = 0;

  constructor(readonly messageBytesMax: number) {}

  push(chunk: Buffer): void {
    this.#pieces.push(chunk);
    this.#piecesBytes += chunk.length;
  }

  /** Bytes that have come and were not taken. */
  get pending(): number {
    return this.#held.length - this.#at + this.#piecesBytes;
  }

  /** The first byte of what has come and was not taken. */
  get first(): number | undefined {
    return this.#has(1) ? this.#held[this.#at] : undefined;
  }

  /** All that has come and was not taken. */
  takeAll(): Buffer {
    const { pending } = this;
    this.#has(pending);
    const all = this.#held.subarray(this.#at);
    this.#at += pending;
    return all;
  }

  /** The body of the next message without a type; undefined until it is whole. */
  takeStartup(): Buffer | undefined {
    if (!this.#has(lengthBytes)) return undefined;
    const length = this.#held.readInt32BE(this.#at);
    if (length < 2 * lengthBytes || length > startupBytesMax) throw protocolViolation('invalid length of startup packet');
    return this.#take(length, lengthBytes);
  }

  /** The next message; undefined until it is whole. Bodies are views of what was read: to be used before they are kept. */
  take(): FrontendFrame | undefined {
    if (!this.#has(headerBytes)) return undefined;
    const type = this.#held[this.#at] ?? 0;
    const length = this.#held.readInt32BE(this.#at + 1);
    if (!isKnownType(type)) throw protocolViolation(`invalid frontend message type ${type}`);
    if (length < lengthBytes) throw protocolViolation('invalid message length');
    if (length > this.messageBytesMax) throw protocolViolation('invalid message length', { detail: `The message has ${length} bytes; ${this.messageBytesMax} are allowed.` });
    const body = this.#take(length + 1, headerBytes);
    return body === undefined ? undefined : { type, body };
  }

  /** Whether a Sync has come already, with nothing before it that runs a statement. */
  endsUnit(): boolean {
    if (this.#piecesBytes > 0) this.#has(this.pending);
    for (let at = this.#at; at + headerBytes <= this.#held.length;) {
      const type = this.#held[at];
      if (type === frontend.sync) return true;
      if (type !== frontend.close && type !== frontend.flush) return false;
      at += 1 + Math.max(this.#held.readInt32BE(at + 1), lengthBytes);
    }
    return false;
  }

  #take(whole: number, header: number): Buffer | undefined {
    if (!this.#has(whole)) return undefined;
    const body = this.#held.subarray(this.#at + header, this.#at + whole);
    this.#at += whole;
    return body;
  }

  #has(bytes: number): boolean {
    if (this.#held.length - this.#at >= bytes) return true;
    if (this.pending < bytes) return false;
    const rest = this.#held.subarray(this.#at);
    const [only] = this.#pieces;
    this.#held = rest.length === 0 && this.#pieces.length === 1 && only !== undefined ? only : Buffer.concat([rest, ...this.#pieces]);
    this.#at = 0;
    this.#pieces = [];
    this.#piecesBytes = 0;
    return true;
  }
}

/** Types of the messages that a client may send once it is connected. */
export const frontend = {
  bind: 0x42, close: 0x43, describe: 0x44, execute: 0x45, functionCall: 0x46, flush: 0x48, parse: 0x50, query: 0x51, sync: 0x53, terminate: 0x58,
  copyData: 0x64, copyDone: 0x63, copyFail: 0x66, password: 0x70,
} as const;

const known: ReadonlySet<number> = new Set(Object.values(frontend));

function isKnownType(type: number): boolean {
  return known.has(type);
}
