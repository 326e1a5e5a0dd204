import { compareNumericText, compareWholeText } from './compare-decimal-text.ts';
import { compareBpchar, compareText } from './compare-text.ts';
import { compareDate, compareTimestamp, compareTimestamptz, compareTimetz } from './compare-date-time.ts';
import { intervalSpan, parseInterval } from './interval-text.ts';
import { present } from '../../base/assert.ts';
import { typeOid } from './type-oid.ts';

/** Negative, zero or positive, as the server's btree operator class orders two non-NULL values given in its own text output. */
export type Comparator = (a: string, b: string) => number;

/**
 * How values of a type compare, given their text output; undefined when only a PostgreSQL can tell. `collationIsC`: whether text is ordered
 * by its UTF-8 bytes; it does not matter for types without collation.
 * The connections that gave the texts use DateStyle ISO, IntervalStyle postgres, bytea_output hex and extra_float_digits of 1 or more;
 * their TimeZone does not matter and may differ.
 */
export function comparatorFor(oid: number, collationIsC: boolean): Comparator | undefined {
  if (oid === typeOid.text || oid === typeOid.varchar || oid === typeOid.name) return collationIsC ? compareText : undefined;
  if (oid === typeOid.bpchar) return collationIsC ? compareBpchar : undefined;
  return comparators.get(oid);
}

/** Texts of ASCII characters whose order is the values': fixed width, or a prefix first. */
function compareCharacters(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** NaN equals NaN and sorts above infinity; -0 equals 0. */
function compareFloats(a: string, b: string): number {
  const left = Number(a);
  const right = Number(b);
  if (left < right) return -1;
  if (left > right) return 1;
  return left === right ? 0 : Number(Number.isNaN(left)) - Number(Number.isNaN(right));
}

function compareIntervals(a: string, b: string): number {
  const left = intervalSpan(present(parseInterval(a), 'interval'));
  const right = intervalSpan(present(parseInterval(b), 'interval'));
  return left < right ? -1 : left > right ? 1 : 0;
}

function compareLsns(a: string, b: string): number {
  const [highA = '', lowA = ''] = a.split('/');
  const [highB = '', lowB = ''] = b.split('/');
  return Number.parseInt(highA, 16) - Number.parseInt(highB, 16) || Number.parseInt(lowA, 16) - Number.parseInt(lowB, 16);
}

const comparators: ReadonlyMap<number, Comparator> = new Map([
  [typeOid.bool, compareCharacters],
  [typeOid.bytea, compareCharacters],
  [typeOid.int2, compareWholeText],
  [typeOid.int4, compareWholeText],
  [typeOid.oid, compareWholeText],
  [typeOid.int8, compareWholeText],
  [typeOid.xid8, compareWholeText],
  [typeOid.float4, compareFloats],
  [typeOid.float8, compareFloats],
  [typeOid.numeric, compareNumericText],
  [typeOid.macaddr, compareCharacters],
  [typeOid.macaddr8, compareCharacters],
  [typeOid.uuid, compareCharacters],
  [typeOid.bit, compareCharacters],
  [typeOid.varbit, compareCharacters],
  [typeOid.date, compareDate],
  [typeOid.time, compareCharacters],
  [typeOid.timetz, compareTimetz],
  [typeOid.timestamp, compareTimestamp],
  [typeOid.timestamptz, compareTimestamptz],
  [typeOid.interval, compareIntervals],
  [typeOid.pg_lsn, compareLsns],
]);
