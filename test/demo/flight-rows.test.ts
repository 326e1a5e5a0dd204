import { describe, expect, it } from 'vitest';
import { flightRows } from '../../demo/data/flight-rows.ts';

describe('flightRows', () => {
  it('reads the first flights of the file, in order, with their own types', async () => {
    const rows = [];
    for await (const row of flightRows(1000)) rows.push(row);
    expect(rows).toHaveLength(1000);
    expect(rows.slice(0, 2)).toEqual([
      ['2001-01-01T00:01:00.000', 33, 2176, 'LAS', 'PHL'],
      ['2001-01-01T00:01:00.000', 19, 215, 'ATL', 'SAV'],
    ]);
  });
});
