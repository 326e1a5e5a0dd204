/**
 * Random numbers by position instead of by sequence: the n-th number of a stream is a pure function of (seed, stream, n).
 * So row 700 000 of a data set can be had without making the rows before it, and two processes make the same rows.
 */
export interface RandomSource {
  /** A 32-bit unsigned integer. */
  integerAt(stream: number, position: number): number;
  /** A number in [0, 1). */
  uniformAt(stream: number, position: number): number;
  /** An integer in [0, limit). `limit` must be a positive integer. */
  belowAt(stream: number, position: number, limit: number): number;
}

export function seededRandom(seed: number): RandomSource {
  const integerAt = (stream: number, position: number): number => {
    const streamKey = scramble((Math.imul(stream + 1, 0x9e37_79b1) ^ seed) >>> 0);
    return scramble((streamKey + Math.imul(position, 0x85eb_ca77)) >>> 0);
  };
  const uniformAt = (stream: number, position: number): number => integerAt(stream, position) / 0x1_0000_0000;
  return {
    integerAt,
    uniformAt,
    belowAt: (stream, position, limit) => Math.floor(uniformAt(stream, position) * limit),
  };
}

/** A bijection of 32-bit integers in which every input bit flips about half of the output bits (xor-shift and multiply). */
function scramble(value: number): number {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0_aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
