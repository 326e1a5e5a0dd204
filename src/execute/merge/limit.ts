import { at } from '../../base/assert.ts';
import type { RawRow } from '../../cluster/node-connection.ts';
import type { RowOrder } from './row-order.ts';
import type { RowStage } from './row-stage.ts';

export interface LimitCounts {
  /** Infinity for no limit. */
  readonly limit: number;
  readonly offset: number;
  /** For WITH TIES: further rows that do not differ from the last one in this order come too. The input is sorted by it. */
  readonly ties: RowOrder | undefined;
}

/** OFFSET and LIMIT. */
export class Limit implements RowStage {
  #offset: number;
  #limit: number;
  readonly #ties: RowOrder | undefined;
  /** The last row within the limit, which ties are compared with. */
  #last: RawRow | undefined;
  satisfied: boolean;

  constructor({ limit, offset, ties }: LimitCounts) {
    this.#limit = limit;
    this.#offset = offset;
    this.#ties = ties;
    this.satisfied = limit === 0;
  }

  push(rows: readonly RawRow[]): readonly RawRow[] {
    if (this.satisfied) return [];
    const start = Math.min(rows.length, this.#offset);
    const taken = Math.min(rows.length - start, this.#limit);
    this.#offset -= start;
    this.#limit -= taken;
    if (taken > 0) this.#last = at(rows, start + taken - 1);
    const end = this.#limit > 0 ? rows.length : this.#endOfTies(rows, start + taken);
    return start === 0 && end === rows.length ? rows : rows.slice(start, end);
  }

  finish(): readonly RawRow[] {
    return [];
  }

  /** The limit is reached before `from`: where the ties end, which may be in a later batch. */
  #endOfTies(rows: readonly RawRow[], from: number): number {
    let end = from;
    while (end < rows.length && this.#isTie(at(rows, end))) end += 1;
    this.satisfied = this.#ties === undefined || end < rows.length;
    return end;
  }

  #isTie(row: RawRow): boolean {
    return this.#last !== undefined && this.#ties?.compare(this.#last, row) === 0;
  }
}
