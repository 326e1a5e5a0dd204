import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { addDecimal, type Decimal, formatDecimal, parseDecimal } from '../../../src/sql/values/decimal.ts';
import { DecimalTotal } from '../../../src/sql/values/decimal-total.ts';

const plain = fc
  .record({ negative: fc.boolean(), digits: fc.array(fc.nat(9), { minLength: 1, maxLength: 22, size: 'max' }).map((figures) => figures.join('')), scale: fc.nat(22) })
  .map(({ negative, digits, scale }) => {
    const padded = digits.padStart(scale + 1, '0').replace(/^0+(?=\d)/, '').padStart(scale + 1, '0');
    const text = scale === 0 ? padded : `${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
    return (negative ? '-' : '') + text;
  });
const money = fc.integer({ min: -999_999_999, max: 999_999_999 }).map((cents) => (cents / 100).toFixed(2));
const huge = fc.constantFrom('999999999999999', '-999999999999999', '99999999999999.9', '9.99999999999999', '0.0000000000001', '0', '0.0000', '-0.5', '8000000000000000', 'NaN', 'Infinity', '-Infinity');

test('the total is that of exact decimals added one by one', () => {
  const lists = fc.oneof(fc.array(money, { maxLength: 60 }), fc.array(fc.oneof(plain, money, huge), { maxLength: 60 }), fc.array(fc.constantFrom('999999999999999', '99999999999999.9'), { maxLength: 40 }));
  fc.assert(
    fc.property(lists, (texts) => {
      const total = new DecimalTotal();
      for (const text of texts) total.add(text);
      const model = texts.map(parseDecimal).reduce<Decimal | undefined>((sum, value) => (sum === undefined ? value : addDecimal(sum, value)), undefined);
      const value = total.value();
      expect(value === undefined ? undefined : formatDecimal(value)).toBe(model === undefined ? undefined : formatDecimal(model));
    }),
    { numRuns: 3000 },
  );
});
