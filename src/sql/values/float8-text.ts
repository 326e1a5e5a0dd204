import { formatFloat } from './format-float.ts';
import { roundHalfEven } from './round-half-even.ts';

/** A double in the server's own text (`1.5`, `1e-07`, `NaN`, `-Infinity`). Exact under extra_float_digits of 1 or more. */
export function parseFloat8(text: string): number {
  return Number(text);
}

/** The text PostgreSQL prints for a double by default: the shortest that reads back as the same value. */
export function formatFloat8(value: number): string {
  return formatFloat(value, 15, shortestDigits);
}

/**
 * JavaScript accepts a decimal that lies exactly halfway to a neighbour when it would be rounded to this value (1e23); PostgreSQL
 * does not trust the reader to round so, and prints more digits (9.999999999999999e+22).
 * A halfway point has 54 significant bits, so only in this range can it have as few decimal digits as a shortest text.
 */
function shortestDigits(magnitude: number): string {
  const shortest = magnitude.toExponential();
  if (magnitude < 2 ** 53 || magnitude > 1e42 || !isHalfway(shortest, magnitude)) return shortest;
  for (let decimals = shortest.replace(/^\d\.?|e.*/g, '').length; decimals < 16; decimals += 1) {
    const candidate = roundHalfEven(magnitude, decimals);
    if (Number(candidate) === magnitude && !isHalfway(candidate, magnitude)) return candidate;
  }
  return roundHalfEven(magnitude, 16);
}

/** Whether the decimal is the midpoint of the number and one of its neighbours; the number is at least 2^53. */
function isHalfway(digits: string, magnitude: number): boolean {
  const [mantissa = '', exponent = '0'] = digits.split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const tens = Number(exponent) - fraction.length;
  if (tens < 0) return false;
  const exact = BigInt(magnitude);
  const twiceDistance = 2n * (BigInt(whole + fraction) * 10n ** BigInt(tens) - exact);
  return twiceDistance === neighbour(magnitude, 1n) - exact || twiceDistance === neighbour(magnitude, -1n) - exact;
}

function neighbour(magnitude: number, steps: bigint): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, magnitude);
  view.setBigUint64(0, view.getBigUint64(0) + steps);
  return BigInt(view.getFloat64(0));
}
