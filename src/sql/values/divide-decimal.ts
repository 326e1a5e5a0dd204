import { coefficientAt, decimal, nan, type Decimal, type FiniteDecimal } from './decimal.ts';

/** avg() of exact types: the quotient of a sum and a count, which is positive. */
export function averageOf(sum: Decimal, count: bigint): Decimal {
  return sum.kind === 'finite' ? divideDecimal(sum, decimal(count, 0)) : sum;
}

/** The quotient at the scale that `numeric / numeric` has on the server, rounded half away from zero. The divisor is not zero. */
export function divideDecimal(dividend: FiniteDecimal, divisor: FiniteDecimal): FiniteDecimal {
  const scale = quotientScale(dividend, divisor);
  // At this scale of the dividend the quotient of the coefficients has the scale wanted; the shift may point either way.
  const shift = scale + divisor.scale - dividend.scale;
  const upper = shift >= 0 ? dividend.coefficient * 10n ** BigInt(shift) : dividend.coefficient;
  const lower = shift >= 0 ? divisor.coefficient : divisor.coefficient * 10n ** BigInt(-shift);
  return decimal(roundedQuotient(upper, lower), scale);
}

/**
 * var_pop, var_samp, stddev_pop and stddev_samp of exact types, from the exact count, sum and sum of squares. Undefined for NULL: no rows, or for
 * the sample forms just one. Source: the textbook formula (n·Σx² − (Σx)²) / (n·(n or n − 1)), at PostgreSQL's scales.
 */
export function deviationOf(
  { count, sum, squares }: { readonly count: bigint; readonly sum: Decimal; readonly squares: Decimal },
  form: 'var_pop' | 'var_samp' | 'stddev_pop' | 'stddev_samp',
): Decimal | undefined {
  const isSample = form === 'var_samp' || form === 'stddev_samp';
  if (count <= (isSample ? 1n : 0n)) return undefined;
  if (sum.kind !== 'finite' || squares.kind !== 'finite') return nan;
  const scale = Math.max(sum.scale * 2, squares.scale);
  const numerator = count * coefficientAt(squares, scale) - sum.coefficient ** 2n * 10n ** BigInt(scale - sum.scale * 2);
  if (numerator <= 0n) return decimal(0n, 0);
  const variance = divideDecimal(decimal(numerator, scale), decimal(count * (isSample ? count - 1n : count), 0));
  return form === 'var_pop' || form === 'var_samp' ? variance : squareRoot(variance);
}

/** At the value's own scale, rounded half up; the value is not negative. */
function squareRoot(value: FiniteDecimal): FiniteDecimal {
  // One decimal more than asked for, cut off, decides how to round: a digit of five or more means at least half.
  const tenfold = integerRoot(value.coefficient * 10n ** BigInt(value.scale + 2));
  return decimal((tenfold + 5n) / 10n, value.scale);
}

/** The largest integer whose square is not above `value`: Newton's method from above. */
function integerRoot(value: bigint): bigint {
  if (value < 2n) return value;
  let root = 1n << BigInt((value.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

function roundedQuotient(dividend: bigint, divisor: bigint): bigint {
  const negative = dividend < 0n !== divisor < 0n;
  const upper = dividend < 0n ? -dividend : dividend;
  const lower = divisor < 0n ? -divisor : divisor;
  const quotient = (upper * 2n + lower) / (lower * 2n);
  return negative ? -quotient : quotient;
}

const significantDigitsMin = 16;
const scaleMax = 1000;

/**
 * At least 16 significant digits and no fewer decimals than either operand; counted in PostgreSQL's base-10000 digits, so often more.
 * Source: `select_div_scale` of PostgreSQL's numeric.c.
 */
function quotientScale(dividend: FiniteDecimal, divisor: FiniteDecimal): number {
  const upper = leadingGroup(dividend);
  const lower = leadingGroup(divisor);
  const quotientWeight = upper.weight - lower.weight - (upper.group <= lower.group ? 1 : 0);
  return Math.min(scaleMax, Math.max(significantDigitsMin - quotientWeight * 4, dividend.scale, divisor.scale, 0));
}

/** The first base-10000 digit that is not zero, and its power of 10000. */
function leadingGroup({ coefficient, scale }: FiniteDecimal): { readonly weight: number; readonly group: number } {
  if (coefficient === 0n) return { weight: 0, group: 0 };
  const digits = String(coefficient < 0n ? -coefficient : coefficient);
  const power = digits.length - 1 - scale;
  const weight = Math.floor(power / 4);
  return { weight, group: Number(digits.slice(0, power - weight * 4 + 1).padEnd(power - weight * 4 + 1, '0')) };
}
