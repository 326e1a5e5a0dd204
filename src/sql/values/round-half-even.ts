import { compareWithDouble } from './exact-decimal.ts';

/**
 * As `toExponential(decimals)` of a positive number, but a number exactly between two such decimals goes to the even one, as in PostgreSQL;
 * JavaScript takes the larger.
 */
export function roundHalfEven(magnitude: number, decimals: number): string {
  const rounded = magnitude.toExponential(decimals);
  const [mantissa = '', exponent = ''] = rounded.split('e');
  if (!/[13579]$/.test(mantissa)) return rounded;
  const midpoint = `${mantissa.slice(0, -1)}${Number(mantissa.at(-1)) - 1}${decimals === 0 ? '.' : ''}5e${exponent}`;
  if (Number(midpoint) !== magnitude || compareWithDouble(midpoint, magnitude) !== 0) return rounded;
  return midpoint.replace(/\.?5e/, 'e');
}
