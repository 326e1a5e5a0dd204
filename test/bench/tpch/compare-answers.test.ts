import { describe, expect, it } from 'vitest';
import { compareAnswers, type TpchAnswer } from '../../../bench/data/tpch/compare-answers.ts';
import type { TpchQuery } from '../../../bench/data/tpch/tpch-queries.ts';

/** Two columns, sorted by the second. */
function answer(rows: TpchAnswer['rows'], columns: readonly string[] = ['name:25:-1', 'n:20:-1']): TpchAnswer {
  return { columns, rows };
}

const query: TpchQuery = { name: 'q00', sql: '', sortedBy: [1] };
const expected = answer([['a', '3'], ['b', '2'], ['c', '2'], ['d', null]]);

describe('compareAnswers', () => {
  it('finds nothing between equal answers, nor where ORDER BY leaves the order open', () => {
    expect(compareAnswers(query, expected, expected)).toBeUndefined();
    expect(compareAnswers(query, expected, answer([['a', '3'], ['c', '2'], ['b', '2'], ['d', null]]))).toBeUndefined();
  });

  it.each([
    ['a row too few', answer([['a', '3'], ['b', '2'], ['c', '2']])],
    ['another order', answer([['b', '2'], ['a', '3'], ['c', '2'], ['d', null]])],
    ['a row twice instead of another', answer([['a', '3'], ['b', '2'], ['b', '2'], ['d', null]])],
    ['a digit more', answer([['a', '3.0'], ['b', '2'], ['c', '2'], ['d', null]])],
    ['text for NULL', answer([['a', '3'], ['b', '2'], ['c', '2'], ['d', 'null']])],
    ['blanks at the end', answer([['a ', '3'], ['b', '2'], ['c', '2'], ['d', null]])],
    ['another column name', answer(expected.rows, ['name:25:-1', 'm:20:-1'])],
    ['another type', answer(expected.rows, ['name:25:-1', 'n:1700:-1'])],
  ])('sees %s', (_, actual) => {
    expect(compareAnswers(query, expected, actual)).toBeDefined();
  });

  it('lets a LIMIT choose among the rows that are equal at its cut, and only among those', () => {
    const limited = { ...query, limit: 3 };
    const cut = answer([['a', '3'], ['b', '2'], ['c', '2']]);
    expect(compareAnswers(limited, cut, answer([['a', '3'], ['c', '2'], ['d', '2']]))).toBeUndefined();
    expect(compareAnswers(limited, cut, answer([['z', '3'], ['b', '2'], ['c', '2']]))).toBeDefined();
    expect(compareAnswers({ ...query, limit: 4 }, cut, answer([['a', '3'], ['c', '2'], ['d', '2']]))).toBeDefined();
  });

  it('minds no order without ORDER BY', () => {
    const unsorted = { ...query, sortedBy: [] };
    expect(compareAnswers(unsorted, expected, answer(expected.rows.toReversed()))).toBeUndefined();
    expect(compareAnswers(unsorted, expected, answer([['e', '3'], ...expected.rows.slice(1)]))).toBeDefined();
  });
});
