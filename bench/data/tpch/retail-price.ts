/** The price of a part in cents (4.2.3, P_RETAILPRICE): it follows from the part's key, so that a line needs no look at the part. */
export function retailPriceCents(part: number): number {
  return 90_000 + (Math.floor(part / 10) % 20_001) + 100 * (part % 1000);
}
