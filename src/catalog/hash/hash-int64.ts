import { hashUint32 } from './hash-bytes.ts';

/** PostgreSQL's `hashint8`, of the low 64 bits: equal to `hashint4` and `hashint2` of the same number. Also hashes types stored as int64. */
export function hashInt64(value: bigint): number {
  return hashHalves(Number(BigInt.asIntN(32, value >> 32n)), Number(BigInt.asIntN(32, value)));
}

/** As `hashInt64`, of a safe integer; allocates nothing. */
export function hashSafeInteger(value: number): number {
  return hashHalves(Math.floor(value / 0x1_0000_0000), value | 0);
}

/** The high half is folded in so that a negative number hashes as its int4 does. */
function hashHalves(high: number, low: number): number {
  return hashUint32(low ^ (high >= 0 ? high : ~high));
}
