import type { RawRow } from '../../cluster/node-connection.ts';
import type { Combine } from '../../plan/merge-plan.ts';
import type { Accumulator } from './accumulator.ts';
import { accumulatorFor } from './accumulator-for.ts';
import { rowKey, type RowKey } from './row-key.ts';
import type { RowStage } from './row-stage.ts';

interface Group {
  readonly columns: RawRow;
  readonly accumulators: readonly Accumulator[];
}

/**
 * Groups rows of partial aggregates by their first columns and combines each group's; a row out is the group's columns, as the first of its rows
 * has them, and the aggregates. Without group columns there is always exactly one row. Order: as groups first came. Memory: the groups.
 */
export class CombineAggregates implements RowStage {
  readonly satisfied = false;
  readonly #groupColumns: number;
  readonly #makers: readonly (() => Accumulator)[];
  readonly #keyOf: RowKey;
  readonly #groups = new Map<string | null, Group>();

  constructor({ groupTypes, combines }: { readonly groupTypes: readonly number[]; readonly combines: readonly Combine[] }) {
    this.#groupColumns = groupTypes.length;
    this.#makers = combines.map(accumulatorFor);
    this.#keyOf = rowKey(groupTypes);
    if (groupTypes.length === 0) this.#open(this.#keyOf([]), []);
  }

  push(rows: readonly RawRow[]): readonly RawRow[] {
    for (const row of rows) {
      const key = this.#keyOf(row);
      const { accumulators } = this.#groups.get(key) ?? this.#open(key, row);
      for (const accumulator of accumulators) accumulator.add(row);
    }
    return [];
  }

  finish(): readonly RawRow[] {
    return Array.from(this.#groups.values(), ({ columns, accumulators }) => [...columns, ...accumulators.map((accumulator) => accumulator.result())]);
  }

  #open(key: string | null, row: RawRow): Group {
    const group = { columns: row.slice(0, this.#groupColumns), accumulators: this.#makers.map((make) => make()) };
    this.#groups.set(key, group);
    return group;
  }
}
