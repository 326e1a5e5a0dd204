import { ClusterError } from '../../base/errors.ts';
import { infiniteInterval, intervalSpan, minusInfiniteInterval, type Interval } from './interval-text.ts';

/** As `+` and sum() do, field by field. Throws `numericOverflow` with 22008; the same for opposite infinities. */
export function addInterval(a: Interval, b: Interval): Interval {
  const sign = infiniteSign(a);
  const other = infiniteSign(b);
  if (sign !== 0 && other !== 0 && sign !== other) throw outOfRange();
  if (sign !== 0) return a;
  if (other !== 0) return b;
  const sum = { months: a.months + b.months, days: a.days + b.days, micros: a.micros + b.micros };
  const fits = (sum.months | 0) === sum.months && (sum.days | 0) === sum.days && BigInt.asIntN(64, sum.micros) === sum.micros;
  if (!fits || infiniteSign(sum) !== 0) throw outOfRange();
  return sum;
}

/** Infinite are those of which every field is extreme. */
function infiniteSign(interval: Interval): -1 | 0 | 1 {
  const span = intervalSpan(interval);
  return span === intervalSpan(infiniteInterval) ? 1 : span === intervalSpan(minusInfiniteInterval) ? -1 : 0;
}

function outOfRange(): ClusterError {
  return new ClusterError('numericOverflow', 'interval out of range', { sqlState: '22008' });
}
