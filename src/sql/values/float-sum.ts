import { ClusterError } from '../../base/errors.ts';

/** sum(float8) of partial sums. Throws `numericOverflow`. Results depend on the order of addition, as on the server. */
export function addFloat8(a: number, b: number): number {
  return withinRange(a + b, a, b);
}

/** sum(float4) of partial sums: rounds each time, as the server does. */
export function addFloat4(a: number, b: number): number {
  return withinRange(Math.fround(a + b), a, b);
}

/** What float8's avg(), variance and deviation keep: `squares` is the sum of squared deviations from the mean (regr_sxx(x, x)). */
export interface FloatMoments {
  readonly count: number;
  readonly sum: number;
  readonly squares: number;
}

/** The moments of two sets together. Source: Youngs and Cramer, as in PostgreSQL's `float8_combine`. Throws `numericOverflow`. */
export function combineMoments(a: FloatMoments, b: FloatMoments): FloatMoments {
  if (a.count === 0) return b;
  if (b.count === 0) return a;
  const count = a.count + b.count;
  const difference = a.sum / a.count - b.sum / b.count;
  const squares = a.squares + b.squares + (a.count * b.count * difference * difference) / count;
  return { count, sum: addFloat8(a.sum, b.sum), squares: withinRange(squares, a.squares, b.squares) };
}

/** Undefined for NULL: no rows. */
export function floatAverage(sum: number, count: number): number | undefined {
  return count === 0 ? undefined : sum / count;
}

/** Undefined for NULL: no rows, or for the sample forms just one. */
export function floatDeviation(
  { count, squares }: FloatMoments,
  form: 'var_pop' | 'var_samp' | 'stddev_pop' | 'stddev_samp',
): number | undefined {
  const divisor = form === 'var_samp' || form === 'stddev_samp' ? count - 1 : count;
  if (divisor <= 0) return undefined;
  const variance = squares / divisor;
  return form === 'var_pop' || form === 'var_samp' ? variance : Math.sqrt(variance);
}

/** An infinity that no operand explains is an overflow. */
function withinRange(result: number, a: number, b: number): number {
  const overflows = Math.abs(result) === Infinity && Math.abs(a) !== Infinity && Math.abs(b) !== Infinity;
  if (overflows) throw new ClusterError('numericOverflow', 'value out of range: overflow');
  return result;
}
