import type { DataRow } from '../copy-text.ts';
import { columnRandom } from './column-random.ts';
import { money } from './money.ts';
import { partSupplier } from './part-supplier.ts';
import { suppliersPerPart } from './tpch-size.ts';
import type { TpchWorld } from './tpch-world.ts';

const streams = { quantity: 51, cost: 52, comment: 53 } as const;
const commentLength = { min: 49, max: 198 } as const;

/** Four suppliers of each part, in the order of the parts. */
export function* partsuppRows({ random, comments, size }: TpchWorld): Generator<DataRow, void, undefined> {
  const quantities = columnRandom(random, streams.quantity);
  const costs = columnRandom(random, streams.cost);
  for (let part = 1; part <= size.parts; part += 1) {
    for (let index = 0; index < suppliersPerPart; index += 1) {
      const position = part * suppliersPerPart + index;
      yield [
        part, partSupplier(size, part, index), quantities.between(position, 1, 9999), money(costs.between(position, 100, 100_000)),
        comments.commentAt(streams.comment, position, commentLength),
      ];
    }
  }
}
