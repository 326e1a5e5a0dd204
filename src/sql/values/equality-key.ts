import { present } from '../../base/assert.ts';
import { withoutTrailingBlanks } from './compare-text.ts';
import { intervalSpan, parseInterval } from './interval-text.ts';
import { isoTimestamp, microsPerDay, parseIsoTimestamp } from './iso-timestamp.ts';
import { typeOid } from './type-oid.ts';

/** The server's text output of a non-NULL value to a key: keys are equal exactly when the values are. */
export type EqualityKey = (text: string) => string;

/**
 * Undefined when only a PostgreSQL can tell which values of the type are equal. For text the collation must be deterministic. Enums, whose
 * OIDs are not fixed, have unique texts: they would be `identity`. Settings of the connections as for `comparatorFor`.
 */
export function equalityKeyFor(oid: number): EqualityKey | undefined {
  return identicalTexts.has(oid) ? identity : keys.get(oid);
}

function identity(text: string): string {
  return text;
}

/** Types of which equal values have one text. */
const identicalTexts: ReadonlySet<number> = new Set([
  typeOid.bool, typeOid.bytea, typeOid.char, typeOid.name, typeOid.int8, typeOid.int2, typeOid.int4, typeOid.text, typeOid.varchar,
  typeOid.oid, typeOid.xid, typeOid.cid, typeOid.xid8, typeOid.cidr, typeOid.inet, typeOid.macaddr, typeOid.macaddr8, typeOid.date,
  typeOid.time, typeOid.timetz, typeOid.timestamp, typeOid.bit, typeOid.varbit, typeOid.uuid, typeOid.pg_lsn,
]);

/** 1.0 equals 1.00. */
function numericKey(text: string): string {
  if (!text.includes('.')) return text;
  let end = text.length;
  while (text.charCodeAt(end - 1) === 0x30) end -= 1;
  return text.slice(0, text.charCodeAt(end - 1) === 0x2e ? end - 1 : end);
}

function floatKey(text: string): string {
  return text === '-0' ? '0' : text;
}

/** In UTC: nodes whose time zone tables differ print one instant with different offsets. */
function timestamptzKey(text: string): string {
  if (text.endsWith('+00') || text.endsWith('infinity')) return text;
  const { day, micros, offset } = present(parseIsoTimestamp(text), 'timestamp');
  return isoTimestamp(BigInt(day) * BigInt(microsPerDay) + BigInt((micros ?? 0) - (offset ?? 0) * 1_000_000), '+00');
}

/** 1 day equals 24:00:00. */
function intervalKey(text: string): string {
  return String(intervalSpan(present(parseInterval(text), 'interval')));
}

const keys: ReadonlyMap<number, EqualityKey> = new Map([
  [typeOid.numeric, numericKey],
  [typeOid.float4, floatKey],
  [typeOid.float8, floatKey],
  [typeOid.bpchar, withoutTrailingBlanks],
  [typeOid.timestamptz, timestamptzKey],
  [typeOid.interval, intervalKey],
]);
