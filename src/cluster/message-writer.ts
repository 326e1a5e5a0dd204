import { ClusterError } from '../base/errors.ts';
import { prepareValue } from 'pg/lib/utils.js';

const chunkBytes = 16 * 1024;
const parametersMax = 65_535;
/** Describe and Execute of the unnamed portal. */
const runPortal = Buffer.from('D\0\0\0\x06P\0E\0\0\0\x09\0\0\0\0\0', 'latin1');

const executePortal = Buffer.from('E\0\0\0\x09\0\0\0\0\0', 'latin1');

/** Describe of the unnamed statement. */
const describeStatement = Buffer.from('D\0\0\0\x06S\0', 'latin1');
const flushMessage = Buffer.from('H\0\0\0\x04', 'latin1');
const syncMessage = Buffer.from('S\0\0\0\x04', 'latin1');

/** Frontend messages, appended to one piece of memory, so that all the statements of a tick leave in one write. */
export class MessageWriter {
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

  /** A statement through the simple protocol. */
  query(text: string): void {
    const length = this.#open(0x51);
    this.#text(text);
    this.#byte(0);
    this.#close(length);
  }

  /** `types`: OIDs of leading parameters, 0 where the server shall infer one. */
  parse(name: string, text: string, types: readonly number[] = []): void {
    const length = this.#open(0x50);
    this.#text(name);
    this.#byte(0);
    this.#text(text);
    this.#reserve(3 + 4 * types.length);
    this.#byte(0);
    this.#int16(types.length);
    for (const type of types) this.#int32(type);
    this.#close(length);
  }

  /** Describes the unnamed statement that was parsed last; it is not run. */
  describe(): void {
    this.#bytes(describeStatement);
  }

  /** Forgets a prepared statement. */
  close(name: string): void {
    const length = this.#open(0x43);
    this.#byte(0x53);
    this.#text(name);
    this.#byte(0);
    this.#close(length);
  }

  /** Ends what makes one unit: the server answers up to here, and commits unless it is in a transaction block. */
  sync(): void {
    this.#bytes(syncMessage);
  }

  /** The server sends what it has to say up to here, and goes on. */
  flush(): void {
    this.#bytes(flushMessage);
  }

  /** Bind, Describe, Execute. Values are mapped as pg maps them; Buffers travel as binary. */
  run(statement: string, values: readonly unknown[]): void {
    this.#bind(statement, values);
    this.#bytes(runPortal);
  }

  /** Bind and Execute without a Describe. */
  runWith(statement: string, values: readonly unknown[]): void {
    this.#bind(statement, values);
    this.#bytes(executePortal);
  }

  #bind(statement: string, values: readonly unknown[]): void {
    if (values.length > parametersMax) {
      throw new ClusterError('invalidParameter', `number of parameters must be between 0 and ${parametersMax}`);
    }
    const length = this.#open(0x42);
    this.#byte(0);
    this.#text(statement);
    this.#reserve(3 + 2 * values.length + 2);
    this.#byte(0);
    this.#int16(values.length);
    let format = this.#end - this.#start;
    for (let index = 0; index < values.length; index += 1) this.#int16(0);
    this.#int16(values.length);
    for (const value of values) {
      if (this.#value(prepareValue(value)) === 'binary') this.#chunk[this.#start + format + 1] = 1;
      format += 2;
    }
    this.#reserve(4);
    this.#int16(1);
    this.#int16(0);
    this.#close(length);
  }

  #value(value: Buffer | string | null): 'text' | 'binary' {
    this.#reserve(4);
    if (value === null) {
      this.#int32(-1);
      return 'text';
    }
    const length = this.#end - this.#start;
    this.#end += 4;
    if (typeof value === 'string') this.#text(value);
    else this.#bytes(value);
    this.#patch(length, this.#end - this.#start - length - 4);
    return typeof value === 'string' ? 'text' : 'binary';
  }

  /** Starts a message; returns where its length belongs, relative to the start, which may move. */
  #open(code: number): number {
    this.#reserve(6);
    this.#byte(code);
    this.#end += 4;
    return this.#end - this.#start - 4;
  }

  #close(length: number): void {
    this.#patch(length, this.#end - this.#start - length);
  }

  #patch(offset: number, value: number): void {
    this.#chunk.writeInt32BE(value, this.#start + offset);
  }

  /** Appends UTF-8, and leaves room for one more byte. Short ASCII is cheaper by hand than by a call into C++. */
  #text(text: string): void {
    this.#reserve(text.length * 3 + 1);
    if (text.length <= 24 && this.#ascii(text)) return;
    this.#end += this.#chunk.write(text, this.#end, 'utf8');
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

  #bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#chunk.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  #byte(value: number): void {
    this.#chunk[this.#end] = value;
    this.#end += 1;
  }

  #int16(value: number): void {
    this.#chunk[this.#end] = value >>> 8;
    this.#chunk[this.#end + 1] = value;
    this.#end += 2;
  }

  #int32(value: number): void {
    this.#chunk.writeInt32BE(value | 0, this.#end);
    this.#end += 4;
  }

  /** Makes room; what was not taken yet moves along. */
  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#chunk.length) return;
    const pending = this.#end - this.#start;
    const larger = Buffer.allocUnsafe(Math.max(chunkBytes, (pending + bytes) * 2));
    this.#chunk.copy(larger, 0, this.#start, this.#end);
    this.#chunk = larger;
    this.#start = 0;
    this.#end = pending;
  }
}
