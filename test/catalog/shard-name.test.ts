import { expect, test } from 'vitest';
import { shardId } from '../../src/catalog/ids.ts';
import { shardName } from '../../src/catalog/shard-name.ts';
import { Random } from '../oracle/random.ts';

test('a short name gets the id appended', () => {
  expect(shardName('orders', shardId(102008))).toBe('orders_102008');
  expect(shardName('x'.repeat(56), shardId(102008))).toBe(`${'x'.repeat(56)}_102008`);
});

test('a long name is cut, hashed and gets the id appended, as Citus names it', () => {
  // Names from Citus' own regression output (multi_name_lengths).
  expect(shardName('too_long_12345678901234567890123456789012345678901234567890', shardId(225000))).toBe(
    'too_long_12345678901234567890123456789012345678_e0119164_225000',
  );
});

test('names of any length and script stay valid, at most 63 bytes, and differ', () => {
  const random = new Random(63);
  const names = new Set<string>();
  const bases = new Set<string>();
  for (let index = 0; index < 5000; index += 1) {
    const characters = random.pick(['ab', 'aß', '€字', 'x\u{1f600}']);
    let base = '';
    for (;;) {
      const next = base + random.pick(Array.from(characters));
      if (Buffer.byteLength(next) > random.int(40, 63)) break;
      base = next;
    }
    bases.add(base);
    const id = shardId(random.pick([1, 102008, 9_007_199_254_740_991]));
    const name = shardName(base, id);
    names.add(shardName(base, shardId(102008)));
    const isSound = Buffer.byteLength(name) <= 63 && name.endsWith(`_${id}`) && Buffer.from(name).toString() === name && !name.includes('\ufffd');
    if (!isSound) expect.fail(`${base} became ${name}`);
  }
  expect(names.size).toBe(bases.size);
});

test('what cannot be a name is a bug', () => {
  expect(() => shardName('x'.repeat(64), shardId(1))).toThrow('longer than a name');
});
