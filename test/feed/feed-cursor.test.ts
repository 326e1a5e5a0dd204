import { expect, test } from 'vitest';
import { nodeId } from '../../src/catalog/ids.ts';
import { comparePositions, cursorText, isKept, readCursor } from '../../src/feed/feed-cursor.ts';

const positions = new Map([[nodeId(1), { lsn: 0x16b374d8n, done: 0 }], [nodeId(12), { lsn: 0xfedcba9876543210n, done: 3 }]]);

test('a cursor says what it was made of', () => {
  const text = cursorText('7', positions);
  expect(text).toBe('7:1.16B374D8,12.FEDCBA9876543210.3');
  expect(readCursor(text, '7')).toEqual(positions);
  expect(readCursor('7:', '7')).toEqual(new Map());
});

test.each(['', '7', 'x:1.0', '7:1', '7:1.G', '7:1.0.', '7:1.0,', '7:1.0,,2.0', '7:1.0.1.1', ' 7:1.0'])('"%s" is none', (text) => {
  expect(() => readCursor(text, '7')).toThrow('this is no cursor');
});

test('one of another feed is refused', () => {
  expect(() => readCursor(cursorText('8', positions), '7')).toThrow('of another change feed');
});

test('positions have an order', () => {
  const [a, b, c] = [{ lsn: 1n, done: 0 }, { lsn: 1n, done: 2 }, { lsn: 3n, done: 0 }];
  expect([c, b, a].toSorted(comparePositions)).toEqual([a, b, c]);
  expect(comparePositions(b, { ...b })).toBe(0);
});

test('a position has its timeline, where that is known', () => {
  const known = new Map([[nodeId(1), { lsn: 0x1fn, done: 2, timeline: 4 }], [nodeId(2), { lsn: 1n, done: 0 }]]);
  expect(cursorText('7', known)).toBe('7:1.1F.2@4,2.1');
  expect(readCursor('7:1.1F.2@4,2.1', '7')).toEqual(known);
  expect(() => readCursor('7:1.1F@', '7')).toThrow('this is no cursor');
});

test('a transaction is kept when its commit lies before the end of the log', () => {
  expect([{ lsn: 5n, done: 0 }, { lsn: 4n, done: 1 }].map((position) => isKept(position, 5n))).toEqual([true, true]);
  expect([{ lsn: 6n, done: 0 }, { lsn: 5n, done: 1 }].map((position) => isKept(position, 5n))).toEqual([false, false]);
});
