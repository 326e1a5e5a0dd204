/**
 * The key of the n-th order, counted from 1 (4.2.3, O_ORDERKEY): keys are sparse, the first eight of every thirty-two are used.
 */
export function orderKey(order: number): number {
  return Math.floor(order / 8) * 32 + (order % 8);
}
