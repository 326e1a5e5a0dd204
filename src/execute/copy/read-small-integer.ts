/** Digits that always fit a safe integer. */
const digitsMax = 15;

/**
 * The integer that the bytes spell as PostgreSQL prints one (digits, perhaps a minus sign), or undefined for every other
 * spelling and for more than 15 digits. Allocates nothing.
 */
export function readSmallInteger(bytes: Uint8Array, start: number, end: number): number | undefined {
  const negative = bytes[start] === 0x2d;
  const first = negative ? start + 1 : start;
  if (first >= end || end - first > digitsMax) return undefined;
  let value = 0;
  for (let position = first; position < end; position += 1) {
    const digit = (bytes[position] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return negative && value !== 0 ? -value : value;
}
