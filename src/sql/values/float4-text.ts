import { compareWithDouble } from './exact-decimal.ts';
import { formatFloat } from './format-float.ts';
import { roundHalfEven } from './round-half-even.ts';

/**
 * The float4 nearest to a decimal text (with optional sign and exponent) or NaN, ±Infinity; ties to even. Not `Math.fround(Number(text))`, which
 * rounds twice and so may miss when the double lies halfway between two float4s.
 */
export function parseFloat4(text: string): number {
  const double = Number(text);
  const single = Math.fround(double);
  if (single === double || !Number.isFinite(double)) return single;
  const magnitude = Math.abs(double);
  const below = Math.abs(single) < magnitude ? Math.abs(single) : previousFloat4(Math.abs(single));
  if (!Number.isFinite(single) || (below + nextFloat4(below)) / 2 !== magnitude) return single;
  const side = compareWithDouble(text.replace(/^[+-]/, ''), magnitude);
  if (side === 0) return single;
  const nearest = side < 0 ? below : nextFloat4(below);
  return double < 0 ? -nearest : nearest;
}

/** The text PostgreSQL prints for a float4 by default: the shortest that reads back as the same float4. */
export function formatFloat4(value: number): string {
  return formatFloat(value, 6, shortestDigits);
}

/** Nine digits always tell a float4; a decimal halfway to a neighbour does not count as read back. */
function shortestDigits(magnitude: number): string {
  const low = (magnitude + previousFloat4(magnitude)) / 2;
  const high = (magnitude + nextFloat4(magnitude)) / 2;
  for (let decimals = 0; decimals < 8; decimals += 1) {
    const candidate = roundHalfEven(magnitude, decimals);
    if (isAbove(candidate, low) && isBelow(candidate, high)) return candidate;
    // Below a power of two the gap is half as wide: the nearest decimal may miss it where the next one up is in reach.
    const next = nextDecimal(candidate, decimals);
    if (!isAbove(candidate, low) && isBelow(next, high)) return next;
  }
  return roundHalfEven(magnitude, 8);
}

/** The decimal plus one in its last place; it has few enough digits to pass through a double unharmed. */
function nextDecimal(decimal: string, decimals: number): string {
  const [mantissa = '', exponent = '0'] = decimal.split('e');
  const units = Number(mantissa.replace('.', '')) + 1;
  return Number(`${units}e${Number(exponent) - decimals}`).toExponential(decimals);
}

function isAbove(decimal: string, bound: number): boolean {
  const double = Number(decimal);
  return double === bound ? compareWithDouble(decimal, bound) > 0 : double > bound;
}

function isBelow(decimal: string, bound: number): boolean {
  const double = Number(decimal);
  return double === bound ? compareWithDouble(decimal, bound) < 0 : double < bound;
}

/** The successor of a non-negative float4; of the largest, what would follow were there no limit. */
function nextFloat4(magnitude: number): number {
  return magnitude === largest ? 2 ** 128 : step(magnitude, 1);
}

/** The predecessor of a positive float4. */
function previousFloat4(magnitude: number): number {
  return step(magnitude, -1);
}

function step(magnitude: number, steps: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, magnitude);
  view.setUint32(0, view.getUint32(0) + steps);
  return view.getFloat32(0);
}

const largest = 2 ** 128 - 2 ** 104;
