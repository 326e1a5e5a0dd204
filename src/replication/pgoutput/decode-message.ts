import { AssertionError, assert } from '../../base/assert.ts';
import type { OldRow, RelationColumn, RelationMessage, StreamedRow, StreamedValue, StreamMessage } from './message.ts';

/**
 * Reads one message of plugin pgoutput, protocol version 1, values in text form. Source: PostgreSQL's documentation, "Logical Replication Message Formats". A message of a
 * kind that this version has not is a bug.
 */
export function decodeMessage(bytes: Buffer): StreamMessage {
  const reader = new MessageReader(bytes);
  const kind = reader.character();
  switch (kind) {
    case 'B':
      return { kind: 'begin', commit: reader.uint64(), committedAt: reader.uint64() };
    case 'C':
      return decodeCommit(reader);
    case 'R':
      return decodeRelation(reader);
    case 'I':
      return decodeInsert(reader);
    case 'U':
      return decodeUpdate(reader);
    case 'D':
      return { kind: 'delete', relation: reader.uint32(), old: decodeOld(reader, reader.character()) };
    case 'T':
      return decodeTruncate(reader);
    case 'M':
      return decodeMarker(reader);
    case 'O':
    case 'Y':
      return { kind: 'other' };
    default:
      throw new AssertionError(`unknown message "${kind}" of pgoutput`);
  }
}

function decodeCommit(reader: MessageReader): StreamMessage {
  reader.skip(9);
  return { kind: 'commit', end: reader.uint64() };
}

function decodeRelation(reader: MessageReader): RelationMessage {
  const relation = reader.uint32();
  const schema = reader.text();
  const name = reader.text();
  const identity = reader.character();
  const columns: RelationColumn[] = [];
  for (let left = reader.uint16(); left > 0; left -= 1) {
    const key = reader.byte() === 1;
    columns.push({ name: reader.text(), key, type: reader.uint32() });
    reader.skip(4);
  }
  // The system calls its own namespace by nothing at all.
  return { kind: 'relation', relation, schema: schema === '' ? 'pg_catalog' : schema, name, identity, columns };
}

function decodeInsert(reader: MessageReader): StreamMessage {
  const relation = reader.uint32();
  return { kind: 'insert', relation, row: decodeNew(reader, reader.character()) };
}

function decodeUpdate(reader: MessageReader): StreamMessage {
  const relation = reader.uint32();
  const first = reader.character();
  if (first === 'N') return { kind: 'update', relation, old: undefined, row: decodeRow(reader) };
  const old = decodeOld(reader, first);
  return { kind: 'update', relation, old, row: decodeNew(reader, reader.character()) };
}

function decodeTruncate(reader: MessageReader): StreamMessage {
  const count = reader.uint32();
  reader.skip(1);
  return { kind: 'truncate', relations: Array.from({ length: count }, () => reader.uint32()) };
}

function decodeMarker(reader: MessageReader): StreamMessage {
  reader.skip(9);
  const prefix = reader.text();
  return { kind: 'marker', prefix, content: reader.latin1(reader.uint32()) };
}

function decodeOld(reader: MessageReader, kind: string): OldRow {
  assert(kind === 'K' || kind === 'O', `unknown old row "${kind}" of pgoutput`);
  return { kind: kind === 'K' ? 'key' : 'full', row: decodeRow(reader) };
}

function decodeNew(reader: MessageReader, kind: string): StreamedRow {
  assert(kind === 'N', `unknown new row "${kind}" of pgoutput`);
  return decodeRow(reader);
}

function decodeRow(reader: MessageReader): StreamedRow {
  const row: StreamedValue[] = [];
  for (let left = reader.uint16(); left > 0; left -= 1) row.push(decodeValue(reader));
  return row;
}

function decodeValue(reader: MessageReader): StreamedValue {
  const kind = reader.byte();
  if (kind === 0x6e) return null;
  if (kind === 0x75) return undefined;
  assert(kind === 0x74, `a value of kind ${kind} where text was asked for`);
  return reader.latin1(reader.uint32());
}

/** Reads fields from the front. Throws RangeError behind the end. */
class MessageReader {
  #at = 0;

  constructor(private readonly bytes: Buffer) {}

  byte(): number {
    this.#at += 1;
    return this.bytes.readUInt8(this.#at - 1);
  }

  character(): string {
    return String.fromCharCode(this.byte());
  }

  uint16(): number {
    this.#at += 2;
    return this.bytes.readUInt16BE(this.#at - 2);
  }

  uint32(): number {
    this.#at += 4;
    return this.bytes.readUInt32BE(this.#at - 4);
  }

  uint64(): bigint {
    this.#at += 8;
    return this.bytes.readBigUInt64BE(this.#at - 8);
  }

  skip(count: number): void {
    this.#at += count;
  }

  /** Up to the next zero byte. */
  text(): string {
    const end = this.bytes.indexOf(0, this.#at);
    assert(end >= 0, 'a text of pgoutput without its end');
    const text = this.bytes.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return text;
  }

  latin1(length: number): string {
    const start = this.#at;
    this.#at += length;
    if (this.#at > this.bytes.length) throw new RangeError(`a value of ${length} bytes goes beyond its message`);
    return this.bytes.toString('latin1', start, this.#at);
  }
}
