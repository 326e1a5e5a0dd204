import {
  formatInterval,
  infiniteInterval,
  intervalSpan,
  minusInfiniteInterval,
  parseInterval,
} from '../value-text/interval-text.ts';
import { hashInt64 } from './hash-int64.ts';
import { callSql, needsServer, type TypeRules } from './type-rules.ts';

/**
 * In memory: the span that decides equality, in microseconds (`1 day` equals `24:00:00`, `1 mon` equals `30 days`). The canonical text is
 * that of an equal interval of days and a time.
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
    return formatInterval({ months: 0, days: Number(span / microsPerDay), micros: span % microsPerDay });
  },
  hash: (span) => hashInt64(BigInt.asIntN(64, span)),
  assign: () => needsServer,
};

const microsPerDay = 86_400_000_000n;
