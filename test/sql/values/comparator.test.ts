import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { present } from '../../../src/base/assert.ts';
import { comparatorFor } from '../../../src/sql/values/comparator.ts';
import { equalityKeyFor } from '../../../src/sql/values/equality-key.ts';
import { Random } from '../../oracle/random.ts';
import { valueSamples, type ValueSamples } from '../../catalog/hash/value-samples.ts';
import { connectTextClient, type TextClient } from './text-client.ts';

const seed = Number(process.env['SEED'] ?? 20_240_301);
const pairsPerType = 20_000;

const bits: ValueSamples = {
  boundaries: ['', '0', '1', '00', '01', '00000000', '000000000', '11111111', '111111111'],
  random: (random) => Array.from({ length: random.int(0, 20) }, () => random.int(0, 1)).join(''),
};
const surrogates: ValueSamples = {
  boundaries: ['', '\uffff', '\u{10000}', '\ud7ff', '\ue000', 'a\u{10ffff}', 'a\ufffd'],
  random: (random) => Array.from({ length: random.int(0, 4) }, () => random.pick(['a', 'b', '~', 'é', '\ue001', '\uffee', '\u{1f600}', '\u{1f601}'])).join(''),
};

/** Around the end of summer time in the session's zone, where offsets differ within the hour. */
const clockChange: ValueSamples = {
  boundaries: ['2024-11-03 05:59:59.999999+00', '2024-11-03 06:00:00+00', '2024-11-03 05:30:00+00', '2024-11-03 06:30:00+00'],
  random: (random) => `2024-11-03 0${random.int(4, 7)}:${random.int(10, 59)}:00+00`,
};
/** Equal instants that are not equal values. */
const zonedTimes: ValueSamples = {
  boundaries: ['12:00:00+00', '13:00:00+01', '11:00:00-01', '13:30:00+01:30', '00:00:00-12'],
  random: (random) => `1${random.int(0, 3)}:00:00+0${random.int(0, 3)}`,
};

/** Each type, what it is cast to, and its samples. */
const types: readonly (readonly [name: string, samples: ValueSamples])[] = [
  ...Object.entries(valueSamples).map(([name, samples]) => [name === 'character' ? 'bpchar' : name, samples] as const),
  ['bit varying', bits],
  ['text', surrogates],
  ['timestamp with time zone', clockChange],
  ['time with time zone', zonedTimes],
  ['xid8', { boundaries: ['0', '18446744073709551615', '9007199254740993', '9007199254740992'], random: (random) => String(random.int(0, 2 ** 31)) }],
];
const unordered = new Set(['inet', 'cidr', '"char"']);

describe.each([15, 18] as const)('on PostgreSQL %i', (major) => {
  let client: TextClient;
  beforeAll(async () => {
    client = await connectTextClient(major);
  });
  afterAll(() => client[Symbol.asyncDispose]());

  test.each(types)(`%s: ordered and told apart as the server does, seed ${seed}`, async (name, samples) => {
    const [[oid] = []] = await client.rows('SELECT $1::regtype::oid', [name]);
    const compare = comparatorFor(Number(oid), true);
    const key = present(equalityKeyFor(Number(oid)), 'equality key');
    expect(compare === undefined).toBe(unordered.has(name));
    const random = new Random(seed);
    const left = Array.from({ length: pairsPerType }, () => pickValue(samples, random));
    const right = left.map((text) => relatedValue(name, samples, text, random));
    await client.rows("SET TimeZone = 'America/New_York'");
    const collate = ['text', 'character varying', 'bpchar', 'name'].includes(name) ? 'COLLATE "C"' : '';
    const rows = await client.rows(
      `SELECT a, b, CASE WHEN a < b ${collate} THEN -1 WHEN a > b ${collate} THEN 1 ELSE 0 END
       FROM (SELECT a::${name}, b::${name} FROM unnest($1::text[], $2::text[]) u(a, b)) q`,
      [left, right],
    );
    for (const [a, b, order] of rows) {
      const [textA, textB] = [present(a ?? undefined), present(b ?? undefined)];
      if (compare !== undefined && Math.sign(compare(textA, textB)) !== Number(order)) expect(compare(textA, textB), `${textA} with ${textB}`).toBe(order);
      if ((key(textA) === key(textB)) !== (order === '0')) expect(`${key(textA)} and ${key(textB)}`, `${textA} with ${textB}`).toBe(order);
    }
  });
});

function pickValue(samples: ValueSamples, random: Random): string {
  return random.chance(0.3) ? random.pick(samples.boundaries) : samples.random(random);
}

/** Another value, often an equal or a close one. */
function relatedValue(name: string, samples: ValueSamples, text: string, random: Random): string {
  if (random.chance(0.5)) return pickValue(samples, random);
  if (name === 'numeric') return /^[+-]?\d+$/.test(text) ? `${text}.${random.pick(['0', '00', '01'])}` : text.replace(/(\.\d+)$/, `$1${random.int(0, 1)}`);
  if (name === 'bpchar') return `${text}${random.pick(['  ', '\t', 'x'])}`;
  return text;
}

test('types that only a PostgreSQL can compare', () => {
  for (const oid of [114, 3802, 790, 869, 650, 16_500, 1007]) expect(comparatorFor(oid, true)).toBeUndefined();
  for (const oid of [114, 3802, 790, 16_500, 1007]) expect(equalityKeyFor(oid)).toBeUndefined();
  for (const oid of [25, 1043, 1042, 19]) expect(comparatorFor(oid, false)).toBeUndefined();
});

test('offsets that differ between nodes do not tell instants apart', () => {
  const key = present(equalityKeyFor(1184));
  expect(key('2024-03-31 03:30:00.5+02')).toBe(key('2024-03-31 01:30:00.5+00'));
  expect(key('0001-01-01 00:30:00+01 BC')).toBe(key('0002-12-31 23:30:00+00 BC'));
  const compare = present(comparatorFor(1184, true));
  expect(compare('2024-10-27 02:30:00+02', '2024-10-27 02:10:00+01')).toBeLessThan(0);
  expect(compare('2024-10-27 02:30:00+02', '2024-10-27 00:30:00+00')).toBe(0);
});
