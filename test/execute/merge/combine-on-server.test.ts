import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { at } from '../../../src/base/assert.ts';
import { mergeComplete } from '../../../src/execute/merge/merge-complete.ts';
import type { Combine, DeviationForm } from '../../../src/plan/merge-plan.ts';
import { Random } from '../../oracle/random.ts';
import { connectTextClient, type TextClient } from '../../sql/values/text-client.ts';
import { gather } from './merging.ts';

/** Partial results are computed by the server per slice of the rows, as a shard query does; the whole is its own aggregate over all rows. */

const seed = Number(process.env['SEED'] ?? 20_240_611);
const groups = 200;
const slices = 5;
const forms: readonly DeviationForm[] = ['var_pop', 'var_samp', 'stddev_pop', 'stddev_samp'];

interface Split {
  readonly whole: string;
  readonly partials: readonly string[];
  /** Given the number of its first partial column. */
  readonly combine: (column: number) => Combine;
}

const splits = (type: string): readonly Split[] => (type.startsWith('float') || type === 'real' ? floatSplits(type) : exactSplits(type));

function exactSplits(type: string): Split[] {
  const sumOid = type === 'integer' ? 20 : 1700;
  return [
    ...common(type, sumOid),
    { whole: 'avg(x)', partials: ['sum(x)', 'count(x)'], combine: (column) => ({ kind: 'numeric_average', sum: column, count: column + 1 }) },
    ...forms.map((form): Split => ({
      whole: `${form}(x)`,
      partials: ['count(x)', 'sum(x::numeric)', 'sum(x::numeric * x::numeric)'],
      combine: (column) => ({ kind: 'numeric_deviation', count: column, sum: column + 1, squares: column + 2, form }),
    })),
    ...(type === 'integer' ? (['bit_and', 'bit_or'] as const).map((kind): Split => ({ whole: `${kind}(x)`, partials: [`${kind}(x)`], combine: (column) => ({ kind, column }) })) : []),
  ];
}


function floatSplits(type: string): Split[] {
  return [
    ...common(type, type === 'real' ? 700 : 701),
    { whole: 'avg(x)', partials: ['sum(x::float8)', 'count(x)'], combine: (column) => ({ kind: 'float_average', sum: column, count: column + 1 }) },
    ...forms.map((form): Split => ({
      whole: `${form}(x)`,
      partials: ['count(x)', 'sum(x::float8)', 'regr_sxx(x::float8, x::float8)'],
      combine: (column) => ({ kind: 'float_deviation', count: column, sum: column + 1, squares: column + 2, form }),
    })),
  ];
}

function common(type: string, sumOid: number): Split[] {
  const oid = { integer: 23, bigint: 20, numeric: 1700, real: 700, float8: 701 }[type] ?? 0;
  return [
    { whole: 'count(*)', partials: ['count(*)'], combine: (column) => ({ kind: 'sum', column, typeOid: 20, zero: true }) },
    { whole: 'count(x) FILTER (WHERE x > 0)', partials: ['count(x) FILTER (WHERE x > 0)'], combine: (column) => ({ kind: 'sum', column, typeOid: 20, zero: true }) },
    { whole: 'sum(x)', partials: ['sum(x)'], combine: (column) => ({ kind: 'sum', column, typeOid: sumOid, zero: false }) },
    { whole: 'min(x)', partials: ['min(x)'], combine: (column) => ({ kind: 'least', column, typeOid: oid, collationIsC: true }) },
    { whole: 'max(x)', partials: ['max(x)'], combine: (column) => ({ kind: 'greatest', column, typeOid: oid, collationIsC: true }) },
    { whole: 'bool_and(x > 0)', partials: ['bool_and(x > 0)'], combine: (column) => ({ kind: 'bool_and', column }) },
    { whole: 'bool_or(x > 0)', partials: ['bool_or(x > 0)'], combine: (column) => ({ kind: 'bool_or', column }) },
  ];
}

describe.each([15, 18] as const)('on PostgreSQL %i', (major) => {
  let client: TextClient;
  beforeAll(async () => {
    client = await connectTextClient(major);
  });
  afterAll(() => client[Symbol.asyncDispose]());

  test.each(['integer', 'bigint', 'numeric', 'real', 'float8'])(`aggregates of %s from slices, seed ${seed}`, async (type) => {
    const random = new Random(seed);
    const values = Array.from({ length: groups }, (_, group) => groupOf(random, type).map((x) => ({ group, slice: random.int(0, slices - 1), x }))).flat();
    const source = `(SELECT g, s, x::${type} FROM unnest($1::int[], $2::int[], $3::text[]) u(g, s, x)) q`;
    const parameters = [values.map(({ group }) => group), values.map(({ slice }) => slice), values.map(({ x }) => x)];
    const list = splits(type);
    const expected = await client.rows(`SELECT g, ${list.map(({ whole }) => whole).join(', ')} FROM ${source} GROUP BY g ORDER BY g`, parameters);
    const partials = await client.rows(`SELECT g, ${list.flatMap((split) => split.partials).join(', ')} FROM ${source} GROUP BY g, s`, parameters);
    const combines = list.map(({ combine }, i) => combine(1 + list.slice(0, i).flatMap((split) => split.partials).length));
    const sorted = { kind: 'sort', keys: [{ column: 0, typeOid: 23, collationIsC: true, descending: false, nullsFirst: false }] } as const;
    const rows = mergeComplete({ ...sorted, input: { kind: 'combine_aggregates', input: gather, groupTypes: [23], combines } }, [partials], []);
    expect(rows?.length).toBe(groups);
    for (const [group, row] of (rows ?? []).entries()) {
      for (const [i, split] of list.entries()) expectSame(row[i + 1], at(at(expected, group), i + 1), { type, what: `${split.whole} of group ${group}` });
    }
  });
});

/** Sums and all that is made of them depend on the order of rows for floats, on the server too: up to their last digits. */
function expectSame(actual: string | null | undefined, expected: string | null, { type, what }: { readonly type: string; readonly what: string }): void {
  const roundedSum = type === 'real' || type === 'float8' ? /^(sum|avg|var|stddev)/.test(what) : false;
  if (!roundedSum || expected === null || !Number.isFinite(Number(expected))) expect(actual, what).toBe(expected);
  else expect(Math.abs(Number(actual) - Number(expected)), what).toBeLessThanOrEqual(Math.abs(Number(expected)) * (type === 'real' && what.startsWith('sum') ? 1e-5 : 1e-9));
}

function groupOf(random: Random, type: string): (string | null)[] {
  const length = random.int(1, 12);
  const special = random.chance(0.1) && type !== 'integer' && type !== 'bigint';
  return Array.from({ length }, () => (random.chance(0.15) ? null : special && random.chance(0.4) ? random.pick(['NaN', 'Infinity', '-Infinity']) : valueOf(random, type)));
}

/** Floats are positive, so that no sum cancels out. */
function valueOf(random: Random, type: string): string {
  switch (type) {
    case 'integer':
      return String(random.int(-(2 ** 31), 2 ** 31 - 1));
    case 'bigint':
      return String((BigInt(random.int(-(2 ** 31), 2 ** 31 - 1)) << 32n) + BigInt(random.int(0, 2 ** 31)));
    case 'numeric':
      return `${random.pick(['', '-'])}${random.int(0, 10 ** random.int(0, 9))}${random.pick(['', '.5', '.00', `.${random.int(0, 99_999)}`])}`;
    default:
      return String(random.int(1, 1_000_000) / 1000);
  }
}
