import * as fc from 'fast-check';
import { types, type CustomTypesConfig } from 'pg';
import { expect, test } from 'vitest';
import { QuickParsers } from '../../../src/cluster/quick-parsers.ts';

const quick = new QuickParsers().over(types);
const figures = (length: number): fc.Arbitrary<string> => fc.nat(10 ** length - 1).map((number) => String(number).padStart(length, '0'));
const part = (max: number, min = 0): fc.Arbitrary<string> => fc.integer({ min, max }).map((number) => String(number).padStart(2, '0'));

const timestamp = fc
  .tuple(
    fc.oneof(figures(4), fc.constantFrom('0000', '0001', '0099', '0100', '1900', '1969', '1970', '2000', '2024', '9999', '12024')),
    part(12, 1), part(31, 1), part(24), part(59), part(60),
    fc.option(fc.integer({ min: 1, max: 6 }).chain(figures)),
    fc.constantFrom('', '+00', '-00', '+01', '-11', '+14', '+05:30', '-03:30:15', '+00 BC', ' BC', 'Z'),
  )
  .map(([year, month, day, hour, minute, second, decimals, zone]) => `${year}-${month}-${day} ${hour}:${minute}:${second}${decimals === null ? '' : `.${decimals}`}${zone}`);

test.each([1184, 1114])('timestamps of type %i are what pg makes of them', (oid) => {
  const own = parserOf(types, oid);
  const quicker = parserOf(quick, oid);
  fc.assert(
    fc.property(fc.oneof(timestamp, fc.constantFrom('infinity', '-infinity', '2024-02-29 00:00:00+00', '2023-02-29 00:00:00+00', '2024-01-01 1x:00:00+00')), (text) => {
      expect(quicker(text)).toEqual(own(text));
    }),
    { numRuns: 5000 },
  );
});

test('integers are what pg makes of them', () => {
  for (const text of ['0', '-1', '9223372036854775807', '-9223372036854775808']) expect(parserOf(quick, 20)(text)).toBe(parserOf(types, 20)(text));
});

test("somebody's own parsers are left as they are", () => {
  const parser = (): string => 'own';
  const over = new QuickParsers().over({ getTypeParser: (() => parser) });
  expect(over.getTypeParser(1184, 'text')).toBe(parser);
  expect(over.getTypeParser(20, 'text')).toBe(parser);
});

function parserOf(config: CustomTypesConfig, oid: number): (text: string) => unknown {
  return config.getTypeParser(oid, 'text') as (text: string) => unknown;
}
