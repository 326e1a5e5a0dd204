import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { present } from '../../../src/base/assert.ts';
import { addDecimal, formatDecimal, parseDecimal, zero, type Decimal } from '../../../src/sql/values/decimal.ts';
import { averageOf, deviationOf, divideDecimal } from '../../../src/sql/values/divide-decimal.ts';
import { Random } from '../../oracle/random.ts';
import { connectTextClient, type TextClient } from './text-client.ts';

const seed = Number(process.env['SEED'] ?? 20_240_302);
const groupCount = 4_000;
const forms = ['var_pop', 'var_samp', 'stddev_pop', 'stddev_samp'] as const;

describe.each([15, 18] as const)('on PostgreSQL %i', (major) => {
  let client: TextClient;
  beforeAll(async () => {
    client = await connectTextClient(major);
  });
  afterAll(() => client[Symbol.asyncDispose]());

  test.each(['numeric', 'bigint'])(`sums, averages and deviations of %s from partial ones, seed ${seed}`, async (type) => {
    const random = new Random(seed);
    const values = Array.from({ length: groupCount }, (_, group) => groupOf(random, type).map((value) => ({ group, value, part: random.int(0, 3) }))).flat();
    const columns = [values.map(({ group }) => group), values.map(({ part }) => part), values.map(({ value }) => value)];
    const source = `(SELECT g, p, x::${type} FROM unnest($1::int[], $2::int[], $3::text[]) u(g, p, x)) q`;
    const partials = await client.rows(`SELECT g, count(x), sum(x), sum(x::numeric * x::numeric) FROM ${source} GROUP BY g, p`, columns);
    const expected = await client.rows(`SELECT g, sum(x), avg(x), ${forms.map((form) => `${form}(x)`).join(', ')} FROM ${source} GROUP BY g`, columns);
    const combined = combine(partials);
    expect(expected.length).toBe(groupCount);
    for (const [group, ...results] of expected) expect(combined.get(group ?? ''), `group ${group}`).toEqual(results);
  });

  test('quotients of any two numerics', async () => {
    const random = new Random(seed);
    const tiny = `0.${'0'.repeat(990)}7`;
    const extremes = [[tiny, '3'], ['3', tiny], ['0', '3'], ['0.000', '7'], [`7${'0'.repeat(2000)}`, '3'], ['7', `3${'0'.repeat(2000)}`]] as const;
    const randomPairs = Array.from({ length: 20_000 }, () => [numericText(random), numericText(random)] as const);
    const pairs = [...extremes, ...randomPairs].filter(([, b]) => /[1-9]/.test(b));
    const rows = await client.rows(
      'SELECT a::numeric, b::numeric, a::numeric / b::numeric FROM unnest($1::text[], $2::text[]) u(a, b)',
      [pairs.map(([a]) => a), pairs.map(([, b]) => b)],
    );
    for (const [a, b, quotient] of rows) {
      const [dividend, divisor] = [parseDecimal(a ?? ''), parseDecimal(b ?? '')];
      if (dividend.kind !== 'finite' || divisor.kind !== 'finite') throw new Error('not finite');
      const result = formatDecimal(divideDecimal(dividend, divisor));
      if (result !== quotient) expect(result, `${a} / ${b}`).toBe(quotient);
    }
  });

  test('special values', async () => {
    const specials = ['NaN', 'Infinity', '-Infinity', '1.50', '0.00'];
    for (const a of specials) {
      for (const b of specials) {
        const [[sum, average, deviation] = []] = await client.rows('SELECT sum(x), avg(x), stddev(x) FROM (VALUES ($1::numeric), ($2)) v(x)', [a, b]);
        const total = addDecimal(parseDecimal(a), parseDecimal(b));
        expect(formatDecimal(total)).toBe(sum);
        expect(formatDecimal(averageOf(total, 2n))).toBe(average);
        if (total.kind !== 'finite') expect(formatDecimal(present(deviationOf({ count: 2n, sum: total, squares: total }, 'stddev_samp')))).toBe(deviation);
      }
    }
  });
});

test('a sum beyond the format is an error', () => {
  const huge = parseDecimal(`5${'0'.repeat(131_071)}`);
  expect(() => formatDecimal(addDecimal(huge, huge))).toThrow(expect.objectContaining({ id: 'numericOverflow', code: '22003' }));
  expect(formatDecimal(huge)).toHaveLength(131_072);
});

/** From the rows of partial aggregates to the texts of sum, avg and the four forms, by group. */
function combine(partials: readonly (readonly (string | null)[])[]): Map<string, (string | null)[]> {
  const states = new Map<string, { count: bigint; sum: Decimal; squares: Decimal }>();
  for (const [group, count, sum, squares] of partials) {
    const state = states.get(group ?? '') ?? { count: 0n, sum: zero, squares: zero };
    states.set(group ?? '', {
      count: state.count + BigInt(count ?? 0),
      sum: addDecimal(state.sum, parseDecimal(sum ?? '0')),
      squares: addDecimal(state.squares, parseDecimal(squares ?? '0')),
    });
  }
  return new Map(
    Array.from(states, ([group, state]) => [
      group,
      [textOf(state.sum), textOf(averageOf(state.sum, state.count)), ...forms.map((form) => textOf(deviationOf(state, form)))],
    ]),
  );
}

function textOf(value: Decimal | undefined): string | null {
  return value === undefined ? null : formatDecimal(value);
}

function groupOf(random: Random, type: string): string[] {
  const length = random.int(1, 12);
  if (type === 'bigint') return Array.from({ length }, () => String(BigInt.asIntN(random.int(1, 64), BigInt(random.int(0, 2 ** 32 - 1)) << BigInt(random.int(0, 32)))));
  if (random.chance(0.03)) return Array.from({ length }, () => random.pick(['NaN', 'Infinity', '-Infinity', '1.5']));
  const repeated = numericText(random);
  return Array.from({ length }, () => (random.chance(0.2) ? repeated : numericText(random)));
}

function numericText(random: Random): string {
  const digits = (length: number): string => Array.from({ length }, () => (random.chance(0.4) ? 0 : random.int(0, 9))).join('');
  const whole = digits(random.weighted([[5, random.int(1, 6)], [1, random.int(1, 60)]]));
  const decimals = digits(random.weighted([[5, random.int(0, 6)], [1, random.int(0, 60)]]));
  const leadingZeros = random.chance(0.2) ? '0'.repeat(random.int(1, 30)) : '';
  return `${random.pick(['', '-'])}${leadingZeros === '' ? whole : '0'}.${leadingZeros}${decimals === '' ? '0' : decimals}`.replace(/\.0$/, '');
}
