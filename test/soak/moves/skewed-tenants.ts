import { Random } from '../../oracle/random.ts';

/** Most of it is for few tenants. */
export function skewedTenants(seed: number, tenants: number): () => number {
  const random = new Random(seed);
  return () => Math.floor((random.int(1, 1000) / 1001) ** 4 * tenants);
}
