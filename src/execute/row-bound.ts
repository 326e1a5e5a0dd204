import { at } from '../base/assert.ts';
import type { RawRow } from '../cluster/node-connection.ts';
import type { SortKey } from '../plan/merge-plan.ts';
import { rowOrder, type RowOrder } from './merge/row-order.ts';

interface Candidate {
  readonly row: RawRow;
  /** The place of its task among all, which decides between rows that tie. */
  readonly task: number;
  readonly rank: number;
}

/** The first `rowsMax` rows, in order, of the sorted rows that tasks bring one after the other, in whichever order they do. */
export class RowBound {
  readonly #order: RowOrder;
  readonly #column: number;
  readonly #rowsMax: number;
  #kept: Candidate[] = [];

  constructor(keys: readonly SortKey[], rowsMax: number) {
    this.#order = rowOrder(keys);
    this.#column = at(keys, 0).column;
    this.#rowsMax = rowsMax;
  }

  /** The first key of the last row that is kept: rows behind it are not among the first any more. Undefined before there are enough rows, and where it is NULL. */
  get bound(): string | undefined {
    const last = this.#kept[this.#rowsMax - 1];
    return last?.row[this.#column] ?? undefined;
  }

  get rows(): readonly RawRow[] {
    return this.#kept.map(({ row }) => row);
  }

  /** Takes a task's rows, which are sorted. */
  add(task: number, rows: readonly RawRow[]): void {
    const merged: Candidate[] = [];
    let kept = 0;
    for (const row of rows) {
      const candidate = { row, task, rank: this.#order.rank(row) };
      for (let other = this.#kept[kept]; other !== undefined && this.#isBefore(other, candidate); other = this.#kept[kept]) {
        merged.push(other);
        kept += 1;
      }
      if (merged.length >= this.#rowsMax) break;
      merged.push(candidate);
    }
    for (; kept < this.#kept.length && merged.length < this.#rowsMax; kept += 1) merged.push(at(this.#kept, kept));
    merged.length = Math.min(merged.length, this.#rowsMax);
    this.#kept = merged;
  }

  #isBefore(a: Candidate, b: Candidate): boolean {
    if (a.rank !== b.rank) return a.rank < b.rank;
    const order = this.#order.compare(a.row, b.row);
    return order === 0 ? a.task < b.task : order < 0;
  }
}
