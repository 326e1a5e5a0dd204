import type { FieldDescriptor, RawRow } from '../cluster/node-connection.ts';
import type { Format } from './frontend-message.ts';

/** One column of one row, in the format that was asked for; null is SQL NULL. */
export type WireValue = string | Uint8Array | null;

const chunkBytes = 16 * 1024;
const nameBytesMax = 65_535;

/** Messages of a server, appended to one piece of memory, so that many leave in one write. */
export class BackendWriter {
  #chunk = Buffer.allocUnsafe(chunkBytes);
  #start = 0;
  #end = 0;

  /** The bytes appended since the last take. They are not touched again. */
  take(): Buffer {
    const taken = this.#chunk.subarray(this.#start, this.#end);
    this.#start = this.#end;
    return taken;
  }

  get pending(): number {
    return this.#end - this.#start;
  }

  authentication(code: number, body: Uint8Array = new Uint8Array()): void {
    const length = this.#open(0x52);
    this.#int32(code);
    this.#bytes(body);
    this.#close(length);
  }

  /** Version 3.0 or 3.2 is spoken, not the newer one, nor what stands behind `_pq_.`. */
  negotiateProtocol(minor: number, unknownOptions: readonly string[]): void {
    const length = this.#open(0x76);
    this.#int32((3 << 16) | minor);
    this.#int32(unknownOptions.length);
    for (const option of unknownOptions) this.#text(option);
    this.#close(length);
  }

  parameterStatus(name: string, value: string): void {
    const length = this.#open(0x53);
    this.#text(name);
    this.#text(value);
    this.#close(length);
  }

  keyData(processId: number, key: Uint8Array): void {
    const length = this.#open(0x4b);
    this.#int32(processId);
    this.#bytes(key);
    this.#close(length);
  }

  ready(status: 'I' | 'T' | 'E'): void {
    const length = this.#open(0x5a);
    this.#byte(status.charCodeAt(0));
    this.#close(length);
  }

  /** An ErrorResponse or a NoticeResponse: fields by their letters, in order. */
  report(kind: 'error' | 'notice', fields: readonly (readonly [letter: string, value: string])[]): void {
    const length = this.#open(kind === 'error' ? 0x45 : 0x4e);
    for (const [letter, value] of fields) {
      this.#byte(letter.charCodeAt(0));
      this.#text(value.replaceAll('\0', ''));
    }
    this.#byte(0);
    this.#close(length);
  }

  notification(processId: number, channel: string, payload: string): void {
    const length = this.#open(0x41);
    this.#int32(processId);
    this.#text(channel);
    this.#text(payload);
    this.#close(length);
  }

  parseComplete(): void {
    this.#empty(0x31);
  }

  bindComplete(): void {
    this.#empty(0x32);
  }

  closeComplete(): void {
    this.#empty(0x33);
  }

  noData(): void {
    this.#empty(0x6e);
  }

  emptyQuery(): void {
    this.#empty(0x49);
  }

  portalSuspended(): void {
    this.#empty(0x73);
  }

  parameterDescription(types: readonly number[]): void {
    const length = this.#open(0x74);
    this.#int16(types.length);
    for (const type of types) this.#int32(type);
    this.#close(length);
  }

  /** `formats`: one for each column. */
  rowDescription(fields: readonly FieldDescriptor[], formats: readonly Format[]): void {
    const length = this.#open(0x54);
    this.#int16(fields.length);
    for (const [i, field] of fields.entries()) {
      this.#text(field.name.slice(0, nameBytesMax));
      this.#int32(field.tableID);
      this.#int16(field.columnID);
      this.#int32(field.dataTypeID);
      this.#int16(field.dataTypeSize);
      this.#int32(field.dataTypeModifier);
      this.#int16(formats[i] === 'binary' ? 1 : 0);
    }
    this.#close(length);
  }

  dataRow(values: readonly WireValue[]): void {
    const length = this.#open(0x44);
    this.#int16(values.length);
    for (const value of values) this.#value(value);
    this.#close(length);
  }

  /** A row as a server gave it. */
  textRow(row: RawRow): void {
    this.dataRow(row);
  }

  complete(tag: string): void {
    const length = this.#open(0x43);
    this.#text(tag);
    this.#close(length);
  }

  copyResponse(direction: 'in' | 'out', format: Format, columns: number): void {
    const length = this.#open(direction === 'in' ? 0x47 : 0x48);
    const code = format === 'binary' ? 1 : 0;
    this.#byte(code);
    this.#int16(columns);
    for (let i = 0; i < columns; i += 1) this.#int16(code);
    this.#close(length);
  }

  copyData(bytes: Uint8Array): void {
    const length = this.#open(0x64);
    this.#bytes(bytes);
    this.#close(length);
  }

  copyDone(): void {
    this.#empty(0x63);
  }

  /** A single byte, the answer to a request for encryption. */
  answer(letter: 'S' | 'N'): void {
    this.#byte(letter.charCodeAt(0));
  }

  /** Messages that are whole already. */
  raw(bytes: Uint8Array): void {
    this.#bytes(bytes);
  }

  #value(value: WireValue): void {
    if (value === null) {
      this.#int32(-1);
      return;
    }
    if (typeof value !== 'string') {
      this.#int32(value.length);
      this.#bytes(value);
      return;
    }
    this.#reserve(value.length * 3 + 4);
    const at = this.#end - this.#start;
    this.#end += 4;
    this.#utf8(value);
    this.#patch(at, this.#end - this.#start - at - 4);
  }

  #empty(type: number): void {
    this.#close(this.#open(type));
  }

  /** Starts a message; returns where its length belongs, relative to the start, which may move. */
  #open(type: number): number {
    this.#byte(type);
    this.#int32(0);
    return this.#end - this.#start - 4;
  }

  #close(length: number): void {
    this.#patch(length, this.#end - this.#start - length);
  }

  #patch(offset: number, value: number): void {
    this.#chunk.writeInt32BE(value, this.#start + offset);
  }

  #text(text: string): void {
    this.#reserve(text.length * 3 + 1);
    this.#utf8(text);
    this.#chunk[this.#end] = 0;
    this.#end += 1;
  }

  /** Into room that was made. Short ASCII is cheaper by hand than by a call into C++. */
  #utf8(text: string): void {
    if (text.length <= shortText && this.#ascii(text)) return;
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
    this.#reserve(1);
    this.#chunk[this.#end] = value;
    this.#end += 1;
  }

  #int16(value: number): void {
    this.#reserve(2);
    this.#chunk[this.#end] = value >>> 8;
    this.#chunk[this.#end + 1] = value;
    this.#end += 2;
  }

  #int32(value: number): void {
    this.#reserve(4);
    const chunk = this.#chunk;
    const end = this.#end;
    chunk[end] = value >>> 24;
    chunk[end + 1] = value >>> 16;
    chunk[end + 2] = value >>> 8;
    chunk[end + 3] = value;
    this.#end = end + 4;
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

const shortText = 24;
