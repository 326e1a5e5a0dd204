import type { RawRow } from '../../cluster/node-connection.ts';
import type { EqualityKey } from '../../sql/values/equality-key.ts';
import type { Accumulator } from './accumulator.ts';

interface DistinctColumns {
  readonly column: number;
  /** The column of FILTER's condition. */
  readonly filter: number | undefined;
}

/** count(DISTINCT column). Memory: the keys of the values. */
export class CountDistinct implements Accumulator {
  readonly #columns: DistinctColumns;
  readonly #keyOf: EqualityKey;
  readonly #keys = new Set<string>();

  constructor(columns: DistinctColumns, keyOf: EqualityKey) {
    this.#columns = columns;
    this.#keyOf = keyOf;
  }

  add(row: RawRow): void {
    const { column, filter } = this.#columns;
    const text = row[column] ?? null;
    if (text === null || (filter !== undefined && row[filter] !== 't')) return;
    this.#keys.add(this.#keyOf(text));
  }

  result(): string {
    return String(this.#keys.size);
  }
}
