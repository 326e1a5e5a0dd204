/**
 * Shares of a total by rank, after Zipf's law: rank r (from 0) weighs 1 / (r + 1) ** exponent.
 * A few tenants are large and most are small, as in real multi-tenant systems.
 */
export interface Zipf {
  /** The rank whose share holds this point of [0, 1). */
  rankAt(uniform: number): number;
  /** Splits `total` into one whole number per rank, at least one each; `total` must not be below the number of ranks. */
  split(total: number): number[];
}

export function zipf(ranks: number, exponent: number): Zipf {
  const cumulative = cumulativeShares(ranks, exponent);
  return {
    rankAt: (uniform) => firstAbove(cumulative, uniform),
    split: (total) => splitTotal(cumulative, total),
  };
}

function cumulativeShares(ranks: number, exponent: number): Float64Array {
  const weights = Float64Array.from({ length: ranks }, (_, rank) => 1 / (rank + 1) ** exponent);
  const sum = weights.reduce((left, right) => left + right, 0);
  let reached = 0;
  return weights.map((weight) => (reached += weight / sum));
}

function firstAbove(cumulative: Float64Array, uniform: number): number {
  let low = 0;
  let high = cumulative.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((cumulative[middle] ?? 1) > uniform) high = middle;
    else low = middle + 1;
  }
  return low;
}

function splitTotal(cumulative: Float64Array, total: number): number[] {
  const spare = total - cumulative.length;
  let taken = 0;
  return Array.from(cumulative, (share, rank) => {
    const upTo = rank === cumulative.length - 1 ? spare : Math.round(share * spare);
    const part = upTo - taken;
    taken = upTo;
    return part + 1;
  });
}
