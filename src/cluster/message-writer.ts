import { ClusterError } from '../base/errors.ts';
import { ByteWriter } from './byte-writer.ts';
import { prepareValue } from 'pg/lib/utils.js';

const parametersMax = 65_535;
/** Describe and Execute of the unnamed portal. */
const runPortal = Buffer.from('D\0\0\0\x06P\0E\0\0\0\x09\0\0\0\0\0', 'latin1');

const executePortal = Buffer.from('E\0\0\0\x09\0\0\0\0\0', 'latin1');

/** Describe of the unnamed statement. */
const describeStatement = Buffer.from('D\0\0\0\x06S\0', 'latin1');
const flushMessage = Buffer.from('H\0\0\0\x04', 'latin1');
const syncMessage = Buffer.from('S\0\0\0\x04', 'latin1');

/** Frontend messages. */
export class MessageWriter extends ByteWriter {
  /** A statement through the simple protocol. */
  query(text: string): void {
    const length = this.open(0x51);
    this.text(text);
    this.end(length);
  }

  /** `types`: OIDs of leading parameters, 0 where the server shall infer one. */
  parse(name: string, text: string, types: readonly number[] = []): void {
    const length = this.open(0x50);
    this.text(name);
    this.text(text);
    this.int16(types.length);
    for (const type of types) this.int32(type);
    this.end(length);
  }

  /** Describes the unnamed statement that was parsed last; it is not run. */
  describe(): void {
    this.bytes(describeStatement);
  }

  /** Forgets a prepared statement. */
  close(name: string): void {
    const length = this.open(0x43);
    this.byte(0x53);
    this.text(name);
    this.end(length);
  }

  /** Ends what makes one unit: the server answers up to here, and commits unless it is in a transaction block. */
  sync(): void {
    this.bytes(syncMessage);
  }

  /** The server sends what it has to say up to here, and goes on. */
  flush(): void {
    this.bytes(flushMessage);
  }

  /** Bind, Describe, Execute. Values are mapped as pg maps them; Buffers travel as binary. */
  run(statement: string, values: readonly unknown[]): void {
    this.#bind(statement, values);
    this.bytes(runPortal);
  }

  /** Bind and Execute without a Describe. `formats`: one for all columns, one for each, or none for text. */
  runWith(statement: string, values: readonly unknown[], formats: readonly ('text' | 'binary')[] = []): void {
    this.#bind(statement, values, formats);
    this.bytes(executePortal);
  }

  #bind(statement: string, values: readonly unknown[], formats: readonly ('text' | 'binary')[] = []): void {
    if (values.length > parametersMax) {
      throw new ClusterError('invalidParameter', `number of parameters must be between 0 and ${parametersMax}`);
    }
    const length = this.open(0x42);
    this.byte(0);
    this.text(statement);
    this.int16(values.length);
    let format = this.pending;
    for (let index = 0; index < values.length; index += 1) this.int16(0);
    this.int16(values.length);
    for (const value of values) {
      if (this.#value(prepareValue(value)) === 'binary') this.byteAt(format + 1, 1);
      format += 2;
    }
    this.int16(formats.length);
    for (const one of formats) this.int16(one === 'binary' ? 1 : 0);
    this.end(length);
  }

  #value(value: Buffer | string | null): 'text' | 'binary' {
    if (value === null) {
      this.int32(-1);
      return 'text';
    }
    const gap = this.gap();
    if (typeof value === 'string') this.utf8(value);
    else this.bytes(value);
    this.fill(gap);
    return typeof value === 'string' ? 'text' : 'binary';
  }
}
