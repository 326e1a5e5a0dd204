import type { RawRow } from '../../cluster/node-connection.ts';
import type { Accumulator } from './accumulator.ts';

/** Two values of an aggregate over two sets of rows to its value over both, all as the server's texts. */
export type Merge = (a: string, b: string) => string;

/** An aggregate that is strict: it ignores NULLs, the first other value is its state, and of none it is NULL. */
export class Fold implements Accumulator {
  readonly #column: number;
  readonly #merge: Merge;
  #value: string | null = null;

  constructor(column: number, merge: Merge) {
    this.#column = column;
    this.#merge = merge;
  }

  add(row: RawRow): void {
    const text = row[this.#column] ?? null;
    if (text === null) return;
    this.#value = this.#value === null ? text : this.#merge(this.#value, text);
  }

  result(): string | null {
    return this.#value;
  }
}
