import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addFloat4, addFloat8, combineMoments, floatAverage, floatDeviation, type FloatMoments } from '../../../src/sql/values/float-sum.ts';
import { formatFloat4, parseFloat4 } from '../../../src/sql/values/float4-text.ts';
import { formatFloat8, parseFloat8 } from '../../../src/sql/values/float8-text.ts';
import { Random } from '../../oracle/random.ts';
import { float4, float8 } from '../../catalog/hash/value-samples.ts';
import { connectTextClient, type TextClient } from './text-client.ts';

const seed = Number(process.env['SEED'] ?? 20_240_303);
const forms = ['var_pop', 'var_samp', 'stddev_pop', 'stddev_samp'] as const;

describe.each([15, 18] as const)('on PostgreSQL %i', (major) => {
  let client: TextClient;
  beforeAll(async () => {
    client = await connectTextClient(major);
  });
  afterAll(() => client[Symbol.asyncDispose]());

  test(`float8 is printed as the server does, seed ${seed}`, async () => {
    const values = [...awkwardFloat8s(), ...sequence(100_000, float8)];
    const rows = await client.rows('SELECT x FROM unnest($1::float8[]) x', [values.map(numberText)]);
    expectSame(values, rows, formatFloat8);
    for (const [index, [text]] of rows.entries()) if (!Object.is(parseFloat8(text ?? ''), values[index])) expect(parseFloat8(text ?? '')).toBe(values[index]);
  });

  test(`float4 is printed as the server does, seed ${seed}`, async () => {
    const values = [...awkwardFloat4s(), ...sequence(100_000, float4)];
    const rows = await client.rows('SELECT x FROM unnest($1::float4[]) x', [values.map(numberText)]);
    expectSame(values, rows, formatFloat4);
  });

  test(`float4 is read as the server does, seed ${seed}`, async () => {
    const texts = sequence(20_000, nearMidpoint);
    const rows = await client.rows('SELECT x::float4::float8 FROM unnest($1::text[]) x', [texts]);
    expectSame(texts, rows, (text) => formatFloat8(parseFloat4(text)));
  });

  test(`states are combined and finished as the server does, seed ${seed}`, async () => {
    const pairs = sequence(20_000, (random) => [moments(random), moments(random)] as const);
    const states = [0, 1].flatMap((side) => (['count', 'sum', 'squares'] as const).map((field) => pairs.map((pair) => pair[side]?.[field])));
    const rows = await client.rows(
      `SELECT c[1], c[2], c[3], float8_avg(c), ${forms.map((form) => `float8_${form}(c)`).join(', ')}
       FROM unnest($1::float8[], $2::float8[], $3::float8[], $4::float8[], $5::float8[], $6::float8[]) u(n, s, x, m, t, y),
         LATERAL (SELECT float8_combine(ARRAY[n, s, x], ARRAY[m, t, y]) AS c OFFSET 0) q`,
      states,
    );
    expectSame(pairs, rows.map((row) => [JSON.stringify(row)]), ([a, b]) => {
      const state = combineMoments(a, b);
      const finals = [floatAverage(state.sum, state.count), ...forms.map((form) => floatDeviation(state, form))];
      return JSON.stringify([state.count, state.sum, state.squares, ...finals].map((value) => (value === undefined ? null : formatFloat8(value))));
    });
  });

  test(`sums, seed ${seed}`, async () => {
    const doubles = sequence(5_000, (random) => [float8(random) / 4, float8(random) / 4] as const);
    const singles = sequence(5_000, (random) => [Math.fround(float4(random) / 4), Math.fround(float4(random) / 4)] as const);
    const [rows8, rows4] = [await sums(client, 'float8', doubles), await sums(client, 'float4', singles)];
    expectSame(doubles, rows8, ([a, b]) => formatFloat8(addFloat8(a, b)));
    expectSame(singles, rows4, ([a, b]) => formatFloat4(addFloat4(a, b)));
    await expect(client.rows("SELECT sum(x) FROM (VALUES (1.7e308::float8), (1.7e308)) v(x)")).rejects.toThrow('value out of range: overflow');
  });
});

test('an overflow is an error, an infinity is none', () => {
  const overflow = expect.objectContaining({ id: 'numericOverflow', code: '22003', message: 'value out of range: overflow' });
  expect(() => addFloat8(1.7e308, 1.7e308)).toThrow(overflow);
  expect(() => addFloat4(3e38, 3e38)).toThrow(overflow);
  expect(addFloat8(Number.POSITIVE_INFINITY, 1)).toBe(Number.POSITIVE_INFINITY);
  expect(() => combineMoments({ count: 1, sum: 1e308, squares: 0 }, { count: 1, sum: -1e308, squares: 0 })).toThrow(overflow);
});

/** As JavaScript prints it, but for the sign of zero. */
function numberText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

function sums(client: TextClient, type: string, pairs: readonly (readonly [number, number])[]): Promise<(string | null)[][]> {
  return client.rows(`SELECT a + b FROM unnest($1::${type}[], $2::${type}[]) u(a, b)`, [pairs.map(([a]) => a), pairs.map(([, b]) => b)]);
}

function expectSame<T>(inputs: readonly T[], rows: readonly (readonly (string | null)[])[], print: (input: T) => string): void {
  for (const [index, input] of inputs.entries()) {
    if (print(input) !== rows[index]?.[0]) expect(print(input), JSON.stringify(input)).toBe(rows[index]?.[0]);
  }
}

function sequence<T>(length: number, make: (random: Random) => T): T[] {
  const random = new Random(seed);
  return Array.from({ length }, () => make(random));
}

/** Powers of two, where the gap below is half as wide, their neighbours, and few-digit decimals halfway between two doubles. */
function awkwardFloat8s(): number[] {
  const powers = Array.from({ length: 2098 }, (_, index) => 2 ** (index - 1074));
  const decimals = Array.from({ length: 50 }, (_, power) => Array.from({ length: 99 }, (_ignored, digits) => Number(`${digits + 1}e${power}`))).flat();
  const near = powers.flatMap((power) => [power, power * (1 + 2 ** -52), power * (1 - 2 ** -53), power * 3, power * 5]);
  return [...near, ...decimals, 0, -0, Number.NaN, Infinity, -Infinity].filter((value) => Math.abs(value) < 1.7e308 || !Number.isFinite(value));
}

function awkwardFloat4s(): number[] {
  const powers = Array.from({ length: 277 }, (_, index) => 2 ** (index - 149));
  const decimals = Array.from({ length: 30 }, (_, power) => Array.from({ length: 500 }, (_ignored, digits) => Math.fround((digits + 1) * 10 ** power))).flat();
  const quarters = Array.from({ length: 4000 }, (_, index) => 1_000_000 + index * 1000.25);
  return [...powers.flatMap((power) => [power, power * (1 + 2 ** -23), power * 3]), ...decimals, ...quarters, 0, -0, Number.NaN, Infinity, -Infinity]
    .map(Math.fround);
}

/** Enough for the middle between two float4s of the range below; JavaScript allows up to 100. */
const exactDecimals = 60;

/** A decimal at, just below or just above the middle between two float4s: so near that a double does not see the difference. */
function nearMidpoint(random: Random): string {
  const bits = new DataView(new ArrayBuffer(4));
  bits.setUint32(0, random.int(0x3000_0000, 0x4f00_0000));
  const lower = bits.getFloat32(0);
  bits.setUint32(0, bits.getUint32(0) + 1);
  const [mantissa = '', exponent = ''] = ((lower + bits.getFloat32(0)) / 2).toExponential(exactDecimals).split('e');
  const below = mantissa.replace(/([1-9])(0*)$/, (_, digit: string, zeros: string) => `${Number(digit) - 1}${'9'.repeat(zeros.length)}`);
  return `${random.pick(['', '-'])}${random.pick([mantissa, `${mantissa}1`, below])}e${exponent}`;
}

function moments(random: Random): FloatMoments {
  if (random.chance(0.1)) return { count: 0, sum: 0, squares: 0 };
  const value = (): number => (random.chance(0.02) ? random.pick([Number.NaN, Infinity, -Infinity]) : random.int(-(10 ** 9), 10 ** 9) / 7);
  const sum = value();
  return { count: random.int(1, 1000), sum, squares: Number.isFinite(sum) ? random.int(0, 10 ** 9) / 7 : Number.NaN };
}
