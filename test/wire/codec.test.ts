import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BackendWriter } from '../../src/wire/backend-writer.ts';
import { copyRowCutter } from '../../src/wire/copy-rows.ts';
import { FrontendReader, type FrontendFrame } from '../../src/wire/frontend-reader.ts';
import { readMessage } from '../../src/wire/frontend-message.ts';
import { sqlStateOf } from '../../src/base/errors.ts';
import { optionsOf, readStartup } from '../../src/wire/startup.ts';
import { FrameReader } from './frame-reader.ts';
import { bind, close, copyData, copyDone, copyFail, describe as describeMessage, execute, flush, functionCall, message, parse, query, startup, sync } from './raw-client.ts';

const capture = [
  query('SELECT 1; SELECT ✓'), parse('SELECT $1', 's', [23, 0]), bind(['1', null, Buffer.from([0, 255])], { portal: 'p', statement: 's', formats: [0, 0, 1], results: [1] }), describeMessage('S', 's'), describeMessage('P'), execute(5, 'p'),
  close('P', 'p'), close('S', 's'), flush, sync, copyData('a\tb\n'), copyDone, copyFail('no'), message('p', Buffer.from('SCRAM\0')), functionCall(1, [Buffer.from('a')]), message('X'),
];
const bytesMax = 10_000;

/** Reads all that comes in these pieces. */
function readAll(pieces: readonly Buffer[]): FrontendFrame[] {
  const reader = new FrontendReader(bytesMax);
  const frames: FrontendFrame[] = [];
  for (const piece of pieces) {
    reader.push(piece);
    for (let frame = reader.take(); frame !== undefined; frame = reader.take()) frames.push({ type: frame.type, body: Buffer.from(frame.body) });
  }
  return frames;
}

/** The bytes, cut at these places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1))), bytes.length].toSorted((a, b) => a - b);
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
}

describe('what clients send', () => {
  test('is read alike, however it is split', () => {
    const bytes = Buffer.concat(capture);
    const whole = readAll([bytes]);
    expect(whole.map(readMessage).map(({ kind }) => kind)).toEqual([
      'query', 'parse', 'bind', 'describe', 'describe', 'execute', 'close', 'close', 'flush', 'sync', 'copy_data', 'copy_done', 'copy_fail', 'password', 'function_call', 'terminate',
    ]);
    for (let at = 0; at <= bytes.length; at += 1) expect(readAll(cut(bytes, [at]))).toEqual(whole);
    fc.assert(fc.property(fc.array(fc.nat(bytes.length), { maxLength: 40 }), (places) => {
      expect(readAll(cut(bytes, places))).toEqual(whole);
    }));
    expect(readAll(cut(bytes, Array.from({ length: bytes.length }, (_, i) => i)))).toEqual(whole);
  });

  test('random and changed bytes are messages, or the right error', () => {
    const isRefusal = (error: unknown): boolean => /^(08P01|22021|22023|0A000|28000|42601)$/.test(sqlStateOf(error) ?? '');
    const survives = (bytes: Buffer, places: readonly number[]): void => {
      try {
        for (const frame of readAll(cut(bytes, places))) {
          try {
            readMessage(frame);
          } catch (error) {
            if (!isRefusal(error)) throw error;
          }
        }
      } catch (error) {
        if (!isRefusal(error)) throw error;
      }
      try {
        readStartup(bytes.subarray(4));
      } catch (error) {
        if (!isRefusal(error)) throw error;
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.array(fc.nat(300), { maxLength: 5 }), (bytes, places) => survives(Buffer.from(bytes), places)), { numRuns: 2_000 });
    const real = Buffer.concat([startup({ user: 'u', options: '-c a=b' }), ...capture]);
    fc.assert(fc.property(fc.array(fc.tuple(fc.nat(real.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }), fc.array(fc.nat(300), { maxLength: 5 }), (changes, places) => {
      const bytes = Buffer.from(real);
      for (const [at, value] of changes) bytes[at] = value;
      survives(bytes.subarray(changes.length % 2 === 0 ? 0 : real.readInt32BE(0)), places);
    }), { numRuns: 3_000 });
  });

  test.each(capture.map((bytes) => [String.fromCharCode(bytes[0] ?? 0), bytes] as const))('%s that is cut short is refused', (type, bytes) => {
    const body = bytes.subarray(5);
    if ('XSHcdpF'.includes(type)) {
      if ('XSHc'.includes(type)) expect(() => readMessage({ type: bytes[0] ?? 0, body: Buffer.from([1]) })).toThrow('invalid message format');
      return;
    }
    for (let length = 0; length < body.length; length += 1) expect(() => readMessage({ type: bytes[0] ?? 0, body: body.subarray(0, length) })).toThrow(/insufficient data|invalid string/);
    expect(() => readMessage({ type: bytes[0] ?? 0, body: Buffer.concat([body, Buffer.from('xx')]) })).toThrow('invalid message format');
  });

  test('lengths are bounded', () => {
    const header = (type: string, length: number): Buffer => message(type).fill(0, 1).fill(Buffer.from([length >>> 24, length >>> 16, length >>> 8, length]), 1);
    expect(() => readAll([header('Q', 3)])).toThrow('invalid message length');
    expect(() => readAll([header('Q', -1)])).toThrow('invalid message length');
    expect(() => readAll([header('Q', bytesMax + 1)])).toThrow('invalid message length');
    expect(() => readAll([header('\u0001', 4)])).toThrow('invalid frontend message type 1');
    const reader = new FrontendReader(bytesMax);
    reader.push(Buffer.from([0, 1, 0, 0]));
    expect(() => reader.takeStartup()).toThrow('invalid length of startup packet');
  });

  test('endsUnit looks ahead over what runs nothing', () => {
    const ends = (...messages: Buffer[]): boolean => {
      const reader = new FrontendReader(bytesMax);
      for (const one of messages) reader.push(one);
      reader.take();
      return reader.endsUnit();
    };
    expect(ends(execute(), sync)).toBe(true);
    expect(ends(execute(), close('P', 'p'), flush, sync)).toBe(true);
    expect(ends(execute(), parse('SELECT 1'), sync)).toBe(false);
    expect(ends(execute())).toBe(false);
    expect(ends(execute(), sync.subarray(0, 3))).toBe(false);
  });
});

test('options of a startup message', () => {
  expect(optionsOf('-c a=b --search-path=x,y  -cz=1')).toEqual([['a', 'b'], ['search_path', 'x,y'], ['z', '1']]);
  expect(optionsOf(String.raw`-c a=b\ c\\d`)).toEqual([['a', String.raw`b c\d`]]);
  expect(() => optionsOf('-f no')).toThrow('invalid command-line argument for server process: -f');
  expect(readStartup(startup({ user: 'u', application_name: 'x', '_pq_.y': 'z' }).subarray(4))).toMatchObject({ user: 'u', database: 'u', minor: 0, unknownOptions: ['_pq_.y'] });
  expect(readStartup(startup({ user: 'u' }, (3 << 16) | 2).subarray(4))).toMatchObject({ minor: 2 });
  expect(() => readStartup(startup({ user: 'u' }, 2 << 16).subarray(4))).toThrow('unsupported frontend protocol 2.0');
  expect(() => readStartup(startup({}).subarray(4))).toThrow('no PostgreSQL user name');
  expect(() => readStartup(startup({ user: 'u', replication: 'database' }).subarray(4))).toThrow('replication is not supported');
});

test('what a server sends is framed, at any size', () => {
  fc.assert(fc.property(fc.array(fc.array(fc.option(fc.oneof(fc.string({ unit: 'binary', maxLength: 50 }), fc.uint8Array({ maxLength: 50 }), fc.constant('x'.repeat(5_000)))), { maxLength: 5 }), { maxLength: 30 }), (rows) => {
    const writer = new BackendWriter();
    const taken: Buffer[] = [];
    for (const [i, row] of rows.entries()) {
      writer.dataRow(row);
      if (i % 3 === 0) taken.push(writer.take());
    }
    writer.complete('SELECT');
    taken.push(writer.take());
    const frames = new FrameReader().push(Buffer.concat(taken));
    expect(frames.map(([type]) => type)).toEqual([...rows.map(() => 'D'), 'C']);
    for (const [i, row] of rows.entries()) {
      const expected = row.map((value) => (value === null ? null : Buffer.from(value as string).toString('hex')));
      expect(values(frames[i]?.[1] ?? Buffer.alloc(2))).toEqual(expected);
    }
  }));
});

function values(body: Buffer): (string | null)[] {
  let at = 2;
  return Array.from({ length: body.readUInt16BE(0) }, () => {
    const length = body.readInt32BE(at);
    at += 4 + Math.max(length, 0);
    return length < 0 ? null : body.toString('hex', at - length, at);
  });
}

describe('COPY data is cut at the ends of rows', () => {
  const options = { quote: '"', escape: '"', header: false };
  const cutAll = (bytes: Buffer, places: readonly number[], how: Parameters<typeof copyRowCutter>[0]): { readonly rows: string[]; readonly count: number } => {
    const cutter = copyRowCutter(how);
    const rows = cut(bytes, places).flatMap((piece) => cutter.push(piece));
    return { rows: [...rows, ...cutter.rest()].map((row) => Buffer.from(row).toString('latin1')), count: cutter.rows };
  };
  const binary = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8), Buffer.from([0, 2, 0, 0, 0, 1, 65, 255, 255, 255, 255]), Buffer.from([0, 1, 0, 0, 0, 0]), Buffer.from([255, 255])]);
  test.each([
    ['text', Buffer.from('a\tb\\n\nc\n'), { ...options, format: 'text' as const }, ['a\tb\\n\n', 'c\n'], 2],
    ['csv', Buffer.from('h1,h2\n"a\nb""c",d\n"\n",\n'), { ...options, format: 'csv' as const, header: true }, ['h1,h2\n', '"a\nb""c",d\n', '"\n",\n'], 2],
    ['csv with another escape', Buffer.from('"a\\"\nb",d\n"\\\\"\n'), { ...options, format: 'csv' as const, escape: '\\' }, ['"a\\"\nb",d\n', '"\\\\"\n'], 2],
    ['binary', binary, { ...options, format: 'binary' as const }, [binary.subarray(0, 30).toString('latin1'), binary.subarray(30, 36).toString('latin1'), '\xff\xff'], 2],
  ] as const)('%s', (_name, bytes, how, rows, count) => {
    fc.assert(fc.property(fc.array(fc.nat(bytes.length), { maxLength: 10 }), (places) => {
      expect(cutAll(bytes, places, how)).toEqual({ rows, count });
    }));
  });
});
