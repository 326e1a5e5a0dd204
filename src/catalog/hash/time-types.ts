import { isoClock, isoOffset, parseClock, parseOffset } from '../../sql/values/iso-timestamp.ts';
import { hashUint32 } from './hash-bytes.ts';
import { hashSafeInteger } from './hash-int64.ts';
import { callSql, needsServer, type TypeRules } from './type-rules.ts';

/** Microseconds into the day, up to and including 24:00. */
export const timeRules: TypeRules<number> = {
  name: 'time without time zone',
  hashSql: callSql('time_hash'),
  parse(text) {
    const [, clock, decimals] = /^(\d\d:\d\d(?::\d\d)?)(?:(?<=:\d\d:\d\d)\.(\d{1,6}))?$/.exec(text.trim()) ?? [];
    const micros = clock === undefined ? Number.NaN : parseClock(clock, decimals);
    return Number.isNaN(micros) ? needsServer : micros;
  },
  print: isoClock,
  hash: hashSafeInteger,
  assign: roundMicros,
};

interface ZonedTime {
  readonly micros: number;
  /** Seconds east of Greenwich. */
  readonly offset: number;
}

/** Equal only when both the time and the offset are equal. Without an offset the session's time zone of today decides. */
export const timetzRules: TypeRules<ZonedTime> = {
  name: 'time with time zone',
  hashSql: callSql('timetz_hash'),
  parse(text) {
    const [, clock, offset] = /^(\d\d:\d\d[\d:.]*) ?(Z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)$/i.exec(text.trim()) ?? [];
    if (clock === undefined || offset === undefined) return needsServer;
    const micros = timeRules.parse(clock, {});
    const seconds = parseOffset(offset);
    return typeof micros !== 'number' || Number.isNaN(seconds) ? needsServer : { micros, offset: seconds };
  },
  print: ({ micros, offset }) => isoClock(micros) + isoOffset(offset),
  hash: ({ micros, offset }) => hashSafeInteger(micros) ^ hashUint32(-offset),
  assign: ({ micros, offset }, decimals) => ({ micros: roundMicros(micros, decimals), offset }),
};

/** time(p) keeps p decimals, rounding half up. */
function roundMicros(micros: number, decimals: number): number {
  const unit = 10 ** (6 - decimals);
  return Math.floor((micros + unit / 2) / unit) * unit;
}
