/**
 * Compares a decimal text (digits, optional point and exponent, no sign) with a finite non-negative double, exactly.
 * Costs big integers: for the rare cases where rounding would hide the difference.
 */
export function compareWithDouble(decimal: string, double: number): number {
  const [mantissa = '', exponent = '0'] = decimal.toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.split('.');
  const tens = Number(exponent) - fraction.length;
  const [significand, twos] = decompose(double);
  let left = BigInt(whole + fraction);
  let right = significand;
  if (tens > 0) left *= 10n ** BigInt(tens);
  else right *= 10n ** BigInt(-tens);
  if (twos > 0) right <<= BigInt(twos);
  else left <<= BigInt(-twos);
  return left < right ? -1 : left > right ? 1 : 0;
}

/** The double as significand × 2^twos. */
function decompose(double: number): [significand: bigint, twos: number] {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, double);
  const bits = view.getBigUint64(0);
  const exponent = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  return exponent === 0 ? [fraction, -1074] : [fraction | (1n << 52n), exponent - 1075];
}
