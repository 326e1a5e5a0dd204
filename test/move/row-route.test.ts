import { describe, expect, test } from 'vitest';
import { present } from '../../src/base/assert.ts';
import { distributionType } from '../../src/catalog/hash/distribution-type.ts';
import { routeByHash, routeChange } from '../../src/move/row-route.ts';

const type = present(distributionType('text'));
const targets = [{ min: -(2 ** 31), max: -1 }, { min: 0, max: 2 ** 31 - 1 }];
const route = routeByHash({ type, family: 'postgres', takesNull: true }, targets, 'k');
const place = (value: string): number => (present(type.hashOf(value, 'postgres')) < 0 ? 0 : 1);
const values = Array.from({ length: 40 }, (_, i) => `ü${i}`);
const [low, high, low2] = [present(values.find((value) => place(value) === 0)), present(values.find((value) => place(value) === 1)), present(values.filter((value) => place(value) === 0)[1])];
const latin1 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
/** A table of a value, its key, and a large value. */
const row = (key: string | undefined, ...others: (string | null | undefined)[]): (string | null | undefined)[] => ['1', key === undefined ? undefined : latin1(key), ...others];
const routed = (change: Parameters<typeof routeChange>[0]): ReturnType<typeof routeChange> => routeChange(change, route, 1);

describe('a row goes to the part of its value', () => {
  test.each(values)('%s', (value) => {
    expect(route.placeOf(latin1(value))).toBe(place(value));
    const change = { kind: 'insert', relation: 7, row: row(value, 'x') } as const;
    expect(routed(change)).toEqual([{ place: place(value), change }]);
  });
  test('a value of none of them is told', () => {
    const narrow = routeByHash({ type, family: 'postgres', takesNull: true }, [{ min: 5, max: 5 }], 'k');
    expect(() => narrow.placeOf(latin1(low))).toThrow(expect.objectContaining({ id: 'moveUndone' }) as Error);
  });
});

describe('an update', () => {
  test.each([
    ['without an old row', { kind: 'update', relation: 7, old: undefined, row: row(low, undefined) }],
    ['of another column of the key', { kind: 'update', relation: 7, old: { kind: 'key', row: [null, latin1(low), '0'] }, row: row(low, undefined) }],
    ['whose large value of the column is as it was', { kind: 'update', relation: 7, old: { kind: 'key', row: [null, latin1(low), null] }, row: row(undefined, 'x') }],
    ['to a value of the same part', { kind: 'update', relation: 7, old: { kind: 'full', row: row(low2, 'y') }, row: row(low, undefined) }],
  ] as const)('%s stays in its part', (_, change) => {
    expect(routed(change)).toEqual([{ place: 0, change }]);
  });

  test('to a value of the other part goes there, with what only the old row has', () => {
    const old = { kind: 'full', row: row(low, 'large', null) } as const;
    expect(routed({ kind: 'update', relation: 7, old, row: row(high, undefined, 'new') })).toEqual([
      { place: 0, change: { kind: 'delete', relation: 7, old } },
      { place: 1, change: { kind: 'insert', relation: 7, row: row(high, 'large', 'new') } },
    ]);
    const key = { kind: 'key', row: [null, latin1(low), 'key', null] } as const;
    expect(routed({ kind: 'update', relation: 7, old: key, row: row(high, undefined, 'new') })).toEqual([
      { place: 0, change: { kind: 'delete', relation: 7, old: key } },
      { place: 1, change: { kind: 'insert', relation: 7, row: row(high, 'key', 'new') } },
    ]);
  });

  test('whose row has large values that are not in the log ends the split', () => {
    const old = { kind: 'key', row: [null, latin1(low), null] } as const;
    expect(() => routed({ kind: 'update', relation: 7, old, row: row(high, undefined) })).toThrow(expect.objectContaining({ id: 'moveUndone' }) as Error);
  });
});
