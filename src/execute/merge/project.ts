import type { RawRow } from '../../cluster/node-connection.ts';
import type { RowStage } from './row-stage.ts';

/** Each row with only these columns, in this order. */
export class Project implements RowStage {
  readonly satisfied = false;
  readonly #columns: readonly number[];
  readonly #isPrefix: boolean;

  constructor(columns: readonly number[]) {
    this.#columns = columns;
    this.#isPrefix = columns.every((column, index) => column === index);
  }

  push(rows: readonly RawRow[]): readonly RawRow[] {
    if (this.#isPrefix && rows[0]?.length === this.#columns.length) return rows;
    return rows.map((row) => this.#columns.map((column) => row[column] ?? null));
  }

  finish(): readonly RawRow[] {
    return [];
  }
}
