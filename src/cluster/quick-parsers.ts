import textParsers from 'pg-types/lib/textParsers.js';
import type { CustomTypesConfig } from 'pg';
import { dayOf } from '../sql/values/iso-date.ts';

type Parser = (text: string) => unknown;

/** Quicker ways to what some of pg's own parsers return. A parser that is not pg's own, since somebody has set another, is left as it is. */
export class QuickParsers {
  readonly #quick = new Map<unknown, Parser>();

  constructor() {
    textParsers.init((oid, parser) => {
      if (oid === int8) this.#quick.set(parser, String);
      if (oid === timestamptz) this.#quick.set(parser, (text) => parseTimestamptz(text) ?? parser(text));
    });
  }

  /** The same types, with the quicker parsers. */
  over(types: CustomTypesConfig): CustomTypesConfig {
    const getTypeParser = (oid: number, format: 'text' | 'binary'): Parser => {
      const parser = types.getTypeParser(oid, format === 'binary' ? 'binary' : 'text') as Parser;
      // pg has one parser for timestamps with and without zone; a text with an offset is read alike as both.
      return format === 'binary' ? parser : (this.#quick.get(parser) ?? parser);
    };
    return { getTypeParser: getTypeParser as CustomTypesConfig['getTypeParser'] };
  }
}

const int8 = 20;
const timestamptz = 1184;

/** `YYYY-MM-DD HH:MM:SS[.ffffff]±HH`, which is how servers print nearly all instants; undefined for every other form. */
function parseTimestamptz(text: string): Date | undefined {
  const zone = text.length - 3;
  const sign = text.charCodeAt(zone);
  if (zone < 19 || (sign !== plus && sign !== hyphen)) return undefined;
  if (text.charCodeAt(4) !== hyphen || text.charCodeAt(7) !== hyphen || text.charCodeAt(10) !== blank || text.charCodeAt(13) !== colon) return undefined;
  if (text.charCodeAt(16) !== colon || (zone > 19 && text.charCodeAt(19) !== point)) return undefined;
  // pg goes by way of the 20th century here, whose leap years are others.
  if (text.startsWith('00')) return undefined;
  const day = dayOf(figures(text, 0, 4), figures(text, 5, 7), figures(text, 8, 10));
  const seconds = (figures(text, 11, 13) * 60 + figures(text, 14, 16)) * 60 + figures(text, 17, 19);
  const east = figures(text, zone + 1, zone + 3) * (sign === hyphen ? -3_600_000 : 3_600_000);
  const milliseconds = zone > 20 ? Math.trunc(1000 * (figures(text, 20, zone) / (powers[zone - 20] ?? Number.NaN))) : 0;
  // NaN when anything is no figure.
  const instant = ((day ?? Number.NaN) + daysFromEpoch) * 86_400_000 + seconds * 1000 + milliseconds - east;
  return Number.isNaN(instant) ? undefined : new Date(instant);
}

/** NaN unless all characters are figures. */
function figures(text: string, start: number, end: number): number {
  let number = 0;
  for (let at = start; at < end; at += 1) {
    const figure = text.charCodeAt(at) - zero;
    number = figure >= 0 && figure <= 9 ? number * 10 + figure : Number.NaN;
  }
  return number;
}

/** From 1970-01-01 to 2000-01-01, where `dayOf` counts from. */
const daysFromEpoch = 10_957;
const powers = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];
const plus = 0x2b;
const hyphen = 0x2d;
const point = 0x2e;
const zero = 0x30;
const colon = 0x3a;
const blank = 0x20;
