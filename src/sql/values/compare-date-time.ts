import { assert } from '../../base/assert.ts';
import { parseClock, parseIsoTimestamp, parseOffset, type IsoTimestamp } from './iso-timestamp.ts';

/** Dates in the server's ISO output: BC, years beyond 9999 and infinities included. */
export function compareDate(a: string, b: string): number {
  // All of YYYY-MM-DD, and nothing else, has ten characters.
  if (a.length === 10 && b.length === 10) return compareCharacters(a, b);
  return infinityRank(a) - infinityRank(b) || (infinityRank(a) === 0 ? parsed(a).day - parsed(b).day : 0);
}

/** Timestamps without time zone in the server's ISO output. */
export function compareTimestamp(a: string, b: string): number {
  if (isPlain(a) && isPlain(b)) return compareCharacters(a, b);
  return compareInstants(a, b);
}

/** Timestamps with time zone in the server's ISO output; offsets may differ from value to value. */
export function compareTimestamptz(a: string, b: string): number {
  return isPlain(a) && isPlain(b) && endInOneOffset(a, b) ? compareCharacters(a, b) : compareInstants(a, b);
}

/** By the instant in UTC; of equal instants the one farther east is smaller. */
export function compareTimetz(a: string, b: string): number {
  const left = parseTimetz(a);
  const right = parseTimetz(b);
  return left.utc - right.utc || right.offset - left.offset;
}

function compareCharacters(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Four digits of a year, and not BC: then characters order as time does, within one offset. */
function isPlain(text: string): boolean {
  return text.charCodeAt(4) === hyphen && text.charCodeAt(text.length - 1) !== capitalC;
}

/** A whole-hour offset. Characters order two texts with the same one, since its sign sorts before the point and the digits of a fraction. */
function endInOneOffset(a: string, b: string): boolean {
  const sign = a.charCodeAt(a.length - 3);
  if ((sign !== plus && sign !== hyphen) || sign !== b.charCodeAt(b.length - 3)) return false;
  return a.charCodeAt(a.length - 2) === b.charCodeAt(b.length - 2) && a.charCodeAt(a.length - 1) === b.charCodeAt(b.length - 1);
}

const hyphen = 0x2d;
const plus = 0x2b;
const capitalC = 0x43;

function compareInstants(a: string, b: string): number {
  const rank = infinityRank(a);
  if (rank !== 0 || infinityRank(b) !== 0) return rank - infinityRank(b);
  const [left, right] = [parsed(a), parsed(b)];
  return utcSeconds(left) - utcSeconds(right) || microsOf(left) - microsOf(right);
}

/** Exact: below 2^53 for every date the server knows. */
function utcSeconds(timestamp: IsoTimestamp): number {
  return timestamp.day * 86_400 + Math.floor((timestamp.micros ?? 0) / 1_000_000) - (timestamp.offset ?? 0);
}

/** Of the second. */
function microsOf(timestamp: IsoTimestamp): number {
  return (timestamp.micros ?? 0) % 1_000_000;
}

function infinityRank(text: string): number {
  return text === 'infinity' ? 1 : text === '-infinity' ? -1 : 0;
}

function parsed(text: string): IsoTimestamp {
  const timestamp = parseIsoTimestamp(text);
  assert(timestamp !== undefined, `"${text}" is not in the server's ISO output`);
  return timestamp;
}

/** Microseconds in UTC, and seconds east of it. */
function parseTimetz(text: string): { readonly utc: number; readonly offset: number } {
  const [, clock = '', decimals, zone = ''] = /^(\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?([+-][\d:]+)$/.exec(text) ?? [];
  const offset = parseOffset(zone);
  return { utc: parseClock(clock, decimals) - offset * 1_000_000, offset };
}
