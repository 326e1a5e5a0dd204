import { dayOf, isoDate } from '../../sql/values/iso-date.ts';
import { isoTimestamp, microsPerDay, parseIsoTimestamp, type IsoTimestamp } from '../../sql/values/iso-timestamp.ts';
import { hashUint32 } from './hash-bytes.ts';
import { hashInt64 } from './hash-int64.ts';
import { callSql, needsServer, viaArraySql, type TypeRules, type Unreadable, type ValueContext } from './type-rules.ts';

/** Days from 2000-01-01; the infinities are the ends of int32. A time of day that was written with it is dropped. */
export const dateRules: TypeRules<number> = {
  name: 'date',
  hashSql: viaArraySql('date'),
  parse: (text) => infinite(text, dateInfinities) ?? inRange(parseIsoTimestamp(trim(text))?.day),
  print: (day) => {
    if (day === dateInfinities[0]) return 'infinity';
    if (day === dateInfinities[1]) return '-infinity';
    const { date, suffix } = isoDate(day);
    return date + suffix;
  },
  hash: hashUint32,
};

/** Microseconds from 2000-01-01; the infinities are the ends of int64. A written offset is ignored, as the server does. */
export const timestampRules: TypeRules<bigint> = {
  name: 'timestamp without time zone',
  hashSql: callSql('timestamp_hash'),
  parse: (text) => infinite(text, timestampInfinities) ?? parseInstant(parseIsoTimestamp(trim(text)), 0),
  print: (micros) => printInstant(micros, ''),
  hash: hashInt64,
  assign: roundMicros,
};

/** As timestamp, in UTC. Without an offset the session's time zone decides, and that is left to the server unless it is UTC. */
export const timestamptzRules: TypeRules<bigint> = {
  name: 'timestamp with time zone',
  hashSql: (valueSql) => `pg_catalog.timestamp_hash((${valueSql}) AT TIME ZONE 'UTC')`,
  parse(text, context) {
    const written = parseIsoTimestamp(trim(text));
    return infinite(text, timestampInfinities) ?? parseInstant(written, written?.offset ?? offsetOf(context));
  },
  print: (micros) => printInstant(micros, '+00'),
  hash: hashInt64,
  assign: roundMicros,
};

const dateInfinities = [2 ** 31 - 1, -(2 ** 31)] as const;
const timestampInfinities = [2n ** 63n - 1n, -(2n ** 63n)] as const;
const dateStart = dayOf(-4713, 11, 24) ?? 0;
const dateEnd = dayOf(5_874_898, 1, 1) ?? 0;
const timestampStart = BigInt(dateStart) * BigInt(microsPerDay);
const timestampEnd = BigInt(dayOf(294_277, 1, 1) ?? 0) * BigInt(microsPerDay);

function trim(text: string): string {
  return text.replace(/^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g, '');
}

function infinite<V>(text: string, [plus, minus]: readonly [V, V]): V | undefined {
  const word = trim(text).toLowerCase();
  return word === 'infinity' ? plus : word === '-infinity' ? minus : undefined;
}

function inRange(day: number | undefined): number | Unreadable {
  return day === undefined || day < dateStart || day >= dateEnd ? needsServer : day;
}

function parseInstant(written: IsoTimestamp | undefined, offset: number | undefined): bigint | Unreadable {
  if (written === undefined || offset === undefined) return needsServer;
  const micros = BigInt(written.day) * BigInt(microsPerDay) + BigInt((written.micros ?? 0) - offset * 1_000_000);
  return micros < timestampStart || micros >= timestampEnd ? needsServer : micros;
}

function offsetOf(context: ValueContext): number | undefined {
  return /^(?:Etc\/)?(?:UTC|GMT)$/i.test(context.timeZone ?? '') ? 0 : undefined;
}

function printInstant(micros: bigint, zone: string): string {
  if (micros === timestampInfinities[0]) return 'infinity';
  if (micros === timestampInfinities[1]) return '-infinity';
  return isoTimestamp(micros, zone);
}

/** timestamp(p) keeps p decimals, rounding half away from 2000-01-01. */
function roundMicros(micros: bigint, decimals: number): bigint | Unreadable {
  if (micros === timestampInfinities[0] || micros === timestampInfinities[1]) return micros;
  const unit = 10n ** BigInt(6 - decimals);
  const half = micros < 0n ? -unit / 2n : unit / 2n;
  const rounded = ((micros + half) / unit) * unit;
  return rounded < timestampEnd ? rounded : needsServer;
}
