/**
 * Lays a float out as PostgreSQL does. `wholeDigitsMax`: numbers with more digits before the point take the scientific form (15 for
 * float8, 6 for float4). `digitsOf` gives `d.ddde±x` for the absolute value.
 */
export function formatFloat(value: number, wholeDigitsMax: number, digitsOf: (magnitude: number) => string): string {
  if (!Number.isFinite(value)) return String(value);
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  if (value === 0) return `${sign}0`;
  const [mantissa = '', power = '0'] = digitsOf(Math.abs(value)).split('e');
  const exponent = Number(power);
  const scientific = exponent < -4 || exponent >= wholeDigitsMax;
  return sign + (scientific ? `${mantissa}e${signed(exponent)}` : fixed(mantissa.replace('.', ''), exponent));
}

function signed(exponent: number): string {
  return `${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

function fixed(digits: string, exponent: number): string {
  if (exponent < 0) return `0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  return digits.length > exponent + 1 ? `${whole}.${digits.slice(exponent + 1)}` : whole;
}
