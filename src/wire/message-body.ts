import { protocolViolation } from './protocol-error.ts';

/** Reads the body of a message from its beginning. Throws 08P01 where it ends too early, or later than it was read. */
export class MessageBody {
  #at = 0;

  constructor(private readonly bytes: Buffer) {}

  byte(): number {
    return this.bytes[this.#advance(1)] ?? 0;
  }

  int16(): number {
    return this.bytes.readInt16BE(this.#advance(2));
  }

  uint16(): number {
    return this.bytes.readUInt16BE(this.#advance(2));
  }

  int32(): number {
    return this.bytes.readInt32BE(this.#advance(4));
  }

  uint32(): number {
    return this.bytes.readUInt32BE(this.#advance(4));
  }

  /** Up to a zero byte. Bytes that are no UTF-8 are refused, as PostgreSQL does (22021). */
  text(): string {
    const end = this.bytes.indexOf(0, this.#at);
    if (end < 0) throw protocolViolation('invalid string in message');
    const start = this.#at;
    this.#at = end + 1;
    return utf8(this.bytes.subarray(start, end));
  }

  slice(length: number): Buffer {
    const start = this.#advance(length);
    return this.bytes.subarray(start, start + length);
  }

  rest(): Buffer {
    return this.slice(this.bytes.length - this.#at);
  }

  end(): void {
    if (this.#at !== this.bytes.length) throw protocolViolation('invalid message format');
  }

  #advance(length: number): number {
    const start = this.#at;
    if (length < 0 || start + length > this.bytes.length) throw protocolViolation('insufficient data left in message');
    this.#at = start + length;
    return start;
  }
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text that the bytes are. Throws 22021 if they are none, naming the first that are not. */
export function utf8(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    throw protocolViolation(`invalid byte sequence for encoding "UTF8": ${invalidSequence(bytes)}`, { sqlState: '22021' });
  }
}

/** As PostgreSQL names it: as many bytes as the first one says that a character has. */
function invalidSequence(bytes: Uint8Array): string {
  let at = 0;
  while (at < bytes.length && isText(bytes.subarray(at, at + lengthOf(bytes[at] ?? 0)))) at += lengthOf(bytes[at] ?? 0);
  return Array.from(bytes.subarray(at, at + lengthOf(bytes[at] ?? 0)), (byte) => `0x${byte.toString(16).padStart(2, '0')}`).join(' ');
}

function isText(bytes: Uint8Array): boolean {
  try {
    strict.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function lengthOf(first: number): number {
  return (first & 0xe0) === 0xc0 ? 2 : (first & 0xf0) === 0xe0 ? 3 : (first & 0xf8) === 0xf0 ? 4 : 1;
}
