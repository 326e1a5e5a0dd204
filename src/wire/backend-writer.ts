import { ByteWriter } from '../cluster/byte-writer.ts';
import type { FieldDescriptor } from '../cluster/node-connection.ts';
import type { Format } from './frontend-message.ts';

/** One column of one row, in the format that was asked for; null is SQL NULL. */
export type WireValue = string | Uint8Array | null;

/** Messages of a server. */
export class BackendWriter extends ByteWriter {
  authentication(code: number, body: Uint8Array = new Uint8Array()): void {
    const length = this.open(0x52);
    this.int32(code);
    this.bytes(body);
    this.end(length);
  }

  /** Version 3.0 or 3.2 is spoken, not the newer one, nor what stands behind `_pq_.`. */
  negotiateProtocol(minor: number, unknownOptions: readonly string[]): void {
    const length = this.open(0x76);
    this.int32((3 << 16) | minor);
    this.int32(unknownOptions.length);
    for (const option of unknownOptions) this.text(option);
    this.end(length);
  }

  parameterStatus(name: string, value: string): void {
    const length = this.open(0x53);
    this.text(name);
    this.text(value);
    this.end(length);
  }

  keyData(processId: number, key: Uint8Array): void {
    const length = this.open(0x4b);
    this.int32(processId);
    this.bytes(key);
    this.end(length);
  }

  ready(status: 'I' | 'T' | 'E'): void {
    const length = this.open(0x5a);
    this.byte(status.charCodeAt(0));
    this.end(length);
  }

  /** An ErrorResponse or a NoticeResponse: fields by their letters, in order. */
  report(kind: 'error' | 'notice', fields: readonly (readonly [letter: string, value: string])[]): void {
    const length = this.open(kind === 'error' ? 0x45 : 0x4e);
    for (const [letter, value] of fields) {
      this.byte(letter.charCodeAt(0));
      this.text(value.replaceAll('\0', ''));
    }
    this.byte(0);
    this.end(length);
  }

  notification(processId: number, channel: string, payload: string): void {
    const length = this.open(0x41);
    this.int32(processId);
    this.text(channel);
    this.text(payload);
    this.end(length);
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
    const length = this.open(0x74);
    this.int16(types.length);
    for (const type of types) this.int32(type);
    this.end(length);
  }

  /** `formats`: one for each column. */
  rowDescription(fields: readonly FieldDescriptor[], formats: readonly Format[]): void {
    const length = this.open(0x54);
    this.int16(fields.length);
    for (const [i, field] of fields.entries()) {
      this.text(field.name);
      this.int32(field.tableID);
      this.int16(field.columnID);
      this.int32(field.dataTypeID);
      this.int16(field.dataTypeSize);
      this.int32(field.dataTypeModifier);
      this.int16(formats[i] === 'binary' ? 1 : 0);
    }
    this.end(length);
  }

  dataRow(values: readonly WireValue[]): void {
    const length = this.open(0x44);
    this.int16(values.length);
    for (const value of values) this.#value(value);
    this.end(length);
  }

  complete(tag: string): void {
    const length = this.open(0x43);
    this.text(tag);
    this.end(length);
  }

  copyResponse(direction: 'in' | 'out', format: Format, columns: number): void {
    const length = this.open(direction === 'in' ? 0x47 : 0x48);
    const code = format === 'binary' ? 1 : 0;
    this.byte(code);
    this.int16(columns);
    for (let i = 0; i < columns; i += 1) this.int16(code);
    this.end(length);
  }

  copyData(bytes: Uint8Array): void {
    const length = this.open(0x64);
    this.bytes(bytes);
    this.end(length);
  }

  copyDone(): void {
    this.#empty(0x63);
  }

  functionResult(value: WireValue): void {
    const length = this.open(0x56);
    this.#value(value);
    this.end(length);
  }

  /** A single byte, the answer to a request for encryption. */
  answer(letter: 'S' | 'N'): void {
    this.byte(letter.charCodeAt(0));
  }

  /** Messages that are whole already. */
  raw(bytes: Uint8Array): void {
    this.bytes(bytes);
  }

  #value(value: WireValue): void {
    if (value === null) {
      this.int32(-1);
      return;
    }
    if (typeof value !== 'string') {
      this.int32(value.length);
      this.bytes(value);
      return;
    }
    const gap = this.gap();
    this.utf8(value);
    this.fill(gap);
  }

  #empty(type: number): void {
    this.end(this.open(type));
  }
}
