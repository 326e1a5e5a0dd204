import { suppliersPerPart, type TpchSize } from './tpch-size.ts';

/**
 * The key of a part's `index`-th supplier, 0 to 3 (4.2.3, PS_SUPPKEY): four different ones, spread over all suppliers.
 * At small scales the specification's step may come back to a supplier it has had; then the next step that does not is taken.
 */
export function partSupplier({ suppliers }: TpchSize, part: number, index: number): number {
  let step = Math.floor(suppliers / suppliersPerPart) + Math.floor((part - 1) / suppliers);
  while (!isDifferentEachTime(step, suppliers)) step += 1;
  return ((part + index * step) % suppliers) + 1;
}

function isDifferentEachTime(step: number, suppliers: number): boolean {
  return step % suppliers !== 0 && (2 * step) % suppliers !== 0 && (3 * step) % suppliers !== 0;
}
