/** An interval as the server stores it. */
export interface Interval {
  readonly months: number;
  readonly days: number;
  readonly micros: bigint;
}

/** What 'infinity' is since version 17. */
export const infiniteInterval: Interval = { months: 2 ** 31 - 1, days: 2 ** 31 - 1, micros: 2n ** 63n - 1n };
export const minusInfiniteInterval: Interval = { months: -(2 ** 31), days: -(2 ** 31), micros: -(2n ** 63n) };

/**
 * Reads the server's output under IntervalStyle `postgres` (`1 year 2 mons -3 days +04:05:06.7`, `infinity`), and the like with `month`.
 * Undefined for everything else, and where IntervalStyle `sql_standard` would read another meaning into a sign.
 */
export function parseInterval(text: string): Interval | undefined {
  if (text === 'infinity') return infiniteInterval;
  if (text === '-infinity') return minusInfiniteInterval;
  const match = pattern.exec(text);
  if (match === null || text === '' || hasDoubtfulSign(match)) return undefined;
  const [, years = '0', months = '0', days = '0', clock, decimals = ''] = match;
  const micros = clock === undefined ? 0n : parseHours(clock, decimals);
  const allMonths = Number(years) * 12 + Number(months);
  if (micros === undefined || !isInt32(allMonths) || !isInt32(Number(days))) return undefined;
  return { months: allMonths, days: Number(days), micros };
}

/** The server's text under IntervalStyle `postgres`. */
export function formatInterval(interval: Interval): string {
  if (isSame(interval, infiniteInterval)) return 'infinity';
  if (isSame(interval, minusInfiniteInterval)) return '-infinity';
  const years = Math.trunc(interval.months / 12);
  const parts: string[] = [];
  let afterNegative = false;
  for (const [amount, unit] of [[years, 'year'], [interval.months % 12, 'mon'], [interval.days, 'day']] as const) {
    if (amount === 0) continue;
    parts.push(`${afterNegative && amount > 0 ? '+' : ''}${amount} ${unit}${amount === 1 ? '' : 's'}`);
    afterNegative = amount < 0;
  }
  if (parts.length === 0 || interval.micros !== 0n) parts.push(formatHours(interval.micros, afterNegative));
  return parts.join(' ');
}

/** What comparison, equality and hashing see: microseconds, a month being 30 days and a day 24 hours. */
export function intervalSpan(interval: Interval): bigint {
  return BigInt(interval.months * 30 + interval.days) * 86_400_000_000n + interval.micros;
}

const pattern =
  /^(?:([+-]?\d{1,10}) years?(?: (?!$)|$))?(?:([+-]?\d{1,10}) mon(?:th)?s?(?: (?!$)|$))?(?:([+-]?\d{1,10}) days?(?: (?!$)|$))?(?:([+-]?\d{2,10}:\d\d:\d\d)(?:\.(\d{1,6}))?)?$/;

/** A leading minus may apply to what follows without a sign of its own. */
function hasDoubtfulSign(match: RegExpExecArray): boolean {
  const fields = match.slice(1, 5).filter((field) => field !== undefined);
  return fields.some((field, index) => index > 0 && /^\d/.test(field) && fields[index - 1]?.startsWith('-') === true);
}

function parseHours(clock: string, decimals: string): bigint | undefined {
  const [hours = '', minutes = '', seconds = ''] = clock.replace(/^[+-]/, '').split(':');
  if (Number(minutes) > 59 || Number(seconds) > 59) return undefined;
  const whole = (BigInt(hours) * 60n + BigInt(minutes)) * 60n + BigInt(seconds);
  const micros = (whole * 1_000_000n + BigInt(decimals.padEnd(6, '0'))) * (clock.startsWith('-') ? -1n : 1n);
  return BigInt.asIntN(64, micros) === micros ? micros : undefined;
}

function formatHours(micros: bigint, afterNegative: boolean): string {
  const magnitude = micros < 0n ? -micros : micros;
  const seconds = magnitude / 1_000_000n;
  const clock = [seconds / 3600n, (seconds / 60n) % 60n, seconds % 60n].map((part) => String(part).padStart(2, '0')).join(':');
  const decimals = String(magnitude % 1_000_000n).padStart(6, '0').replace(/0+$/, '');
  const sign = micros < 0n ? '-' : afterNegative ? '+' : '';
  return sign + clock + (decimals === '' ? '' : `.${decimals}`);
}

function isSame(a: Interval, b: Interval): boolean {
  return a.months === b.months && a.days === b.days && a.micros === b.micros;
}

function isInt32(value: number): boolean {
  return value >= -(2 ** 31) && value < 2 ** 31;
}
