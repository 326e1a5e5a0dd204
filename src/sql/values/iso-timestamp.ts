import { dayOf, isoDate } from './iso-date.ts';

/** A timestamp as written: nothing is converted between zones. */
export interface IsoTimestamp {
  /** Days from 2000-01-01. */
  readonly day: number;
  /** Microseconds into the day, below one day; undefined when only a date was written. */
  readonly micros: number | undefined;
  /** Seconds east of Greenwich; undefined when none was written. */
  readonly offset: number | undefined;
}

export const microsPerDay = 86_400_000_000;

/**
 * Reads the ISO forms that mean the same under every DateStyle: `YYYY-MM-DD`, with `T` or a blank before `HH:MM[:SS[.ffffff]]`, an offset
 * in figures or `Z`, and ` BC`. Undefined for everything else, valid or not, among it 24:00, leap seconds and more than six decimals.
 */
export function parseIsoTimestamp(text: string): IsoTimestamp | undefined {
  const match = pattern.exec(text);
  if (match === null) return undefined;
  const year = Number(match[1]);
  const day = year === 0 ? undefined : dayOf(match[7] === undefined ? year : 1 - year, Number(match[2]), Number(match[3]));
  const micros = match[4] === undefined ? undefined : parseClock(match[4], match[5]);
  const offset = match[6] === undefined ? undefined : parseOffset(match[6]);
  const readable = micros === undefined || (micros >= 0 && micros < microsPerDay);
  return day === undefined || !readable || Number.isNaN(offset) ? undefined : { day, micros, offset };
}

/** `HH:MM[:SS]` and the digits after the point, in microseconds; NaN when a part is out of range. Allows 24:00:00. */
export function parseClock(clock: string, decimals = ''): number {
  const minutes = Number(clock.slice(3, 5));
  const seconds = clock.length > 5 ? Number(clock.slice(6, 8)) : 0;
  const micros = ((Number(clock.slice(0, 2)) * 60 + minutes) * 60 + seconds) * 1_000_000 + Number(decimals.padEnd(6, '0'));
  return minutes > 59 || seconds > 59 || micros > microsPerDay ? Number.NaN : micros;
}

/** `Z`, `±HH`, `±HH[:]MM[[:]SS]` in seconds east; NaN when out of range. */
export function parseOffset(offset: string): number {
  if (offset === 'Z' || offset === 'z') return 0;
  const digits = offset.slice(1).replaceAll(':', '').padEnd(6, '0');
  const [hours, minutes, seconds] = [Number(digits.slice(0, 2)), Number(digits.slice(2, 4)), Number(digits.slice(4))];
  if (hours > 15 || minutes > 59 || seconds > 59) return Number.NaN;
  return (hours * 3600 + minutes * 60 + seconds) * (offset.startsWith('-') ? -1 : 1);
}

/** Microseconds from 2000-01-01 00:00 as the server prints them; `zone` goes between time and era. */
export function isoTimestamp(micros: bigint, zone = ''): string {
  const perDay = BigInt(microsPerDay);
  const rest = ((micros % perDay) + perDay) % perDay;
  const { date, suffix } = isoDate(Number((micros - rest) / perDay));
  return `${date} ${isoClock(Number(rest))}${zone}${suffix}`;
}

/** `HH:MM:SS[.ffffff]` without trailing zeros. */
export function isoClock(micros: number): string {
  const seconds = Math.floor(micros / 1_000_000);
  const whole = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const decimals = String(micros % 1_000_000).padStart(6, '0').replace(/0+$/, '');
  return whole.map((part) => String(part).padStart(2, '0')).join(':') + (decimals === '' ? '' : `.${decimals}`);
}

/** `±HH[:MM[:SS]]` as the server prints an offset. */
export function isoOffset(secondsEast: number): string {
  const seconds = Math.abs(secondsEast);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const shown = parts[2] === 0 ? (parts[1] === 0 ? 1 : 2) : 3;
  const text = parts.slice(0, shown).map((part) => String(part).padStart(2, '0')).join(':');
  return `${secondsEast < 0 ? '-' : '+'}${text}`;
}

const pattern =
  /^(\d{4,7})-(\d\d)-(\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?)(?:(?<=:\d\d:\d\d)\.(\d{1,6}))?(?: ?(Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?))?)?( BC)?$/i;
