import { describe, expect, it } from 'vitest';
import { parseOptions } from '../../bench/harness/options.ts';

const known = ['point-read', 'stream'];

describe('parseOptions', () => {
  it('has defaults', () => {
    expect(parseOptions([], known)).toEqual({ names: [], json: false, quick: false, rounds: undefined, scale: undefined, major: 18, help: false });
  });

  it('reads names and options in any order', () => {
    expect(parseOptions(['--json', 'stream', '--rounds', '3', '--major=15', '--scale', '0.05', '--quick'], known)).toMatchObject({
      names: ['stream'], json: true, quick: true, rounds: 3, scale: 0.05, major: 15,
    });
  });

  it.each([
    [['streem'], /no bench is called "streem"/],
    [['--rounds', '0'], /--rounds must be a positive whole number/],
    [['--rounds', 'many'], /--rounds/],
    [['--scale', '0'], /--scale must be a number from 0.001 to 100, not "0"/],
    [['--scale', 'big'], /--scale/],
    [['--major', '14'], /--major must be 15, 16, 17 or 18/],
    [['--fast'], /--fast/],
  ])('refuses %j', (argv, message) => {
    expect(() => parseOptions(argv, known)).toThrow(message);
  });
});
