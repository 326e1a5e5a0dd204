import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { present } from '../../../src/base/assert.ts';
import { addInterval } from '../../../src/sql/values/interval-sum.ts';
import { formatInterval, parseInterval, type Interval } from '../../../src/sql/values/interval-text.ts';
import { Random } from '../../oracle/random.ts';
import { valueSamples } from '../../catalog/hash/value-samples.ts';
import { connectTextClient, type TextClient } from './text-client.ts';

const seed = Number(process.env['SEED'] ?? 20_240_304);

describe.each([15, 18] as const)('on PostgreSQL %i', (major) => {
  let client: TextClient;
  beforeAll(async () => {
    client = await connectTextClient(major);
  });
  afterAll(() => client[Symbol.asyncDispose]());

  test(`intervals are read, added and printed as the server does, seed ${seed}`, async () => {
    const random = new Random(seed);
    const samples = present(valueSamples['interval']);
    const left = [...samples.boundaries, ...Array.from({ length: 20_000 }, () => samples.random(random))];
    const right = left.map(() => samples.random(random));
    const rows = await client.rows(
      'SELECT a, b, a + b FROM (SELECT a::interval, b::interval FROM unnest($1::text[], $2::text[]) u(a, b)) q WHERE a::text !~ $3',
      [left, right, '178000000|2147483|2562047787'],
    );
    expect(rows.length).toBeGreaterThan(20_000);
    for (const row of rows) {
      const [a, b] = row.map((text) => present(parseInterval(text ?? ''), text ?? 'interval'));
      const sum = addInterval(present(a), present(b));
      const printed = [present(a), present(b), sum].map(formatInterval);
      if (printed.join() !== row.join()) expect(printed).toEqual(row);
    }
  });
});

test('sums out of range and opposite infinities are errors', () => {
  const outOfRange = expect.objectContaining({ code: '22008', message: 'interval out of range' });
  expect(() => addInterval(read('2147483647 days'), read('1 day'))).toThrow(outOfRange);
  expect(() => addInterval(read('infinity'), read('-infinity'))).toThrow(outOfRange);
  // Finite ones that add up to what stands for infinity.
  const nearly = read('178956970 years 6 mons 2147483646 days 2562047788:00:54.775806');
  expect(() => addInterval(nearly, read('1 mon 1 day 00:00:00.000001'))).toThrow(outOfRange);
  expect(formatInterval(addInterval(nearly, read('1 mon')))).toBe('178956970 years 7 mons 2147483646 days 2562047788:00:54.775806');
  expect(formatInterval(addInterval(read('infinity'), read('-1 days')))).toBe('infinity');
  expect(formatInterval(addInterval(read('1 day'), read('-infinity')))).toBe('-infinity');
});

test('what another IntervalStyle would read otherwise is not read', () => {
  for (const text of ['-1 days 02:00:00', '-1 years 2 mons', '1 day ', '', '1 week', '@ 1 day', '1 day 25', 'P1D']) expect(parseInterval(text), text).toBeUndefined();
  expect(parseInterval('-1 days +02:00:00')).toEqual({ months: 0, days: -1, micros: 7_200_000_000n });
});

function read(text: string): Interval {
  return present(parseInterval(text), text);
}
