import {
  formatInterval,
  infiniteInterval,
  intervalSpan,
  minusInfiniteInterval,
  parseInterval,
} from '../../sql/values/interval-text.ts';
import { hashInt64 } from './hash-int64.ts';
import { callSql, needsServer, type TypeRules } from './type-rules.ts';

/**
 * In memory: the span that decides equality, in microseconds (`1 day` equals `24:00:00`, `1 mon` equals `30 days`). The canonical text is
 * that of an equal interval of days and a time (and months, when there are more days than fit).
 */
export const intervalRules: TypeRules<bigint> = {
  name: 'interval',
  hashSql: callSql('interval_hash'),
  parse(text) {
    const interval = parseInterval(text.trim());
    return interval === undefined ? needsServer : intervalSpan(interval);
  },
  print(span) {
    if (span === intervalSpan(infiniteInterval)) return 'infinity';
    if (span === intervalSpan(minusInfiniteInterval)) return '-infinity';
    const days = Number(span / microsPerDay);
    const months = Math.abs(days) < daysMax ? 0 : clamp(Math.trunc(days / 30));
    return formatInterval({ months, days: days - months * 30, micros: span % microsPerDay });
  },
  hash: hashInt64,
  assign: () => needsServer,
};

const microsPerDay = 86_400_000_000n;
const daysMax = 2 ** 31;

function clamp(months: number): number {
  return Math.max(-daysMax, Math.min(daysMax - 1, months));
}
