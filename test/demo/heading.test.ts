import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { duration, heading, quoted, wholeNumber } from '../../demo/terminal/heading.ts';

const lines = (text: string): string[] => stripVTControlCharacters(text).split('\n');

describe('quoted', () => {
  it('moves short lines to the right and leaves them whole', () => expect(lines(quoted('a\n  b'))).toEqual(['  a', '    b']));

  it('breaks a long line between words, further to the right', () => {
    const line = `  Sql: ${'word '.repeat(25).trim()}`;
    const [first = '', second = '', ...rest] = lines(quoted(line));
    expect(rest).toEqual([]);
    expect(first.length).toBeLessThanOrEqual(100);
    expect(second).toMatch(/^ {8}word/);
    expect(`${first} ${second}`.replaceAll(/\s+/g, ' ').trim()).toBe(line.trim());
  });

  it('ends a very long line after three, and says so', () => {
    const shown = lines(quoted('word '.repeat(200)));
    expect(shown).toHaveLength(3);
    expect(shown.at(-1)).toMatch(/ …$/);
    expect(Math.max(...shown.map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  it('breaks what has no spaces', () => {
    expect(lines(quoted('x'.repeat(150))).map((line) => line.length)).toEqual([100, 2 + 4 + 52]);
  });
});

describe('heading', () => {
  it('reaches to the edge of the page', () => expect(lines(heading('Title')).map((line) => line.length)).toEqual([0, 100]));
});

describe('figures', () => {
  it('have units', () => expect([duration(1.2345), duration(123.4), duration(1500)]).toEqual(['1.23 ms', '123 ms', '1.50 s']));
  it('have thousands apart', () => expect([wholeNumber(999), wholeNumber(1000), wholeNumber(3_000_000)]).toEqual(['999', '1 000', '3 000 000']));
});
