import type { RawRow } from '../../cluster/node-connection.ts';
import type { RowKey } from './row-key.ts';
import type { RowStage } from './row-stage.ts';

/** Keeps the first of equal rows, as soon as it comes. Memory: the keys of the rows kept. */
export class Distinct implements RowStage {
  readonly satisfied = false;
  readonly #keyOf: RowKey;
  readonly #seen = new Set<string | null>();

  constructor(keyOf: RowKey) {
    this.#keyOf = keyOf;
  }

  push(rows: readonly RawRow[]): readonly RawRow[] {
    return rows.filter((row) => {
      const known = this.#seen.size;
      return this.#seen.add(this.#keyOf(row)).size > known;
    });
  }

  finish(): readonly RawRow[] {
    return [];
  }
}
