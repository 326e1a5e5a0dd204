import type { QueryResult, QueryResultRow } from 'pg';
import { describe, expect, it } from 'vitest';
import { differenceOf } from '../../bench/harness/same-rows.ts';

function result(rows: QueryResultRow[], dataTypeID = 20): QueryResult<QueryResultRow> {
  const field = { name: 'a', tableID: 0, columnID: 0, dataTypeID, dataTypeSize: 8, dataTypeModifier: -1, format: 'text' };
  return { rows, fields: [field], rowCount: rows.length, command: 'SELECT', oid: 0 };
}

describe('differenceOf', () => {
  it('finds nothing between equal results', () => {
    expect(differenceOf(result([{ a: 1 }, { a: null }]), result([{ a: 1 }, { a: null }]), { ordered: true })).toBeUndefined();
  });

  it('minds the order only where it is part of the answer', () => {
    const [left, right] = [result([{ a: 1 }, { a: 2 }]), result([{ a: 2 }, { a: 1 }])];
    expect(differenceOf(left, right, { ordered: false })).toBeUndefined();
    expect(differenceOf(left, right, { ordered: true })).toMatch(/^row 1 differs/);
  });

  it.each([
    ['another type', result([{ a: 1 }]), result([{ a: 1 }], 1700)],
    ['a missing row', result([{ a: 1 }]), result([])],
    ['a row too many', result([{ a: 1 }]), result([{ a: 1 }, { a: 1 }])],
    ['a row twice instead of another', result([{ a: 1 }, { a: 2 }]), result([{ a: 1 }, { a: 1 }])],
    ['text for a number', result([{ a: 1 }]), result([{ a: '1' }])],
    ['NULL for NaN', result([{ a: Number.NaN }]), result([{ a: null }])],
    ['the sign of zero', result([{ a: 0 }]), result([{ a: -0 }])],
    ['text for a date', result([{ a: new Date(5) }]), result([{ a: new Date(5).toISOString() }])],
  ])('sees %s', (_, plain, cluster) => {
    expect(differenceOf(plain, cluster, { ordered: false })).toBeDefined();
  });
});
