import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { binaryHeader, binaryTrailer } from '../../../src/execute/copy/binary-scanner.ts';
import { copyOptions } from '../../../src/execute/copy/copy-options.ts';
import type { CopyOptions } from '../../../src/execute/copy/copy-options.ts';
import { rowScannerOf } from '../../../src/execute/copy/row-scanner-of.ts';
import { RowSplitter } from '../../../src/execute/copy/row-splitter.ts';

const text = copyOptions([]);
const csv: CopyOptions = { ...text, format: 'csv', delimiter: ',', null: '' };
const binary: CopyOptions = { ...text, format: 'binary' };

interface Split {
  readonly rows: readonly string[];
  readonly values: readonly string[];
  readonly lines: readonly number[];
  readonly error: string | undefined;
}

/** Every row with its value (second field) as bytes, and its first line. */
function split(options: CopyOptions, pieces: readonly Buffer[], serverVersion = 180000): Split {
  const splitter = new RowSplitter(rowScannerOf(options, 1, serverVersion), 't');
  const rows: string[] = [];
  const values: string[] = [];
  const lines: number[] = [];
  const drain = (): void => {
    for (let batch = splitter.next(); batch !== undefined; batch = splitter.next()) {
      let line = splitter.linesBefore + 1;
      for (let i = 0; i < batch.count; i += 1) {
        rows.push(batch.bytes.toString('latin1', batch.starts[i], batch.ends[i]));
        const start = batch.valueStarts[i] ?? -1;
        values.push(start < 0 ? 'none' : `=${batch.bytes.toString('latin1', start, batch.valueEnds[i])}`);
        lines.push(line);
        line += batch.lineCounts[i] ?? 0;
      }
    }
  };
  try {
    for (const piece of pieces) {
      // A source may reuse its memory: what the splitter keeps must be its own.
      const own = Buffer.from(piece);
      splitter.push(own);
      drain();
      own.fill(0);
    }
    splitter.finish();
    drain();
    return { rows, values, lines, error: undefined };
  } catch (error) {
    return { rows, values, lines, error: error instanceof Error ? error.message : String(error) };
  }
}

const field = (value: string | null): Buffer => {
  const length = Buffer.alloc(4);
  length.writeInt32BE(value === null ? -1 : value.length);
  return Buffer.concat([length, Buffer.from(value ?? '', 'latin1')]);
};
const tuple = (...values: (string | null)[]): Buffer => Buffer.concat([Buffer.from([0, values.length]), ...values.map(field)]);

interface Input {
  readonly name: string;
  readonly options: CopyOptions;
  readonly input: Buffer;
  readonly rows: number;
  readonly error?: string;
}

const inputs: readonly Input[] = [
  { name: 'text', options: text, input: Buffer.from('1\ta\tx\n2\tb\\\nc\tx\\\\\n\\N\t\\N\n\n3\tlast'), rows: 5 },
  { name: 'text, carriage returns', options: text, input: Buffer.from('1\ta\r2\tb\r'), rows: 2 },
  { name: 'text, both', options: text, input: Buffer.from('1\ta\r\n2\tb\r\n\\.\r\nignored'), rows: 2 },
  { name: 'text, end marker', options: text, input: Buffer.from('1\ta\n\\.\n2\tb\n'), rows: 1 },
  {
    name: 'text, mixed line ends',
    options: text,
    input: Buffer.from('1\ta\n2\tb\r\n'),
    rows: 1,
    error: 'literal carriage return found in data',
  },
  { name: 'csv', options: csv, input: Buffer.from('1,a\n"2,""x""\n",b\n3,"c\r\nd"\n,,\n\\.\n4,"e'), rows: 6 },
  { name: 'csv, both', options: csv, input: Buffer.from('1,"a\r\n"\r\n2,b\r\n'), rows: 2 },
  {
    name: 'binary',
    options: binary,
    input: Buffer.concat([binaryHeader, tuple('1', 'abc'), tuple('2', null, 'x'), tuple('3'), binaryTrailer]),
    rows: 3,
  },
  {
    name: 'binary, cut off',
    options: binary,
    input: Buffer.concat([binaryHeader, tuple('1', 'abc'), Buffer.from([0, 2, 0])]),
    rows: 1,
    error: 'unexpected EOF in COPY data',
  },
  {
    name: 'binary, bad signature',
    options: binary,
    input: Buffer.from('PGCOPX\n\xff\r\n\0', 'latin1'),
    rows: 0,
    error: 'COPY file signature not recognized',
  },
];

describe('rows under every split of the input', () => {
  test.each(inputs)('$name', ({ options, input, rows, error }) => {
    const whole = split(options, [input]);
    expect([whole.rows.length, whole.error]).toEqual([rows, error]);
    for (let first = 0; first <= input.length; first += 1) {
      for (let second = first; second <= input.length; second += 1) {
        const pieces = [input.subarray(0, first), input.subarray(first, second), input.subarray(second)];
        expect(split(options, pieces), `cut at ${first} and ${second}`).toEqual(whole);
      }
    }
    expect(split(options, Array.from(input, (byte) => Buffer.from([byte])))).toEqual(whole);
  });

  test('many rows, some long, cut anywhere', () => {
    const row = fc.tuple(fc.string({ maxLength: 12 }), fc.integer({ min: 0, max: 9 })).map(([value, size]) => {
      const long = size === 0 ? 'y'.repeat(100_000) : 'z';
      return `${value.replaceAll(/[\n\r\t\\]/g, '')}\t${long}\t\\\\`;
    });
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 40 }), fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1 }), (rows, cuts) => {
        const input = Buffer.from(rows.map((line) => `${line}\n`).join(''));
        const pieces: Buffer[] = [];
        for (let at = 0, i = 0; at < input.length; i += 1) {
          const length = cuts[i % cuts.length] ?? 1;
          pieces.push(input.subarray(at, at + length));
          at += length;
        }
        expect(split(text, pieces)).toEqual(split(text, [input]));
        expect(split(text, pieces).rows).toHaveLength(rows.length);
      }),
      { numRuns: 30 },
    );
  });

  test('more rows in a piece than a batch holds', () => {
    const input = Buffer.from('1\t2\n'.repeat(10_000));
    const { rows, lines } = split(text, [input]);
    expect(rows).toHaveLength(10_000);
    expect(lines.at(-1)).toBe(10_000);
  });

  test('a row of many pieces is not scanned once per piece', () => {
    const piece = Buffer.alloc(1 << 16, 0x79);
    const { rows } = split(text, [...Array.from({ length: 100 }, () => piece), Buffer.from('\n1\t2\n')]);
    expect(rows.map(({ length }) => length)).toEqual([100 * (1 << 16) + 1, 4]);
  });

  test('before version 18 an end marker may follow a row in its line, and CSV has one', () => {
    expect(split(text, [Buffer.from('1\ta\\.\nx')], 170000).rows).toEqual(['1\ta']);
    expect(split(text, [Buffer.from('1\ta\\.\nx')], 180000).error).toBe('end-of-copy marker is not alone on its line');
    expect(split(csv, [Buffer.from('1,a\n\\.\n2,b\n')], 170000).rows).toEqual(['1,a\n']);
    expect(split(csv, [Buffer.from('1,a\n\\.\n2,b\n')], 180000).rows).toHaveLength(3);
  });
});
