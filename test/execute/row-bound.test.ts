import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RawRow } from '../../src/cluster/node-connection.ts';
import { RowBound } from '../../src/execute/row-bound.ts';
import { rowOrder } from '../../src/execute/merge/row-order.ts';
import type { SortKey } from '../../src/plan/merge-plan.ts';
import { typeOid } from '../../src/sql/values/type-oid.ts';

const value = fc.option(fc.integer({ min: -4, max: 4 }).map(String));
const row = fc.tuple(value, value, fc.uuid());
const key = (column: number): fc.Arbitrary<SortKey> =>
  fc.record({ column: fc.constant(column), typeOid: fc.constant<number>(typeOid.numeric), collationIsC: fc.constant(true), descending: fc.boolean(), nullsFirst: fc.boolean() });

test('the first rows are those of all rows sorted, ties in the order of tasks, whichever comes first', () => {
  fc.assert(fc.property(fc.array(fc.array(row, { maxLength: 8 }), { maxLength: 6 }), fc.tuple(key(0), key(1)), fc.integer({ min: 1, max: 12 }), fc.infiniteStream(fc.nat()), (tasks, keys, rowsMax, picks) => {
    const order = rowOrder(keys);
    const compare = (a: RawRow, b: RawRow): number => order.compare(a, b);
    const sets = tasks.map((rows) => rows.toSorted(compare));
    const bound = new RowBound(keys, rowsMax);
    const left = sets.map((_, place) => place);
    while (left.length > 0) {
      const [place = 0] = left.splice((picks.next().value ?? 0) % left.length, 1);
      const limit = bound.bound;
      // As a server does it that is told the bound.
      const sent = limit === undefined ? (sets[place] ?? []) : (sets[place] ?? []).filter((each) => compare([each[0] ?? null, null], [limit, null]) <= 0);
      bound.add(place, sent.slice(0, rowsMax));
    }
    expect(bound.rows).toEqual(sets.flat().toSorted(compare).slice(0, rowsMax));
  }));
});
