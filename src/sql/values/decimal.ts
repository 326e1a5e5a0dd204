import { ClusterError } from '../../base/errors.ts';

/** PostgreSQL's numeric: an exact decimal, coefficient × 10^-scale, where the scale is also the number of decimals shown. */
export interface FiniteDecimal {
  readonly kind: 'finite';
  readonly coefficient: bigint;
  readonly scale: number;
}

export type Decimal = FiniteDecimal | { readonly kind: 'nan' | 'infinity' | 'minus_infinity' };

export function decimal(coefficient: bigint, scale: number): FiniteDecimal {
  return { kind: 'finite', coefficient, scale };
}

export const zero: Decimal = decimal(0n, 0);
export const nan: Decimal = { kind: 'nan' };
const infinity: Decimal = { kind: 'infinity' };
const minusInfinity: Decimal = { kind: 'minus_infinity' };

/** Reads the server's text output of a numeric or an integer. */
export function parseDecimal(text: string): Decimal {
  const point = text.indexOf('.');
  if (point >= 0) return decimal(BigInt(text.slice(0, point) + text.slice(point + 1)), text.length - point - 1);
  switch (text) {
    case 'NaN':
      return nan;
    case 'Infinity':
      return infinity;
    case '-Infinity':
      return minusInfinity;
    default:
      return decimal(BigInt(text), 0);
  }
}

/** The server's text output. Throws `numericOverflow` where the server's format ends, at 131072 digits before the point. */
export function formatDecimal(value: Decimal): string {
  return value.kind === 'finite' ? formatFinite(value) : specialTexts[value.kind];
}

/** As `+` and sum() do: the larger scale of both; opposite infinities give NaN. */
export function addDecimal(a: Decimal, b: Decimal): Decimal {
  if (a.kind === 'finite' && b.kind === 'finite') {
    if (a.scale === b.scale) return decimal(a.coefficient + b.coefficient, a.scale);
    const scale = Math.max(a.scale, b.scale);
    return decimal(coefficientAt(a, scale) + coefficientAt(b, scale), scale);
  }
  if (a.kind === 'finite') return b;
  return b.kind === 'finite' || a.kind === b.kind ? a : nan;
}

/** The coefficient at a scale that is not smaller than the value's own. */
export function coefficientAt(value: FiniteDecimal, scale: number): bigint {
  return value.coefficient * 10n ** BigInt(scale - value.scale);
}

function formatFinite({ coefficient, scale }: FiniteDecimal): string {
  const sign = coefficient < 0n ? '-' : '';
  const digits = String(coefficient < 0n ? -coefficient : coefficient).padStart(scale + 1, '0');
  if (digits.length - scale > wholeDigitsMax) throw new ClusterError('numericOverflow', 'value overflows numeric format');
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

const specialTexts = { nan: 'NaN', infinity: 'Infinity', minus_infinity: '-Infinity' } as const;

const wholeDigitsMax = 131_072;
