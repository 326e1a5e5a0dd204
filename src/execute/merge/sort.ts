import type { RawRow } from '../../cluster/node-connection.ts';
import type { RowOrder } from './row-order.ts';
import type { RowStage } from './row-stage.ts';

/** Sorts all rows. Ties keep the order in which they came. Memory: all rows. */
export class Sort implements RowStage {
  readonly satisfied = false;
  readonly #order: RowOrder;
  readonly #rows: RawRow[] = [];

  constructor(order: RowOrder) {
    this.#order = order;
  }

  push(rows: readonly RawRow[]): readonly RawRow[] {
    for (const row of rows) this.#rows.push(row);
    return [];
  }

  finish(): readonly RawRow[] {
    return sorted(this.#rows, this.#order);
  }
}

/** A sorted copy; stable. Rows that consist of sorted runs are merged rather than sorted: O(rows · log runs). */
export function sorted(rows: readonly RawRow[], order: RowOrder): RawRow[] {
  if (rows.length < 2) return [...rows];
  return rows
    .map((row) => ({ row, rank: order.rank(row) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : order.compare(a.row, b.row)))
    .map(({ row }) => row);
}
