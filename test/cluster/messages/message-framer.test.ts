import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { DataRowReader } from '../../../src/cluster/data-row.ts';
import { HeldRows } from '../../../src/cluster/held-rows.ts';
import { MessageFramer, plainMessage } from '../../../src/cluster/message-framer.ts';

type Row = readonly (string | null)[];
type Sent = { readonly kind: 'row'; readonly row: Row } | { readonly kind: 'copy' | 'plain' | 'other'; readonly text: string };

const text = fc.oneof(fc.string({ maxLength: 20 }), fc.string({ unit: 'binary', maxLength: 20 }), fc.constantFrom('', '1', '2024-01-05 12:34:56.789+00', 'ä', '\u{1f600}', 'x'.repeat(5000)));
const row = fc.array(fc.option(text), { maxLength: 5 });
const sent: fc.Arbitrary<Sent> = fc.oneof(
  { weight: 4, arbitrary: row.map((columns) => ({ kind: 'row' as const, row: columns })) },
  fc.record({ kind: fc.constantFrom('copy' as const, 'plain' as const, 'other' as const), text }),
);

test('messages arrive whole and in order, wherever the stream is cut', () => {
  fc.assert(
    fc.property(fc.array(sent, { maxLength: 30 }), fc.array(fc.nat(), { maxLength: 10 }), (messages, cuts) => {
      expect(received(chunksOf(Buffer.concat(messages.map(encoded)), cuts))).toEqual(messages);
    }),
  );
});

test('a message cut at every byte', () => {
  const messages: Sent[] = [{ kind: 'row', row: ['1', null, 'zwölf'] }, { kind: 'other', text: 'SELECT 1' }, { kind: 'copy', text: '1\t2\n' }, { kind: 'row', row: [] }];
  const stream = Buffer.concat(messages.map(encoded));
  for (let at = 0; at <= stream.length; at += 1) expect(received(chunksOf(stream, [at]))).toEqual(messages);
  expect(received(Array.from(stream, (byte) => Buffer.from([byte])))).toEqual(messages);
});

test('rows are held while their memory is used again, and read in order', () => {
  fc.assert(
    fc.property(fc.array(fc.array(row, { minLength: 1, maxLength: 20 }), { maxLength: 6 }), fc.integer({ min: 1, max: 40 }), (groups, atOnce) => {
      const held = new HeldRows();
      const read: Row[] = [];
      const framer = new MessageFramer({ onDataRow: (bytes, start, end) => held.add(bytes, start, end), onCopyData: () => undefined, onOther: () => undefined });
      for (const rows of groups) {
        const chunk = Buffer.concat(rows.map((columns) => encoded({ kind: 'row', row: columns })));
        framer.push(chunk);
        held.settle();
        chunk.fill(0);
        if (held.rows > atOnce) read.push(...held.read(atOnce));
      }
      while (held.rows > 0) read.push(...held.read(atOnce));
      expect(read).toEqual(groups.flat());
      expect(held).toMatchObject({ rows: 0, bytes: 0 });
    }),
  );
});

function received(chunks: readonly Buffer[]): Sent[] {
  const messages: Sent[] = [];
  const framer = new MessageFramer({
    onDataRow: (bytes, start, end) => {
      const reader = new DataRowReader(bytes);
      messages.push({ kind: 'row', row: reader.read(start) });
      expect(reader.end).toBe(end);
    },
    onCopyData: (bytes, start, end) => messages.push({ kind: 'copy', text: bytes.toString('utf8', start, end) }),
    // Every other one is left to pg.
    onPlain: (type, bytes, start, end) => {
      const isTaken = type === plainMessage.commandComplete && (end - start) % 2 === 0;
      if (isTaken) messages.push({ kind: 'plain', text: bytes.toString('utf8', start, end) });
      return isTaken;
    },
    onOther: (bytes) => {
      for (let at = 0; at < bytes.length; ) {
        const end = at + 1 + bytes.readUInt32BE(at + 1);
        messages.push({ kind: bytes[at] === plainMessage.commandComplete ? 'plain' : 'other', text: bytes.toString('utf8', at + 5, end) });
        at = end;
      }
    },
  });
  for (const chunk of chunks) framer.push(chunk);
  return messages;
}

function chunksOf(stream: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...cuts.map((cut) => cut % (stream.length + 1)), stream.length].sort((a, b) => a - b);
  return ends.map((end, i) => stream.subarray(ends[i - 1] ?? 0, end));
}

function encoded(message: Sent): Buffer {
  const body = message.kind === 'row' ? rowBody(message.row) : Buffer.from(message.text);
  const header = Buffer.alloc(5);
  header.write({ row: 'D', copy: 'd', plain: 'C', other: 'N' }[message.kind]);
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

function rowBody(columns: Row): Buffer {
  const count = Buffer.alloc(2);
  count.writeInt16BE(columns.length);
  const values = columns.flatMap((value) => {
    const length = Buffer.alloc(4);
    if (value === null) length.writeInt32BE(-1);
    else length.writeInt32BE(Buffer.byteLength(value));
    return value === null ? [length] : [length, Buffer.from(value)];
  });
  return Buffer.concat([count, ...values]);
}
