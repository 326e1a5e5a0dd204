import { hashBytes } from './hash-bytes.ts';
import { callSql, invalid, needsServer, type TypeRules, type Unreadable } from './type-rules.ts';

/** In memory: the canonical text, with no sign for zero, no exponent, no leading zeros and no trailing ones after the point. */
export const numericRules: TypeRules<string> = {
  name: 'numeric',
  hashSql: callSql('hash_numeric'),
  parse: (text) => parseNumeric(text.replace(/^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g, '')),
  print: (value) => value,
  hash: hashNumeric,
  assign: assignNumeric,
};

/** Beyond this the server may run into its format's limits (131072 digits before the point, 16383 after). */
const exponentMax = 1000;

function parseNumeric(text: string): string | Unreadable {
  const match = /^([+-]?)(?:(\d+)\.?(\d*)|\.(\d+))(?:e([+-]?\d{1,6}))?$/i.exec(text);
  if (match === null) return parseSpecial(text);
  const [, sign = '', whole = '', fraction = match[4] ?? '', , exponent = '0'] = match;
  const shift = Number(exponent);
  if (whole.length + fraction.length > exponentMax || Math.abs(shift) > exponentMax) return needsServer;
  return sign === '-' ? negate(shifted(whole, fraction, shift)) : shifted(whole, fraction, shift);
}

function parseSpecial(text: string): string | Unreadable {
  if (/^nan$/i.test(text)) return 'NaN';
  if (/^\+?inf(?:inity)?$/i.test(text)) return 'Infinity';
  if (/^-inf(?:inity)?$/i.test(text)) return '-Infinity';
  // Version 16 and newer read 0x1f, 0o17, 0b1 and 1_000.
  return /\d/.test(text) && /[_xobe]/i.test(text) ? needsServer : invalid;
}

/** whole.fraction times ten to the power of `shift`, in plain notation. */
function shifted(whole: string, fraction: string, shift: number): string {
  const digits = whole + fraction;
  const point = whole.length + shift;
  const left = point <= 0 ? '' : digits.slice(0, point).padEnd(point, '0');
  const right = point < 0 ? '0'.repeat(-point) + digits : digits.slice(point);
  const shownLeft = left.replace(/^0+/, '') || '0';
  const shownRight = withoutTrailingZeros(right);
  return shownRight === '' ? shownLeft : `${shownLeft}.${shownRight}`;
}

function withoutTrailingZeros(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits.charCodeAt(end - 1) === 0x30) end -= 1;
  return digits.slice(0, end);
}

function negate(text: string): string {
  return text === '0' ? text : `-${text}`;
}

/**
 * The server hashes its base-10000 digits as 16-bit words, without leading and trailing zeros, and folds the power of the first one in.
 */
function hashNumeric(value: string): number {
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return 0;
  if (value === '0') return -1;
  const unsigned = value.startsWith('-') ? value.slice(1) : value;
  const [whole = '', fraction = ''] = unsigned.split('.');
  const groupsBefore = Math.ceil(whole.length / 4);
  const aligned = whole.padStart(groupsBefore * 4, '0') + fraction.padEnd(Math.ceil(fraction.length / 4) * 4, '0');
  const groups = Array.from({ length: aligned.length / 4 }, (_, index) => Number(aligned.slice(index * 4, index * 4 + 4)));
  const first = groups.findIndex((group) => group !== 0);
  const last = groups.findLastIndex((group) => group !== 0);
  const bytes = Buffer.alloc((last - first + 1) * 2);
  for (let index = first; index <= last; index += 1) bytes.writeInt16LE(groups[index] ?? 0, (index - first) * 2);
  return hashBytes(bytes) ^ (groupsBefore - 1 - first);
}

/** numeric(precision, scale) rounds half away from zero and refuses what has too many digits before the point (22003). */
function assignNumeric(value: string, modifier: number): string | Unreadable {
  if (value === 'NaN') return value;
  if (value.endsWith('Infinity')) return invalid;
  const packed = modifier - 4;
  const precision = (packed >> 16) & 0xffff;
  const scale = ((packed & 0x7ff) ^ 1024) - 1024; // Eleven bits, signed: version 15 and newer allow -1000 to 1000.
  const rounded = round(value, scale);
  const limit = 10n ** BigInt(precision);
  return rounded <= -limit || rounded >= limit ? invalid : plain(rounded, scale);
}

/** The value as a whole number of units of ten to the power of `-scale`. */
function round(value: string, scale: number): bigint {
  const [whole = '', fraction = ''] = value.split('.');
  const coefficient = BigInt(whole + fraction);
  const surplus = fraction.length - scale;
  const exact = surplus <= 0 ? coefficient * 10n ** BigInt(-surplus) : undefined;
  return exact ?? divideRounded(coefficient, 10n ** BigInt(surplus));
}

function divideRounded(dividend: bigint, divisor: bigint): bigint {
  const half = dividend < 0n ? -divisor / 2n : divisor / 2n;
  return (dividend + half) / divisor;
}

function plain(units: bigint, scale: number): string {
  const digits = String(units < 0n ? -units : units);
  const text = shifted(digits, '', -scale);
  return units < 0n ? negate(text) : text;
}
